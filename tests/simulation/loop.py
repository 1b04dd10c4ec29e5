"""Virtual time: an event loop that does no I/O and waits for nobody, and the clock on it."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

from tests.fakes.values import START
from watcher.core.clock import SystemClock

_TURNS_AT_ONCE = 20_000  # of the loop without time passing: more is somebody who never waits


class StandstillError(Exception):
    """Nothing will ever happen again, or it happens all at the same moment for ever."""


class VirtualLoop(asyncio.BaseEventLoop):
    """An event loop whose time passes only while everybody waits, and then at once.

    What is ready runs in the order in which it became ready, and timers in the order of their time: the same program
    runs the same way every time.
    """

    def __init__(self) -> None:
        super().__init__()
        self._now_s = 0.0
        self._turns = 0
        self._selector = self  # what the loop asks whether a file is ready, and how it waits

    def time(self) -> float:
        return self._now_s

    def select(self, timeout: float | None) -> list[Any]:
        """Wait for this long: virtually."""
        if timeout is None:
            raise StandstillError("everybody waits, and nobody for a time")
        self._turns += 1
        if timeout > 0:
            self._now_s += timeout
            self._turns = 0
        elif self._turns > _TURNS_AT_ONCE:
            self._turns = 0
            raise StandstillError(f"busy without end at {self._now_s:.3f} s")
        return []

    def _process_events(self, event_list: list[Any]) -> None:
        pass


class VirtualClock(SystemClock):
    """The time of a virtual loop, for all who are given a `Clock`; it waits as the real one does."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def now(self) -> datetime:
        return START + timedelta(seconds=self._loop.time())

    def monotonic(self) -> float:
        return self._loop.time()
