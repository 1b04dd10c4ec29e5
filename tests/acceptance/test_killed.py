"""Killed again and again, at any moment, with receivers that fail: nothing is lost, changed, disordered or made up."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import secrets
import shutil
import signal
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.acceptance.letters import MoodySink, check_contents, check_order, check_repeats
from tests.acceptance.play import Cues, Play, check_story
from tests.acceptance.process import Watcher, configuration, running, sample
from tests.acceptance.test_bulk import instances
from tests.fakes.sink import Sink
from watcher.core.clock import SystemClock
from watcher.simulator import Simulator

pytestmark = pytest.mark.unmeasured

PATIENT, HASTY = 12, 14
MOODS = (0.0, 0.1, 0.1, 0.3, 0.5, 1.0)
KILLS = {"starting": 8, "later": 14, "letter": 12, "write": 8, "commit": 10}
COUNTS = {"letter": 20, "write": 12, "commit": 2}
LONGEST_S = 1.2  # the life of one whose moment does not come
DELAYS = {
    "starting": (0.4, 1.2),
    "later": (0.0, 1.2),
    "letter": (LONGEST_S, LONGEST_S),
    "write": (0.0, 0.01),
    "commit": (0.0, 0.002),
}


@dataclass(frozen=True)
class Kill:
    """When: `starting`, so much of what a start takes after its beginning; `later`, so many seconds after it serves.

    Or when the `count`th thing happens since it serves: a `letter` that has no answer yet, a `write` to the store, or a
    `commit` of news, which is all that is written while nobody is answered. The `delay` of a letter is how long to wait
    for it, that of what is written comes on top.
    """

    how: str
    count: int
    delay: float


def kills(rng: random.Random) -> list[Kill]:
    """So many of each sort, in any order."""
    every = [how for how, times in KILLS.items() for _ in range(times)]
    rng.shuffle(every)
    return [Kill(how, rng.randint(1, COUNTS.get(how, 1)), rng.uniform(*DELAYS[how])) for how in every]


class Killer:
    """Runs the watcher and kills it, each once: the exit code of one that is killed twice can get lost."""

    def __init__(self, sinks: tuple[MoodySink, ...], database: Path, *, start_s: float) -> None:
        self._sinks = sinks
        self._journal = database.with_name(f"{database.name}-wal")
        self._start_s = start_s
        self._clock = SystemClock()

    async def one_life(self, config: Path, kill: Kill) -> None:
        """Begin it and kill it."""
        if kill.how == "starting":
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(kill.delay * self._start_s), running(config):  # which kills what still runs
                    await asyncio.Event().wait()
            return
        for sink in self._sinks:
            if kill.how == "commit":
                sink.open.clear()
        async with running(config) as watcher:
            if kill.how in ("later", "letter"):
                await self._kill_at_letter(watcher.process, kill)
            else:
                await asyncio.to_thread(self._kill_at_write, watcher.process.pid, kill)
            assert await watcher.process.wait() == -signal.SIGKILL
        for sink in self._sinks:
            sink.on_letter = lambda: None
            sink.open.set()
        wrong = [line for line in watcher.log if line.get("level") not in ("info", "warning")]
        assert {line["event"] for line in wrong} <= {"receiver failed"}, wrong

    async def _kill_at_letter(self, process: asyncio.subprocess.Process, kill: Kill) -> None:
        """From within the sink, which has not answered then."""
        struck, coming = asyncio.Event(), iter(range(kill.count, 0, -1))

        def strike() -> None:
            if not struck.is_set():
                struck.set()
                process.kill()

        for sink in self._sinks:
            sink.on_letter = lambda: strike() if kill.how == "letter" and next(coming, 0) == 1 else None
        await self._clock.wait(struck, kill.delay)
        strike()

    def _kill_at_write(self, pid: int, kill: Kill) -> None:
        """In a thread, because the loop would often come too late to strike between two writes."""
        pause = threading.Event()
        before, left = self._written(), kill.count
        ends_s = self._clock.monotonic() + LONGEST_S
        while left and self._clock.monotonic() < ends_s:
            pause.wait(0.0002)
            now = self._written()
            left -= now != before
            before = now
        pause.wait(kill.delay)
        os.kill(pid, signal.SIGKILL)

    def _written(self) -> tuple[int, int]:
        stat = self._journal.stat()
        return stat.st_size, stat.st_mtime_ns


@pytest.mark.long
async def test_killed_at_any_moment_it_loses_nothing_and_makes_up_nothing(cloud: Simulator, tmp_path: Path) -> None:
    seed = int(os.environ.get("WATCHER_TEST_SEED") or secrets.randbelow(10**9))
    print(f"WATCHER_TEST_SEED={seed}")  # noqa: T201 - shown when it fails, to have it again
    rng = random.Random(seed)
    async with MoodySink(random.Random(rng.random())) as single, MoodySink(random.Random(rng.random())) as digests:
        sinks = (single, digests)
        play = Play(cloud, sinks, random.Random(rng.random()), Cues(patient=PATIENT, hasty=HASTY))

        def config(life: int) -> Path:
            hook = {"type": "webhook", "timeout": "5s"}
            return configuration(
                cloud,
                tmp_path,
                instances=[actor.id for actor in play.actors],
                receivers=[
                    {"name": "single", "url": f"{single.url}/{life}", "digest_over": 0, **hook},
                    {"name": "digests", "url": f"{digests.url}/{life}", **hook},
                ],
                poll={"interval": "100ms", "steady_interval": "100ms"},
                alerts={"flapping": {"changes": 1_000_000}, "stuck": {"learned": False}},  # the play is not real life
            )

        clock = SystemClock()
        began_s = clock.monotonic()
        async with running(config(0)) as watcher:
            killer = Killer(sinks, tmp_path / "watcher.db", start_s=clock.monotonic() - began_s)
            await watcher.until(lambda metrics: instances(metrics) == PATIENT + HASTY)
            assert await watcher.end() == 0
        over, lives = asyncio.Event(), kills(rng)
        playing = asyncio.create_task(play.go_on(over))
        for life, kill in enumerate(lives, 1):
            for sink in sinks:
                sink.mood = rng.choice(MOODS)
            await killer.one_life(config(life), kill)
        over.set()
        await playing
        for sink in sinks:
            sink.mood = 0.0
        async with running(config(len(lives) + 1)) as watcher:
            await drained(watcher, cloud)
            assert await watcher.end() == 0
    check_contents([*single.letters, *digests.letters])
    for sink in sinks:
        check_order(sink.letters)
        assert not sink.overtaken, "sent while an earlier one of the instance had no answer"
        assert set(sink.told) == {actor.id for actor in play.actors}
        for actor in play.actors:
            check_story(actor, list(sink.told[actor.id].values()))
        # Else it was hardly ever killed while something was under way:
        assert check_repeats(sink.letters, killed=range(1, len(lives) + 1)) >= 10
    assert sum(len(actor.expected) for actor in play.patient) >= 2 * PATIENT


async def drained(watcher: Watcher, cloud: Simulator) -> None:
    """Wait until it has seen and told all there is."""
    goal = cloud.requests.count("ListImageServers", 200) + 20
    await watcher.while_serving(lambda: cloud.requests.count("ListImageServers", 200) >= goal)
    both = ("single", "digests")
    await watcher.until(
        lambda metrics: not any(sample(metrics, "watcher_notifications_pending", receiver=name) for name in both)
    )


async def test_what_it_finds_again_because_its_store_was_put_back_has_the_id_it_had(
    cloud: Simulator, hooks: Sink, tmp_path: Path
) -> None:
    office = cloud.world.put(name="office", status="BUILDING")
    receivers = [{"name": "hooks", "type": "webhook", "url": f"{hooks.url}/hook"}]
    config = configuration(cloud, tmp_path, instances=[office], receivers=receivers)
    async with running(config) as watcher:
        await watcher.until(lambda metrics: instances(metrics) == 1)
        assert await watcher.end() == 0
    shutil.copy(tmp_path / "watcher.db", tmp_path / "earlier.db")
    cloud.world.put(id=office, status="ERROR")
    for times in (1, 2):
        async with running(config) as watcher:
            await hooks.until(lambda received, times=times: len(received) == times)  # type: ignore[misc]  # mypy#15459
            await watcher.end(signal.SIGKILL)
        for path in tmp_path.glob("watcher.db-*"):
            path.unlink()
        shutil.copy(tmp_path / "earlier.db", tmp_path / "watcher.db")
    first, second = hooks.received
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == first.json["data"]["id"]
    changing = {"observed_at", "previous_observed_at", "duration_s", "alerts"}
    assert first.json["data"].keys() == second.json["data"].keys()
    for key in first.json["data"].keys() - changing:
        assert first.json["data"][key] == second.json["data"][key], key
