"""What goes wrong in one run, all of it drawn from the seed."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from watcher.core.errors import (
    CloudAuthError,
    CloudEndpointError,
    CloudError,
    CloudMalformedError,
    CloudPermissionError,
    CloudThrottledError,
    CloudUnavailableError,
)

CLOUD_ERRORS: tuple[type[CloudError], ...] = (
    CloudAuthError,
    CloudEndpointError,
    CloudMalformedError,
    CloudPermissionError,
    CloudThrottledError,
    CloudUnavailableError,
)


@dataclass(frozen=True, slots=True)
class Spell:
    """From when to when, in seconds, something is wrong: with everything, or only with what `scope` names.

    `chance` is how likely each single try meets it.
    """

    begins_s: float
    ends_s: float
    scope: str = ""
    chance: float = 1.0
    error: type[CloudError] = CloudUnavailableError

    def is_on(self, now_s: float, scope: str = "") -> bool:
        """Whether it is wrong now."""
        return self.begins_s <= now_s < self.ends_s and self.scope in ("", scope)


@dataclass(slots=True)
class Faults:
    """The plan of what goes wrong. Each seed has some kinds of faults and not others: faults can hide one another."""

    rng: random.Random
    busy_s: float
    on: bool = True
    cloud: Sequence[Spell] = ()
    store: Sequence[Spell] = ()
    receivers: dict[str, Sequence[Spell]] = field(default_factory=dict)
    lies: float = 0.0
    list_hides: float = 0.0
    crash_with_digest: float = 0.0
    slow_cloud: float = 0.0
    slow_store: float = 0.0
    store_fails: float = 0.0
    store_loses_answer: float = 0.0
    receiver_refuses: float = 0.0
    receiver_asks_to_wait: float = 0.0
    receiver_refuses_for_good: float = 0.0
    receiver_dislikes: float = 0.0
    receiver_hangs: float = 0.0
    receiver_loses_answer: float = 0.0
    crash_at_s: Sequence[float] = ()
    crash_at_point: frozenset[int] = frozenset()
    crash: Callable[[], None] = lambda: None
    points: int = 0

    def draw(self, chance: float) -> bool:
        """Whether something of this likelihood happens now."""
        return self.on and chance > 0 and self.rng.random() < chance

    def point(self) -> None:
        """One more place at which a crash may come."""
        self.points += 1
        if self.on and self.points in self.crash_at_point:
            self.crash()

    def met(self, spells: Sequence[Spell], now_s: float, scope: str = "") -> Spell | None:
        """The fault that a try meets now, if it meets one."""
        for spell in spells if self.on else ():
            if spell.is_on(now_s, scope) and self.draw(spell.chance):
                return spell
        return None


def draw_faults(rng: random.Random, *, busy_s: float, receivers: Sequence[str], instances: Sequence[str]) -> Faults:
    """The faults of one run."""

    def some(most: float) -> float:
        return rng.uniform(0, most) if rng.random() < 0.4 else 0.0

    faults = Faults(rng=rng, busy_s=busy_s)
    faults.cloud = _cloud_spells(rng, busy_s, instances)
    faults.store = _spells(rng, busy_s, longest_s=400, most=2) if rng.random() < 0.4 else ()
    for name in receivers:
        faults.receivers[name] = _spells(rng, busy_s, longest_s=3600, most=2) if rng.random() < 0.4 else ()
    faults.lies = some(0.1)
    faults.list_hides = some(0.4)
    faults.slow_cloud = some(0.5)
    faults.slow_store = some(0.1)
    if rng.random() < 0.15:  # the same instance on two pages, one of them late: answers overtake one another
        faults.list_hides, faults.slow_cloud = 0.3, 0.5
    faults.store_fails = some(0.08)
    faults.store_loses_answer = some(0.08)
    faults.receiver_refuses = some(0.2)
    faults.receiver_asks_to_wait = some(0.05)
    faults.receiver_refuses_for_good = some(0.1) if rng.random() < 0.3 else 0.0
    faults.receiver_dislikes = some(0.2)
    faults.receiver_hangs = some(0.1)
    faults.receiver_loses_answer = some(0.15)
    if rng.random() < 0.6:
        faults.crash_at_s = sorted(rng.uniform(0, busy_s) for _ in range(rng.randint(0, 2)))
        faults.crash_with_digest = some(0.3)
        faults.crash_at_point = frozenset(rng.randint(1, 1500) for _ in range(rng.randint(1, 4)))
    return faults


def _spells(rng: random.Random, busy_s: float, *, longest_s: float, most: int) -> list[Spell]:
    spells = []
    for _ in range(rng.randint(1, most)):
        begins_s = rng.uniform(0, busy_s)
        lasts_s = rng.choice([rng.uniform(1, 60), rng.uniform(60, longest_s)])
        spells.append(Spell(begins_s, begins_s + lasts_s, chance=rng.choice([1.0, 1.0, 0.5])))
    return spells


def _cloud_spells(rng: random.Random, busy_s: float, instances: Sequence[str]) -> list[Spell]:
    spells = []
    for _ in range(rng.choice([0, 0, 1, 2, 3])):
        begins_s = rng.uniform(0, busy_s)
        lasts_s = rng.choice([rng.uniform(1, 60), rng.uniform(60, 1500)])
        scope = rng.choice(["", "", "list", "show", "jobs", rng.choice(instances)])
        error = rng.choice(CLOUD_ERRORS)
        spells.append(Spell(begins_s, begins_s + lasts_s, scope, rng.choice([1.0, 1.0, 0.3]), error))
    return spells
