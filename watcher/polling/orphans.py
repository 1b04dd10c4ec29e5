"""Alerts of sources that are no longer in the configuration: nobody would ever end them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Protocol

from watcher.core.alerts import AlertRules
from watcher.core.clock import Clock
from watcher.core.model import Event, InstanceState
from watcher.core.news import Context
from watcher.core.ports import Change, StateStore
from watcher.core.timers import close


class OrphanStore(StateStore, Protocol):
    """What finds orphans."""

    async def alerting_beyond(self, sources: Collection[str]) -> list[InstanceState]:
        """The states with alerts firing whose source is none of these."""
        ...


async def close_orphans(
    store: OrphanStore,
    *,
    sources: Collection[str],
    rules: AlertRules,
    receivers_for: Callable[[Event], tuple[str, ...]],
    clock: Clock,
) -> list[Event]:
    """End the alerts of all sources but these; the events of that. Raises StoreError."""
    now, changes = clock.now(), list[Change]()
    for state in await store.alerting_beyond(sources):
        after, event = close(state, now=now, context=Context(rules=rules, previous_observed_at=state.observed_at))
        changes.append(Change(state=after, events=((event, receivers_for(event)),)))
    if changes:
        await store.commit(changes, now=now)
    return [event for change in changes for event, _ in change.events]
