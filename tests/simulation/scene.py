"""The beginning of a run: the world of a seed, its faults, and all around the watcher, before anything happens."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Protocol

from tests.fakes.model_store import ModelStore
from tests.simulation.daemon import Setup
from tests.simulation.faults import draw_faults
from tests.simulation.inbox import Inbox
from tests.simulation.loop import VirtualClock
from tests.simulation.operators import Operators
from tests.simulation.setup import RECEIVERS
from tests.simulation.story import Story
from tests.simulation.world import SimulatedCloud, live
from watcher.core.planner import Mode


class DrawSetup(Protocol):
    """Draws how the watcher is configured."""

    def __call__(self, rng: random.Random, *, instances: Sequence[str]) -> Setup:
        """The configuration for these instances."""
        ...


def draw_scene(
    seed: int,
    *,
    busy_s: tuple[float, float],
    draw_setup: DrawSetup,
    store: ModelStore,
    clock: VirtualClock,
    tell: Callable[..., None],
) -> Story:
    """The story of this seed, not begun yet; things go wrong in it for at least and at most so long."""
    rng = random.Random(f"{seed} world")
    until_s = rng.uniform(*busy_s)
    instances = [str(number) for number in range(rng.randint(2, 5))]
    faults = draw_faults(random.Random(f"{seed} faults"), busy_s=until_s, receivers=RECEIVERS, instances=instances)
    setup = draw_setup(random.Random(f"{seed} setup"), instances=instances)
    world = {key: live(rng, key, until_s=until_s) for key in instances}
    return Story(
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
                tell=tell,
            )
            for watched in setup.sources
        },
        inboxes=[
            Inbox(
                name,
                faults,
                clock,
                tell,
                digest_bytes=rng.choice([None, 4000]),
                most_events=rng.choice([1000, 1000, 3]),
            )
            for name in RECEIVERS
        ],
        operators=Operators(random.Random(f"{seed} operators"), store, clock, tell=tell),
        busy_s=until_s,
    )
