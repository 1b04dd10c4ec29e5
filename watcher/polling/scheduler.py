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
_LOOKS_MISSED_S = 60.0  # a scheduler that has not looked for so long is stuck

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
        self._began_s: dict[str, float] = {}
        self._at_most_s: dict[str, float] = {}
        self._held: set[str] = set()
        self._looked_s: float | None = None
        self._stopping = False
        self._broken: asyncio.Future[None] | None = None

    def add(self, source: str, cycle: Cycle, *, at_most_s: float = 300.0) -> None:
        """Have a source's cycles run, in place of those it had. At the start of all they begin one after the other, so
        that they do not all ask at once; later at once. One that takes longer than `at_most_s` is stuck.
        """
        self._at_most_s[source] = at_most_s
        self._cycles[source] = cycle
        self._held.discard(source)
        if self._looked_s is not None and source not in self._running:
            self._plan(source, 0.0)

    async def hold(self, source: str) -> None:
        """Begin no cycle of the source until it is added again; returns when the one under way has ended."""
        self._held.add(source)
        if source in self._running:
            await asyncio.wait([self._running[source]])

    async def cancel(self, source: str) -> None:
        """As `hold`, but end the cycle under way in the middle."""
        self._held.add(source)
        if source in self._running:
            task = self._running[source]
            task.cancel()
            await asyncio.wait([task])

    def remove(self, source: str) -> None:
        """Forget a source that is held."""
        del self._cycles[source], self._at_most_s[source]
        self._due_s.pop(source, None)
        self._held.discard(source)

    def why_stuck(self) -> str | None:
        """In words what does not get on though it should, None when all does."""
        now_s = self._clock.monotonic()
        if self._looked_s is not None and now_s - self._looked_s > _LOOKS_MISSED_S:
            return f"the scheduler has done nothing for {now_s - self._looked_s:.0f} s"
        for source, began_s in self._began_s.items():
            if now_s - began_s > self._at_most_s[source]:
                return f"a poll cycle of source {source} has been under way for {now_s - began_s:.0f} s"
        return None

    async def run(self) -> None:
        """Run the cycles until `stop`; raises what a cycle raised."""
        if self._stopping:
            return
        self._broken = asyncio.get_running_loop().create_future()
        self._scheduler.start()
        self._looked_s = self._clock.monotonic()
        apart_s = min(_APART_S, _ALL_STARTED_S / max(1, len(self._cycles)))
        for place, source in enumerate(self._cycles):
            self._plan(source, place * apart_s)
        try:
            while not self._broken.done():
                watch = asyncio.ensure_future(self._clock.sleep(_LOOK_S))
                await asyncio.wait((self._broken, watch), return_when=asyncio.FIRST_COMPLETED)
                watch.cancel()
                self._looked_s = self._clock.monotonic()
                self._start_overdue()
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
        self._start(source)

    def _start(self, source: str) -> None:
        if self._stopping or source in self._running or source in self._held or source not in self._cycles:
            return
        task = asyncio.ensure_future(self._cycles[source]())
        self._running[source] = task
        self._began_s[source] = self._clock.monotonic()
        task.add_done_callback(lambda ended: self._ended(source, ended))

    def _ended(self, source: str, task: asyncio.Future[float]) -> None:
        del self._running[source], self._began_s[source]
        if task.cancelled() or self._broken is None or self._broken.done():
            return
        error = task.exception()
        if error is not None:
            self._broken.set_exception(error)
        elif source not in self._held:
            self._plan(source, task.result())

    def _start_overdue(self) -> None:
        now_s = self._clock.monotonic()
        for source, due_s in self._due_s.items():
            if now_s - due_s > _OVERDUE_S:
                self._start(source)
