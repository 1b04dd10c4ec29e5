"""What is done to replicas and to what they share, one after another: a plan by a seed, and who carries it out."""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from tests.acceptance.cast import LEASE_TTL_S, Cast, Replica, stop
from tests.acceptance.letters import MoodySink
from tests.postgres import Postgres
from watcher.core.clock import SystemClock

MOODS = (0.0, 0.0, 0.1, 0.3)
LENGTHS = {
    "kill": (0.0, 1.5),
    "freeze": (1.3, 2.5),
    "restart fast": (0.0, 2.0),
    "restart immediate": (0.0, 2.0),
    "cut": (0.0, 0.0),
    "refuse": (0.05, 0.25),
    "refuse long": (1.5, 3.0),
    "swallow": (0.05, 0.25),
    "swallow long": (1.5, 3.0),
    "drain": (0.0, 0.5),
}
"""In lease_ttl: how long the server is away, the process frozen, the line disturbed, or until another is started."""
LOST = ("kill", "freeze", "refuse long", "swallow long")
"""After these what it held is others'."""
_LETTER_AT_MOST_S = 3.0


@dataclass(frozen=True)
class Disturbance:
    """What is to be done; `at_letter`: to whoever sent a letter that has no answer yet, else to anybody."""

    kind: str
    at_letter: bool
    length_s: float


@dataclass(frozen=True)
class Blow:
    """What was done to a process (0: to the server), from when to when."""

    kind: str
    life: int
    began: datetime
    ended: datetime


def plan(rng: random.Random, kinds: Collection[str] = tuple(LENGTHS)) -> Iterator[Disturbance]:
    """All these sorts in any order, again and again."""
    while True:
        for kind in rng.sample(sorted(kinds), len(kinds)):
            yield Disturbance(kind, rng.random() < 0.6, LEASE_TTL_S * rng.uniform(*LENGTHS[kind]))


class Director:
    """Carries them out. After each, all that are to be there are, and everything is held."""

    def __init__(self, *, cast: Cast, server: Postgres, sinks: Sequence[MoodySink], rng: random.Random) -> None:
        self._cast = cast
        self._server = server
        self._sinks = sinks
        self._rng = rng
        self._clock = SystemClock()
        self._never = asyncio.Event()
        self.blows: list[Blow] = []

    async def carry_out(self, disturbance: Disturbance) -> None:
        """Do it, and wait until nothing is wrong any more."""
        for sink in self._sinks:
            sink.mood = self._rng.choice(MOODS)
        kind, length_s = disturbance.kind, disturbance.length_s
        if kind.startswith("restart"):
            began = self._clock.now()
            await self._restart(kind.partition(" ")[2], length_s)
            self.blows.append(Blow(kind, 0, began, self._clock.now()))
        else:
            victim, began = await self._strike(disturbance, _STROKES[kind])
            ended = await self._undo(kind, victim, length_s)
            self.blows.append(Blow(kind, victim.life, began, ended))
        await self._cast.settled()
        await self._clock.wait(self._never, self._rng.uniform(0.0, 1.0))

    async def _restart(self, mode: str, length_s: float) -> None:
        await asyncio.to_thread(self._server.stop, mode)
        await self._clock.wait(self._never, length_s)
        await asyncio.to_thread(self._server.start)

    async def _strike(self, disturbance: Disturbance, stroke: Callable[[Replica], None]) -> tuple[Replica, datetime]:
        """From within the sink, which has not answered then."""
        struck = asyncio.Event()
        found: list[tuple[Replica, datetime]] = []

        def strike(victim: Replica) -> None:
            if not found:
                found.append((victim, self._clock.now()))
                stroke(victim)
                struck.set()

        def strike_sender(sink: MoodySink) -> None:
            for replica in self._cast.present:
                if replica.life == sink.letters[-1].life:
                    strike(replica)

        if disturbance.at_letter:
            for sink in self._sinks:
                sink.on_letter = lambda sink=sink: strike_sender(sink)  # type: ignore[misc]  # mypy#15459
            await self._clock.wait(struck, _LETTER_AT_MOST_S)
        strike(self._rng.choice(self._cast.present))
        for sink in self._sinks:
            sink.on_letter = lambda: None
        return found[0]

    async def _undo(self, kind: str, victim: Replica, length_s: float) -> datetime:
        """Let it last so long, and then have three in order again; when the victim could act again, or was no more."""
        if kind == "kill":
            assert await self._cast.ended(victim) == -signal.SIGKILL
            ended = self._clock.now()
            await self._clock.wait(self._never, length_s)
            await self._cast.enter()
            return ended
        if kind == "drain":
            ending = asyncio.create_task(self._cast.ended(victim))
            await self._clock.wait(self._never, length_s)
            await self._cast.enter()
            assert await ending == 0
            return self._clock.now()
        await self._clock.wait(self._never, length_s)
        if kind == "freeze":
            victim.send_signal(signal.SIGCONT)
        victim.store_line.mend()
        return self._clock.now()


_STROKES: dict[str, Callable[[Replica], None]] = {
    "kill": lambda replica: replica.send_signal(signal.SIGKILL),
    "drain": lambda replica: replica.send_signal(signal.SIGTERM),
    "freeze": stop,
    "cut": lambda replica: replica.store_line.cut(),
    "refuse": lambda replica: replica.store_line.refuse(),
    "refuse long": lambda replica: replica.store_line.refuse(),
    "swallow": lambda replica: replica.store_line.swallow(),
    "swallow long": lambda replica: replica.store_line.swallow(),
}
