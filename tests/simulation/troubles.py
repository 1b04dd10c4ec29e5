"""What happens to replicas, drawn from the seed: they come, go, die, are stopped and cut off."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What may happen."""

    KILLED = "killed"
    STOPPED = "stopped"
    CUT = "cut off"
    DRAINED = "drained"
    ROLLED = "all drained one after the other"
    JOINED = "joined"
    LEFT = "left"


@dataclass(frozen=True, slots=True)
class Trouble:
    """It befalls one of the replicas, whichever `chosen` comes to among those that are there."""

    at_s: float
    kind: Kind
    lasts_s: float
    chosen: float
    hangs: bool = False


def draw_troubles(rng: random.Random, *, busy_s: float, lease_ttl_s: float) -> Sequence[Trouble]:
    """Those of one run. Each seed has some kinds and not others."""
    kinds = rng.sample(list(Kind), rng.randint(1, len(Kind)))
    troubles: list[Trouble] = []
    for _ in range(rng.randint(1, 8)):
        lasts = rng.choice([rng.uniform(0.1, 0.7), rng.uniform(1.0, 1.5), rng.uniform(1.5, 5.0)])
        at_s = rng.uniform(0, busy_s) if rng.random() < 0.7 or not troubles else troubles[-1].at_s + rng.uniform(0, 20)
        troubles.append(Trouble(at_s, rng.choice(kinds), lasts * lease_ttl_s, rng.random(), hangs=rng.random() < 0.5))
    return sorted(troubles, key=lambda trouble: trouble.at_s)
