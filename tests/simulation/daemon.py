"""One life of the daemon: built as `watcher.app` builds it, and ended in the middle of whatever it does."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tests.simulation.disk import UnreliableStore
from tests.simulation.inbox import Inbox
from tests.simulation.world import SimulatedCloud
from watcher.core.clock import Clock
from watcher.core.facts import Committed, Fact
from watcher.core.maintenance import Window
from watcher.core.model import Event, InstanceKey
from watcher.core.routing import RoutingTable
from watcher.delivery import DeliveryPolicy, DeliveryWorker, QuietKeeper
from watcher.polling import SourcePoller, Watched, close_orphans

_DRAIN_S = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """The configuration, the same for all lives of one run.

    `homes` are the sources of all instances, watched or not. `lease_ttl_s` is 0 where one daemon is alone.
    """

    sources: tuple[Watched, ...]
    homes: Mapping[str, str]
    table: RoutingTable
    policies: Mapping[str, DeliveryPolicy]
    windows: Sequence[Window] = ()
    lease_ttl_s: float = 0.0

    @property
    def instances(self) -> frozenset[str]:
        """Those that are configured by their ids."""
        return frozenset(key for watched in self.sources for key in watched.instances)

    def watched(self, instance_id: str) -> Watched:
        """How an instance is watched."""
        return next(watched for watched in self.sources if watched.source == self.homes[instance_id])

    def key(self, instance_id: str) -> InstanceKey:
        """An instance with its source."""
        return InstanceKey(self.homes[instance_id], instance_id)


class Daemon:
    """Poller and workers on one store."""

    def __init__(
        self,
        setup: Setup,
        *,
        store: UnreliableStore,
        cloud: SimulatedCloud,
        inboxes: Sequence[Inbox],
        clock: Clock,
        rng: random.Random,
        on_event: Callable[[Event], None],
    ) -> None:
        self._setup = setup
        self._store = store
        self._clock = clock
        self._on_event = on_event
        self._stop = asyncio.Event()
        self.is_up = False
        self.quiet = QuietKeeper(store=store, clock=clock, on_change=self._look_again)
        self._workers = [
            DeliveryWorker(
                receiver=inbox,
                store=store,
                quiet=self.quiet,
                policy=setup.policies[inbox.name],
                clock=clock,
                rng=rng,
                observer=self._observe,
            )
            for inbox in inboxes
        ]
        self.quiet.set_windows(setup.windows)
        self._poller = SourcePoller(
            watched=setup.sources[0],
            api=cloud,
            store=store,
            receivers_for=self._receivers_for,
            clock=clock,
            rng=rng,
            observer=self._observe,
        )

    async def run(self) -> None:
        """Work until cancelled or stopped; raises StoreError when it cannot start."""
        await self.quiet.refresh()
        await self._store.bury(receivers=list(self._setup.policies), now=self._clock.now())
        await close_orphans(
            self._store,
            sources=[self._poller.source],
            rules=self._setup.sources[0].rules,
            receivers_for=self._receivers_for,
            clock=self._clock,
        )
        await self._poller.start()
        async with asyncio.TaskGroup() as group:
            polling = group.create_task(self._poll())
            working = [group.create_task(worker.run()) for worker in self._workers]
            await asyncio.wait([polling])
            for worker in self._workers:
                worker.drain()
            await asyncio.wait(working, timeout=_DRAIN_S)
            for task in working:
                task.cancel()

    def stop(self) -> None:
        """No new cycles; what is due is delivered yet."""
        self._stop.set()

    async def _poll(self) -> None:
        self.is_up = True
        while not self._stop.is_set():
            await self._clock.wait(self._stop, await self._poller.cycle())
        self.is_up = False

    def _receivers_for(self, event: Event) -> tuple[str, ...]:
        self._on_event(event)
        return self._setup.table.receivers_for(event)

    def _observe(self, fact: Fact) -> None:
        if isinstance(fact, Committed):
            for worker in self._workers:
                worker.notify()

    def _look_again(self) -> None:
        for worker in self._workers:
            worker.look_again()
