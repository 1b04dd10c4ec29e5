"""A run with several replicas: a world as in `run`, with a store on a server and leases."""

from __future__ import annotations

import asyncio
import random

from tests.fakes.model_store import ModelStore
from tests.simulation.cluster import Cluster
from tests.simulation.faults import draw_faults
from tests.simulation.freezing import FreezingLoop
from tests.simulation.inbox import Inbox
from tests.simulation.loop import VirtualClock
from tests.simulation.operators import Operators
from tests.simulation.setup import RECEIVERS, draw_shared_setup
from tests.simulation.story import Story
from tests.simulation.troubles import draw_troubles
from tests.simulation.world import SimulatedCloud, live
from watcher.core.model import DeliveryState
from watcher.core.planner import Mode

SETTLES_S = 900.0  # less than in `run`: there are fewer, and shorter, pauses to be over
_MAINTENANCE_ENDS_S = 1900.0
_ENDS_S = 4 * 3600.0


class SharedRun:
    """The world of a seed with its replicas."""

    def __init__(self, seed: int, loop: FreezingLoop) -> None:
        rng = random.Random(f"{seed} world")
        busy_s = rng.uniform(400, 1200)
        instances = [str(number) for number in range(rng.randint(2, 5))]
        self._clock = clock = VirtualClock(loop)
        faults = draw_faults(random.Random(f"{seed} faults"), busy_s=busy_s, receivers=RECEIVERS, instances=instances)
        faults.crash_at_s = ()  # the troubles are instead
        setup = draw_shared_setup(random.Random(f"{seed} setup"), instances=instances)
        world = {key: live(rng, key, until_s=busy_s) for key in instances}
        store = ModelStore(clock.monotonic)
        self.story = Story(
            seed=seed,
            setup=setup,
            world=world,
            faults=faults,
            store=store,
            clouds={
                watched.source: SimulatedCloud(
                    {key: biography for key, biography in world.items() if setup.homes[key] == watched.source},
                    faults,
                    clock,
                    page=rng.choice([1, 2, 100, 100]),
                    is_list_believed=watched.policy.mode is not Mode.GET,
                    tell=self._tell,
                )
                for watched in setup.sources
            },
            inboxes=[
                Inbox(
                    name,
                    faults,
                    clock,
                    self._tell,
                    digest_bytes=rng.choice([None, 4000]),
                    most_events=rng.choice([1000, 1000, 3]),
                )
                for name in RECEIVERS
            ],
            operators=Operators(random.Random(f"{seed} operators"), store, clock, tell=self._tell),
            busy_s=busy_s,
        )
        troubles_rng = random.Random(f"{seed} troubles")
        self._cluster = Cluster(
            self.story,
            count=troubles_rng.choice([2, 2, 3]),
            troubles=draw_troubles(troubles_rng, busy_s=busy_s, lease_ttl_s=setup.lease_ttl_s),
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
