"""What happens in the simulated cloud while the watcher is disturbed, and whether all of it was told."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from tests.acceptance.letters import Json, MoodySink, check_alerts
from watcher.core.clock import SystemClock
from watcher.simulator import Simulator

NEXT = {"CREATING": "ACTIVE", "ACTIVE": "BUILDING", "BUILDING": "BUILT", "BUILT": "BUILDING"}


@dataclass
class Actor:
    """One instance: the statuses it had, in order, and all that is to be told of it, since when, if it is patient.

    A patient one goes on only when everybody was told of its last step; of a hasty one much passes unseen.
    """

    id: str
    patient: bool
    was: list[str]
    present: bool = True
    images: int = 0
    expected: list[tuple[str, str, str | None]] = field(default_factory=list)
    since: list[datetime] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Cues:
    """How many play, how long between steps, how likely one who may go on does so, and how likely by vanishing."""

    patient: int
    hasty: int
    pause_s: tuple[float, float] = (0.01, 0.12)
    eager: float = 0.5
    vanishing: float = 0.1


class Play:
    """Moves the instances along.

    After an ERROR it goes on from where it was, so that what is inferred of steps unseen is always true.
    """

    def __init__(self, cloud: Simulator, sinks: Sequence[MoodySink], rng: random.Random, cues: Cues) -> None:
        self._cloud = cloud
        self._sinks = sinks
        self._rng = rng
        self._cues = cues
        self._clock = SystemClock()
        self.actors = [self._enter(patient=number < cues.patient) for number in range(cues.patient + cues.hasty)]

    @property
    def patient(self) -> list[Actor]:
        """Those of whom every step is told."""
        return self.actors[: self._cues.patient]

    async def go_on(self, until: asyncio.Event) -> None:
        """One hasty step after another, and those that the patient ones are ready for."""
        hasty = self.actors[self._cues.patient :]
        while not await self._clock.wait(until, self._rng.uniform(*self._cues.pause_s)):
            self._cloud.advance(self._rng.choice((0.0, 1.0)))
            if hasty:
                self._step(self._rng.choice(hasty))
            for actor in self.patient:
                if self._everybody_knows(actor) and self._rng.random() < self._cues.eager:
                    self._step(actor)

    def _everybody_knows(self, actor: Actor) -> bool:
        return all(len(sink.told[actor.id]) >= len(actor.expected) for sink in self._sinks)

    def _enter(self, *, patient: bool) -> Actor:
        status = self._rng.choice(list(NEXT))
        return Actor(self._cloud.world.put(name="office", status=status, image_id="image-0"), patient, [status])

    def _step(self, actor: Actor) -> None:
        status, dice = actor.was[-1], self._rng.random()
        actor.since.append(self._clock.now())
        if not actor.present:
            actor.present = True
            actor.expected.append(("recovered", status, status))
        elif actor.patient and dice < self._cues.vanishing:
            actor.present = False
            actor.expected.append(("missing", status, None))
            self._cloud.world.vanish(actor.id)
            return
        else:
            after = actor.was[-2] if status == "ERROR" else "ERROR" if dice < 0.3 else NEXT[status]
            actor.images += (status, after) == ("BUILDING", "BUILT")
            actor.was.append(after)
            actor.expected.append(("transition", status, after))
        self._cloud.world.put(id=actor.id, name="office", status=actor.was[-1], image_id=f"image-{actor.images}")


def check_story(actor: Actor, events: list[Json]) -> None:
    """What one receiver was told of an instance is what happened to it."""
    told = [(event["kind"], event["from"], event["to"]) for event in events]
    what = f"told {told} of {actor}"
    status, *_ = walked = [actor.was[0]]
    for kind, before, after in told:
        assert before == status, what
        status = after if kind == "transition" else status
    assert status == actor.was[-1], what
    if actor.patient:
        assert told == actor.expected, what
        assert not any(event["inferred"] for event in events), what
    else:
        assert {kind for kind, _, _ in told} <= {"transition"}, what
        walked += [each for event in events for each in (*event["inferred"], event["to"])]
        way = iter(actor.was)
        assert all(each in way for each in walked), f"{walked} is not the way of {actor}"
    firing = {name for name, so in {"error": status == "ERROR", "missing": not actor.present}.items() if so}
    assert check_alerts(events) & {"error", "missing"} == firing, what
