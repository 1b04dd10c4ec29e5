"""Keeping the store tidy for as long as the daemon runs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Protocol

from watcher.core.clock import Clock
from watcher.core.errors import StoreError
from watcher.core.facts import Observer, StoreFailed, StoreRecovered

_EVERY_S = 3600.0
_AT_A_TIME = 500
_BETWEEN_S = 0.5  # others want to write, too
_WHO = "retention"


class Forgetting(Protocol):
    """What can be made to forget."""

    async def prune(self, *, before: datetime, limit: int) -> int:
        """Forget a step's worth of what is older; as much as `limit`: there may be more. Raises StoreError."""
        ...


async def keep_tidy(store: Forgetting, *, retention: Callable[[], timedelta], clock: Clock, observer: Observer) -> None:
    """Forget what is older than `retention()`, in small steps, again and again, until cancelled."""
    failing = False
    while True:
        wait_s = _EVERY_S
        try:
            if await store.prune(before=clock.now() - retention(), limit=_AT_A_TIME) == _AT_A_TIME:
                wait_s = _BETWEEN_S
            if failing:
                observer(StoreRecovered(_WHO))
            failing = False
        except StoreError as error:
            observer(StoreFailed(_WHO, error, first=not failing))
            failing, wait_s = True, 10.0
        await clock.sleep(wait_s)
