"""Runs each source's cycles with APScheduler: one job a source, due again when its cycle says so.

The only file that imports apscheduler. Its traps, and what is done about them: late runs are skipped unless
`misfire_grace_time=None`; its executor cancels what runs at shutdown, so a job only starts a task that is held here;
it reads the wall clock itself, so a clock set back would delay every job: a look at the monotonic clock mends that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

from apscheduler.schedulers.asyncio import AsyncIOScheduler

from watcher.core.clock import Clock

_OVERDUE_S = 2.0
_LOOK_S = 5.0
_APART_S = 0.1  # between the first cycles of two sources
_ALL_STARTED_S = 5.0

Cycle = Callable[[], Awaitable[float]]
"""Runs one cycle and returns in how many seconds the next is due."""


class PollScheduler:
    """Calls every cycle when it is due, never twice at once for one source."""

    def __init__(self, *, clock: Clock) -> None:
        self._clock = clock
        self._scheduler = AsyncIOScheduler(timezone="UTC")
        self._cycles: dict[str, Cycle] = {}
        self._due_s: dict[str, float] = {}
        self._running: dict[str, asyncio.Future[float]] = {}
        self._stopping = False
        self._broken: asyncio.Future[None] | None = None

    def add(self, source: str, cycle: Cycle) -> None:
        """Have a source's cycles run. Sources start one after the other, so that they do not all ask at once."""
        self._cycles[source] = cycle

    async def run(self) -> None:
        """Run the cycles until `stop`; raises what a cycle raised."""
        if self._stopping:
            return
        self._broken = asyncio.get_running_loop().create_future()
        self._scheduler.start()
        apart_s = min(_APART_S, _ALL_STARTED_S / max(1, len(self._cycles)))
        for place, source in enumerate(self._cycles):
            self._plan(source, place * apart_s)
        try:
            while not self._broken.done():
                watch = asyncio.ensure_future(self._clock.sleep(_LOOK_S))
                await asyncio.wait((self._broken, watch), return_when=asyncio.FIRST_COMPLETED)
                watch.cancel()
                await self._start_overdue()
            self._broken.result()
        finally:
            self._scheduler.shutdown(wait=False)

    async def stop(self, *, deadline_s: float) -> None:
        """Start no more cycles, let those under way end, and cancel them at the deadline."""
        self._stopping = True
        running = list(self._running.values())
        if running:
            await asyncio.wait(running, timeout=deadline_s)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        if self._broken is not None and not self._broken.done():
            self._broken.set_result(None)

    def _plan(self, source: str, wait_s: float) -> None:
        if self._stopping:
            return
        self._due_s[source] = self._clock.monotonic() + wait_s
        self._scheduler.add_job(
            self._fire,
            "date",
            run_date=self._clock.now() + timedelta(seconds=wait_s),
            args=[source],
            id=source,
            replace_existing=True,
            misfire_grace_time=None,
            coalesce=True,
            max_instances=1,
        )

    async def _fire(self, source: str) -> None:
        if self._stopping or source in self._running:
            return
        task = asyncio.ensure_future(self._cycles[source]())
        self._running[source] = task
        task.add_done_callback(lambda ended: self._ended(source, ended))

    def _ended(self, source: str, task: asyncio.Future[float]) -> None:
        del self._running[source]
        if task.cancelled() or self._broken is None or self._broken.done():
            return
        error = task.exception()
        if error is not None:
            self._broken.set_exception(error)
        else:
            self._plan(source, task.result())

    async def _start_overdue(self) -> None:
        now_s = self._clock.monotonic()
        for source, due_s in self._due_s.items():
            if source not in self._running and now_s - due_s > _OVERDUE_S:
                await self._fire(source)
