"""Processes that are stopped for a while and go on: everything of one of them, in the middle of whatever it does."""

from __future__ import annotations

import asyncio
import heapq
import inspect
from collections import deque
from contextvars import ContextVar

from tests.simulation.loop import VirtualLoop

PROCESS: ContextVar[str] = ContextVar("process", default="")
"""Whose the code is that runs. What happens elsewhere, such as in a database, is nobody's."""

OWNER: ContextVar[str] = ContextVar("owner", default="")
"""The process that asked for it, wherever it happens."""


class FreezingLoop(VirtualLoop):
    """A virtual loop that runs nothing of those processes that are stopped: what is theirs waits until they go on."""

    def __init__(self) -> None:
        super().__init__()
        self._ready: deque[asyncio.Handle]
        self._scheduled: list[asyncio.TimerHandle]
        self._to_stop: set[str] = set()
        self._stopped: dict[str, list[asyncio.Handle]] = {}
        self._stopped_timers: dict[str, list[asyncio.TimerHandle]] = {}

    def stop_process(self, name: str) -> None:
        """As SIGSTOP does it, before anything else of it runs."""
        self._to_stop.add(name)

    def continue_process(self, name: str) -> None:
        """As SIGCONT does it: first goes on what was about to, then what has been due meanwhile."""
        self._to_stop.discard(name)
        for handle in self._stopped.pop(name, ()):
            self._ready.append(handle)
        for timer in self._stopped_timers.pop(name, ()):
            heapq.heappush(self._scheduled, timer)

    def is_stopped(self, name: str) -> bool:
        """Whether nothing of it runs."""
        return name in self._to_stop or name in self._stopped

    def select(self, timeout: float | None) -> list[object]:
        for name in self._to_stop:
            self._stopped.setdefault(name, [])
            self._stopped_timers.setdefault(name, [])
        self._to_stop.clear()
        if self._stopped:
            self._set_aside()
            if not self._ready and self._scheduled and timeout is not None:
                timeout = max(0.0, self._scheduled[0].when() - self.time())
        return super().select(timeout)

    def _set_aside(self) -> None:
        for _ in range(len(self._ready)):
            handle = self._ready.popleft()
            aside = self._stopped.get(_process_of(handle))
            # A try that is about to begin counts as one that is under way.
            if aside is None or _is_new_task(handle):
                self._ready.append(handle)
            else:
                aside.append(handle)
        for name, timers in self._stopped_timers.items():
            chosen = [timer for timer in self._scheduled if _process_of(timer) == name]
            if chosen:
                timers.extend(timer for timer in chosen if not timer.cancelled())
                self._scheduled = [timer for timer in self._scheduled if _process_of(timer) != name]
                heapq.heapify(self._scheduled)


def _process_of(handle: asyncio.Handle) -> str:
    return handle._context.get(PROCESS, "")  # type: ignore[attr-defined, no-any-return]


def _is_new_task(handle: asyncio.Handle) -> bool:
    task = getattr(handle._callback, "__self__", None)  # type: ignore[attr-defined]
    if not isinstance(task, asyncio.Task) or not task.get_name().startswith("deliver "):
        return False
    return inspect.getcoroutinestate(task.get_coro()) == inspect.CORO_CREATED  # type: ignore[arg-type]
