"""A run with several replicas: a world as in `run`, with a store on a server and leases."""

from __future__ import annotations

import asyncio
import random

from tests.fakes.model_store import ModelStore
from tests.simulation.cluster import Cluster
from tests.simulation.freezing import FreezingLoop
from tests.simulation.loop import VirtualClock
from tests.simulation.scene import draw_scene
from tests.simulation.setup import draw_shared_setup
from tests.simulation.troubles import draw_troubles
from watcher.core.model import DeliveryState

SETTLES_S = 900.0  # less than in `run`: there are fewer, and shorter, pauses to be over
_MAINTENANCE_ENDS_S = 1900.0
_ENDS_S = 4 * 3600.0


class SharedRun:
    """The world of a seed with its replicas."""

    def __init__(self, seed: int, loop: FreezingLoop) -> None:
        self._clock = clock = VirtualClock(loop)
        store = ModelStore(clock.monotonic)
        self.story = story = draw_scene(
            seed, busy_s=(400, 1200), draw_setup=draw_shared_setup, store=store, clock=clock, tell=self._tell
        )
        story.faults.crash_at_s = ()  # the troubles are instead
        troubles_rng = random.Random(f"{seed} troubles")
        self._cluster = Cluster(
            story,
            count=troubles_rng.choice([2, 2, 3]),
            troubles=draw_troubles(troubles_rng, busy_s=story.busy_s, lease_ttl_s=story.setup.lease_ttl_s),
            loop=loop,
            clock=clock,
            rng=random.Random(f"{seed} watcher"),
            tell=self._tell,
        )

    async def play(self) -> None:
        """From the first start to the moment when nothing is left to do."""
        story, cluster = self.story, self._cluster
        calm_s = max(story.busy_s + SETTLES_S, _MAINTENANCE_ENDS_S if story.setup.windows else 0.0)
        tasks = [asyncio.ensure_future(cluster.play())]
        tasks.append(asyncio.ensure_future(story.operators.work(cluster.anybody, until_s=story.busy_s)))
        try:
            await asyncio.wait([cluster.failed], timeout=story.busy_s)
            story.faults.on = False
            cluster.heal()
            self._tell("-- from now on all is well")
            while not cluster.failed.done() and not story.settled and self._clock.monotonic() < _ENDS_S:
                await story.operators.lift_silences(cluster.anybody())
                await asyncio.wait([cluster.failed], timeout=30.0)
                is_calm = self._clock.monotonic() >= calm_s
                story.settled = is_calm and not any(
                    state is DeliveryState.PENDING for _, state in await story.store.unfinished()
                )
            story.ended_s = self._clock.monotonic()
            story.wrong += cluster.unsettled()
        finally:
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            await cluster.end()
        if cluster.failed.done():
            cluster.failed.result()
        for result in results:
            if isinstance(result, Exception):
                raise result

    def _tell(self, *what: object) -> None:
        self.story.trace.append((self._clock.monotonic(), *what))
