"""What has changed and is not yet in the store."""

from __future__ import annotations

import random

from watcher.core.backoff import Backoff
from watcher.core.clock import Clock
from watcher.core.errors import LeaseLostError, StoreError
from watcher.core.facts import Committed, Observer, StoreFailed, StoreRecovered
from watcher.core.ports import Change, StateStore

_STORE_RETRY = Backoff(initial_s=1.0, max_s=10.0)


class Outbox:
    """Holds changes until they are committed, in order; while the store cannot be written they wait here.

    What has nothing to tell, such as a record in which only the time of the last update differs, can wait for what has.
    """

    def __init__(self, *, source: str, store: StateStore, clock: Clock, rng: random.Random, observer: Observer) -> None:
        self._who = f"source {source}"
        self._store = store
        self._clock = clock
        self._rng = rng
        self._observer = observer
        self._waiting: list[Change] = []
        self._failures = 0
        self._is_urgent = False

    def add(self, change: Change) -> None:
        """Something to commit."""
        self._waiting.append(change)
        self._is_urgent = self._is_urgent or bool(change.events)

    async def flush_news(self) -> None:
        """Commit what waits if there is anything to tell."""
        if self._is_urgent:
            await self.flush()

    async def flush(self) -> float | None:
        """Commit what waits; None when done, else in how many seconds to try again."""
        if not self._waiting:
            return None
        self._is_urgent = False
        batch = tuple(self._waiting)
        try:
            await self._store.commit(batch, now=self._clock.now())
        except LeaseLostError:  # another replica has the source, and sees for itself
            self._waiting.clear()
            return None
        except StoreError as error:
            self._failures += 1
            self._observer(StoreFailed(self._who, error, first=self._failures == 1))
            return _STORE_RETRY.delay_s(self._failures, rng=self._rng)
        del self._waiting[: len(batch)]
        if self._failures:
            self._failures = 0
            self._observer(StoreRecovered(self._who))
        self._observer(Committed([event for change in batch for event, _ in change.events]))
        return None
