"""A clock driven by hand."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

_START = datetime(2026, 1, 1, tzinfo=UTC)


class FakeClock:
    """Time stands still until `advance`; sleepers wake in the order of their time, and run until they wait again."""

    def __init__(self, start: datetime = _START) -> None:
        self._start = start
        self._elapsed_s = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = itertools.count()

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._elapsed_s)

    def monotonic(self) -> float:
        return self._elapsed_s

    async def sleep(self, seconds: float) -> None:
        future = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._elapsed_s + max(0.0, seconds), next(self._order), future))
        await future

    async def wait(self, event: asyncio.Event, timeout_s: float | None) -> bool:
        waiter = asyncio.ensure_future(event.wait())
        sleeper = asyncio.ensure_future(self.sleep(timeout_s)) if timeout_s is not None else None
        waiting: set[asyncio.Future[Any]] = {waiter, sleeper} if sleeper is not None else {waiter}
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()
        return event.is_set()

    async def advance(self, seconds: float) -> None:
        """Let this much time pass, waking every sleeper on the way at its own moment."""
        await self.settle()
        target = self._elapsed_s + seconds
        while self._sleepers and self._sleepers[0][0] <= target:
            at, _, future = heapq.heappop(self._sleepers)
            if future.done():
                continue
            self._elapsed_s = max(self._elapsed_s, at)
            future.set_result(None)
            await self.settle()
        self._elapsed_s = target

    def jump(self, seconds: float) -> None:
        """Move wall-clock time alone, as an operator or NTP does."""
        self._start += timedelta(seconds=seconds)

    async def settle(self, turns: int = 50) -> None:
        """Give every ready task its turns."""
        for _ in range(turns):
            await asyncio.sleep(0)  # noqa: TID251 - yields to the loop, waits for nothing


class HastyClock(FakeClock):
    """Every sleep is over at once: the time has passed by then. `slept` says how long each was."""

    def __init__(self) -> None:
        super().__init__()
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self._elapsed_s += seconds
