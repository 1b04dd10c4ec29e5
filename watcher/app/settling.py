"""Closing what is no longer in any configuration."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from watcher.app.receivers import Receivers
from watcher.app.sharing import Sharing
from watcher.core.alerts import AlertRules
from watcher.core.clock import Clock
from watcher.core.errors import StoreError
from watcher.core.facts import Committed, Observer
from watcher.core.model import Event
from watcher.core.sharing import RECEIVER, SOURCE, kind_of, subject_of
from watcher.polling import close_orphans
from watcher.store import Store

_STORE_AGAIN_S = 10.0


class Settler:
    """What waits for receivers that are gone is dead, and alerts of sources that are gone are over.

    Gone is what no replica's configuration names.
    """

    def __init__(
        self,
        *,
        store: Store,
        sharing: Sharing,
        receivers: Receivers,
        configured: Callable[[], frozenset[str]],
        rules: Callable[[], AlertRules],
        receivers_for: Callable[[Event], tuple[str, ...]],
        clock: Clock,
        observer: Observer,
    ) -> None:
        """`configured` are the leases that this replica's configuration names."""
        self._store = store
        self._sharing = sharing
        self._receivers = receivers
        self._configured = configured
        self._rules = rules
        self._receivers_for = receivers_for
        self._clock = clock
        self._observer = observer

    async def settle_soon(self) -> None:
        """Settle when those that are gone have ended what they had under way, and the store can be written."""
        await self._receivers.gone()
        while True:
            with suppress(StoreError):
                if self._sharing.settled:
                    await self.settle()
                    return
            await self._clock.sleep(_STORE_AGAIN_S)

    async def settle(self) -> None:
        """Settle now; raises StoreError."""
        named = self._configured() | self._sharing.roster().configured
        receivers = [subject_of(lease) for lease in named if kind_of(lease) == RECEIVER]
        await self._store.bury(receivers=receivers, now=self._clock.now())
        closed = await close_orphans(
            self._store,
            sources=[subject_of(lease) for lease in named if kind_of(lease) == SOURCE],
            rules=self._rules(),
            receivers_for=self._receivers_for,
            clock=self._clock,
        )
        if closed:
            self._observer(Committed(closed))
