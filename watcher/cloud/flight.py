"""Do a thing once for everybody who asks for it at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class SingleFlight(Generic[T]):
    """At most one run under way; whoever asks meanwhile shares its outcome, success or failure.

    A waiter that is cancelled does not stop the run for the others.
    """

    def __init__(self, work: Callable[[], Coroutine[Any, Any, T]]) -> None:
        self._work = work
        self._task: asyncio.Task[T] | None = None

    async def run(self) -> T:
        """The outcome of the run under way, or of a new one."""
        return await asyncio.shield(self.start())

    def start(self) -> asyncio.Task[T]:
        """See that a run is under way, without waiting for it."""
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._work())
            self._task.add_done_callback(_retrieve)
        return self._task

    async def close(self) -> None:
        """Cancel the run under way and wait until it has ended."""
        if self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task])


def _retrieve(task: asyncio.Task[Any]) -> None:
    """Mark a failure as seen: everyone who waited may have been cancelled."""
    if not task.cancelled():
        task.exception()
