"""An event loop with real sockets and threads whose time passes at once while nobody is at work.

As `tests.simulation.loop`, but for real I/O: time stands still while a file is ready or a thread owes an answer, and
otherwise leaps to the next timer. So a timeout fires when the other side is silent on purpose, and never because this
machine is slow.
"""

from __future__ import annotations

import asyncio
import math
import os
import selectors
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor
from contextlib import contextmanager
from datetime import UTC, datetime, tzinfo
from queue import SimpleQueue
from typing import Any, TypeVar, TypeVarTuple

import aiohttp.connector
import aiosqlite.core
import apscheduler.executors.base
import apscheduler.schedulers.base

from tests.simulation.loop import StandstillError, VirtualClock

_T = TypeVar("_T")
_Ts = TypeVarTuple("_Ts")

_TURN_S = 1e-5  # what a turn of the loop takes: rounded to microseconds, time that stands still would be due for ever
_QUICK_S = 5.0  # who waits for less is not made to wait longer
_LAZINESS = 10
_PATIENCE_S = 60.0  # real time: SQLite on the slowest of disks


class _Selector(selectors.DefaultSelector):
    """Waits for files, not for time."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0
        self.owed = 0
        self._was_ready = False

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.now_s += _TURN_S
        ready = super().select(0)
        if not ready and self._was_ready:
            os.sched_yield()  # to the kernel, which may have something on its way over loopback
            ready = super().select(0)
        self._was_ready = bool(ready)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if timeout is not None and not self.owed:
            self.now_s += timeout
            return ready
        ready = super().select(_PATIENCE_S)
        if not ready:
            raise StandstillError("a thread owes an answer" if self.owed else "everybody waits, and nobody for a time")
        return ready


class SoakLoop(asyncio.SelectorEventLoop):
    """Real I/O in virtual time."""

    def __init__(self) -> None:
        self._files = _Selector()
        super().__init__(self._files)

    def time(self) -> float:
        return self._files.now_s

    def await_answer(self, future: asyncio.Future[Any]) -> None:
        """A thread is at work until this is done."""
        self._files.owed += 1
        future.add_done_callback(self._answered)

    def _answered(self, _future: asyncio.Future[Any]) -> None:
        self._files.owed -= 1

    def run_in_executor(self, executor: Executor | None, func: Callable[[*_Ts], _T], *args: *_Ts) -> asyncio.Future[_T]:
        future = super().run_in_executor(executor, func, *args)
        self.await_answer(future)
        return future


class _Questions(SimpleQueue[Any]):
    """What a connection's thread is asked. Answered at once, it is asked for nothing but its end: twice as fast."""

    def put_nowait(self, item: tuple[asyncio.Future[Any] | None, Callable[[], Any]]) -> None:
        future, function = item
        if future is None:
            super().put_nowait(item)
            return
        try:
            result = function()
        except BaseException as error:  # noqa: BLE001 - it is for whoever awaits the answer
            future.set_exception(error)
            return
        future.set_result(result)
        if result is aiosqlite.core._STOP_RUNNING_SENTINEL:
            super().put_nowait((None, lambda: result))


class LazyClock(VirtualClock):
    """Wakes sleepers late, many at once: what only looks around every minute costs a tenth, and retries stay quick."""

    async def sleep(self, seconds: float) -> None:
        await super().sleep(self._lazy(seconds))

    async def wait(self, event: asyncio.Event, timeout_s: float | None) -> bool:
        return await super().wait(event, None if timeout_s is None else self._lazy(timeout_s))

    def _lazy(self, seconds: float) -> float:
        if seconds < _QUICK_S:
            return seconds
        now_s, step_s = self.monotonic(), _LAZINESS * round(seconds)
        return math.ceil((now_s + seconds) / step_s) * step_s - now_s


@contextmanager
def soak_loop() -> Iterator[tuple[SoakLoop, VirtualClock]]:
    """A loop, its clock, and the libraries that read clocks or start threads by themselves put on them."""
    loop = SoakLoop()
    clock = VirtualClock(loop)

    class VirtualDatetime(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]  # a plain one, as it is compared
            return clock.now().astimezone(tz or UTC)

    replaced: list[tuple[Any, Mapping[str, Any]]] = [
        (apscheduler.schedulers.base, {"datetime": VirtualDatetime}),
        (apscheduler.executors.base, {"datetime": VirtualDatetime}),
        (aiohttp.connector, {"monotonic": loop.time}),
        (aiosqlite.core, {"SimpleQueue": _Questions}),
    ]
    before = [(module, {name: getattr(module, name) for name in names}) for module, names in replaced]
    for module, names in replaced:
        vars(module).update(names)
    try:
        yield loop, clock
    finally:
        for module, names in before:
            vars(module).update(names)
        loop.close()
