"""Three replicas, disturbed for so long, and what must hold of it: `python -m tests.acceptance.replicas --help`."""

from __future__ import annotations

import argparse
import asyncio
import random
import secrets
import tempfile
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from tests.acceptance.aftermath import (
    Excuses,
    check_again,
    check_claimed,
    check_polls,
    check_rate,
    check_take_overs,
    in_figures,
    take_overs,
)
from tests.acceptance.books import Present, Tenure, check_writes
from tests.acceptance.cast import RECEIVERS, REPLICAS, SOURCES, Cast
from tests.acceptance.disturbances import LENGTHS, LOST, Blow, Director, plan
from tests.acceptance.letters import MoodySink, check_contents, check_order
from tests.acceptance.play import Cues, Play, check_story
from tests.postgres import Postgres, postgres
from watcher.core.clock import SystemClock
from watcher.simulator import Fault, Scenario, Simulator

PATIENT, HASTY = 45, 45
_CUES = Cues(patient=PATIENT, hasty=HASTY, pause_s=(0.1, 0.5), eager=0.2, vanishing=0.1)
_SLOW = Fault(kind="latency", probability=0.3, ms=300)

Say = Callable[[str], None]


@dataclass(frozen=True)
class Run:
    """All that was seen of one."""

    cast: Cast
    play: Play
    sinks: tuple[MoodySink, ...]
    blows: list[Blow]
    ends: Present


async def disturbed(
    *, minutes: float, seed: int, folder: Path, say: Say, kinds: Collection[str] = tuple(LENGTHS)
) -> None:
    """Disturb three replicas for so long, and at least once in each of these ways; then check all that was seen."""
    rng = random.Random(seed)
    cloud = Simulator(Scenario(), speed=0)
    with postgres() as server:
        async with (
            cloud,
            MoodySink(random.Random(rng.random())) as single,
            MoodySink(random.Random(rng.random())) as digests,
        ):
            sinks = (single, digests)
            cloud.faults.add(_SLOW)  # so that there is always something under way
            play = Play(cloud, sinks, random.Random(rng.random()), _CUES)
            async with Cast(
                cloud=cloud, sinks=sinks, store_url=server.database(), actors=play.actors, folder=folder
            ) as cast:
                run = await _perform(cast, play, sinks, server, rng, minutes=minutes, kinds=kinds, say=say)
                await _check(run, say=say)


async def _perform(
    cast: Cast,
    play: Play,
    sinks: tuple[MoodySink, ...],
    server: Postgres,
    rng: random.Random,
    *,
    minutes: float,
    kinds: Collection[str],
    say: Say,
) -> Run:
    clock = SystemClock()
    for _ in range(REPLICAS):
        await cast.enter()
    await cast.settled()
    await cast.until(lambda now: now.known == len(play.actors))
    over = asyncio.Event()
    playing = asyncio.create_task(play.go_on(over))
    director = Director(cast=cast, server=server, sinks=sinks, rng=rng)
    began_s = clock.monotonic()
    for number, disturbance in enumerate(plan(rng, kinds)):
        if number >= len(kinds) and clock.monotonic() - began_s > 60 * minutes:
            break
        await director.carry_out(disturbance)
        blow = director.blows[-1]
        say(f"{clock.monotonic() - began_s:6.1f} s  {blow.kind} of {blow.life or 'the server'}")
    over.set()
    await playing
    for sink in sinks:
        sink.mood = 0.0
    await cast.until(lambda now: _is_even(now) and len(now.replicas) == REPLICAS)
    seen = len(cast.polls)
    await cast.until(lambda _: len(cast.polls) > seen + 3 * len(play.actors))
    await cast.until(lambda now: not now.pending and not now.claimed)
    ends = await cast.books.present()
    return Run(cast, play, sinks, director.blows, ends)


def _is_even(now: Present) -> bool:
    counts = Counter(holder for lease, holder in now.holders.items() if lease.startswith("source/"))
    return set(counts.values()) == {SOURCES // REPLICAS}


async def _check(run: Run, *, say: Say) -> None:
    changes, writes = await run.cast.books.leases(), await run.cast.books.writes()
    tenure, excuses = Tenure(changes), Excuses(run.blows, writes)
    check_writes(writes, tenure)
    check_contents([letter for sink in run.sinks for letter in sink.letters])
    for name, sink in zip(RECEIVERS, run.sinks, strict=True):
        check_order(sink.letters, may_be_late=lambda letter: excuses.late(letter) is not None)
        for actor in run.play.actors:
            check_story(actor, list(sink.told[actor.id].values()))
        again = check_again(sink.letters, name, excuses)
        mine = [write for write in writes if write.lease == f"receiver/{name}"]
        late = check_claimed(sink.letters, name, mine, tenure)
        say(f"{name}: {len(sink.letters)} letters, {again} again, {late} were under way when others took over")
    late = check_polls(run.cast.polls, run.cast.sources, run.blows, tenure)
    say(f"{len(run.cast.polls)} polls, {late} were under way when others took over")
    check_rate(run.cast.polls, run.cast.sources, run.play.actors, tenure)
    found = take_overs(
        run.blows, tenure, run.cast.polls, {f"source/{name}": ids for name, ids in run.cast.sources.items()}
    )
    for kind in sorted({each.blow.kind for each in found}):
        mine_ = [each for each in found if each.blow.kind == kind]
        polled = [each.polled_s for each in mine_ if each.polled_s is not None]
        freed, held = in_figures([each.freed_s for each in mine_]), in_figures([each.held_s for each in mine_])
        say(f"after {kind}: free after {freed}; held by another after {held}; polled after {in_figures(polled)}")
    check_take_overs(found)
    for blow in run.blows:
        if blow.kind not in LOST:
            dead = [each for each in tenure.changes(after=blow.began, before=blow.ended) if tenure.is_loss(each)]
            assert not dead, f"by {blow} these were taken to be dead: {dead}"
    assert set(run.ends.holders.values()) == run.ends.replicas
    assert run.ends.holders.keys() == run.cast.leases
    assert not run.ends.pending
    assert not run.ends.claimed


def main() -> None:
    """Run it as it is asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.acceptance.replicas", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0, help="of disturbances")
    parser.add_argument("--seed", type=int, default=None, help="plans the same again")
    parser.add_argument("--only", nargs="+", choices=LENGTHS, default=tuple(LENGTHS), help="these disturbances")
    given = parser.parse_args()
    seed = given.seed if given.seed is not None else secrets.randbelow(10**9)
    print(f"WATCHER_TEST_SEED={seed}", flush=True)  # noqa: T201 - a program
    with tempfile.TemporaryDirectory(prefix="watcher-replicas-") as folder:
        asyncio.run(
            disturbed(minutes=given.minutes, seed=seed, folder=Path(folder), say=_say, kinds=given.only),
        )


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - a program


if __name__ == "__main__":
    main()
