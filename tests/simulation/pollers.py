"""The sources that a replica polls: as `watcher.app.sources`, without the scheduler, which reads real clocks."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

from tests.simulation.world import SimulatedCloud
from watcher.core.clock import Clock
from watcher.core.errors import StoreError
from watcher.core.facts import Observer
from watcher.core.model import Event
from watcher.core.ports import StateStore
from watcher.polling import SourcePoller, Watched

_MAY_AGAIN_S = 0.5


@dataclass(slots=True)
class _Running:
    """A source that is polled, until `stop`."""

    poller: SourcePoller
    stop: asyncio.Event
    cycles: asyncio.Task[None]


class Pollers:
    """Begins and ends the polling of sources as their leases are taken and given away."""

    def __init__(
        self,
        *,
        sources: Mapping[str, Watched],
        clouds: Mapping[str, SimulatedCloud],
        store_for: Callable[[str], StateStore | None],
        may_act: Callable[[], bool],
        receivers_for: Callable[[Event], tuple[str, ...]],
        spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
        clock: Clock,
        rng: random.Random,
        observer: Observer,
    ) -> None:
        self._sources = sources
        self._clouds = clouds
        self._store_for = store_for
        self._may_act = may_act
        self._receivers_for = receivers_for
        self._spawn = spawn
        self._clock = clock
        self._rng = rng
        self._observer = observer
        self._running: dict[str, _Running] = {}
        self._is_stopping = False

    async def take(self, name: str) -> None:
        """Poll it from now on; raises StoreError."""
        store = self._store_for(name)
        if store is None or name in self._running:
            return
        poller = SourcePoller(
            watched=self._sources[name],
            api=self._clouds[name],
            store=store,
            receivers_for=self._receivers_for,
            clock=self._clock,
            rng=self._rng,
            observer=self._observer,
        )
        await poller.start()
        self._run(poller)

    async def give(self, name: str) -> None:
        """Poll it no more when its cycle has ended; raises StoreError, and goes on, when that cannot be written."""
        if name not in self._running:
            return
        running = self._running[name]
        running.stop.set()
        await asyncio.wait([running.cycles])
        if not await running.poller.flush():
            self._run(running.poller)
            raise StoreError(f"what was seen of {name} cannot be written")
        del self._running[name]

    async def drop(self) -> None:
        """Poll nothing any more, from now on."""
        while self._running:
            _, running = self._running.popitem()
            running.cycles.cancel()
            await asyncio.wait([running.cycles])

    async def stop(self, *, deadline_s: float) -> None:
        """Begin no more cycles, and give up what is under way at the deadline."""
        self._is_stopping = True
        for running in self._running.values():
            running.stop.set()
        cycles = [running.cycles for running in self._running.values()]
        if cycles:
            await asyncio.wait(cycles, timeout=deadline_s)
        for task in cycles:
            task.cancel()

    def _run(self, poller: SourcePoller) -> None:
        stop = asyncio.Event()

        async def cycles() -> None:
            while not (stop.is_set() or self._is_stopping):
                wait_s = await poller.cycle() if self._may_act() else _MAY_AGAIN_S
                await self._clock.wait(stop, wait_s)

        self._running[poller.source] = _Running(poller, stop, self._spawn(cycles()))
