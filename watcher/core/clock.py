"""The only file that reads the clock or sleeps. Everybody else is given a `Clock`."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Time as an argument: real in the daemon, driven by hand in tests."""

    def now(self) -> datetime:
        """Wall-clock time, aware, in UTC: for what is recorded and told."""
        ...

    def monotonic(self) -> float:
        """Seconds that never jump: for what is measured and planned."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait this long, monotonic."""
        ...

    async def wait(self, event: asyncio.Event, timeout_s: float | None) -> bool:
        """Wait until `event` is set (True) or `timeout_s` has passed (False; None: no limit)."""
        ...


class SystemClock:
    """The machine's clocks."""

    def now(self) -> datetime:
        return datetime.now(UTC)  # noqa: TID251 - the clock's own file

    def monotonic(self) -> float:
        return time.monotonic()  # noqa: TID251 - the clock's own file

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))  # noqa: TID251 - the clock's own file

    async def wait(self, event: asyncio.Event, timeout_s: float | None) -> bool:
        try:
            async with asyncio.timeout(timeout_s):
                await event.wait()
        except TimeoutError:
            return event.is_set()
        return True
