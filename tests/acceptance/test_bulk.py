"""Many instances: read by list, discovered, within the rate limit, and true while they come and go."""

from __future__ import annotations

import asyncio
import json
import random
import signal
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.process import Watcher, command, configuration, history, running, sample, source
from tests.fakes.sink import Received, Sink
from watcher.simulator import Fault, Scenario, Simulator

pytestmark = pytest.mark.unmeasured

PAGES = 30
MANY = PAGES * 100
NO_DETAILS = {"listen": "127.0.0.1:0", "metrics_instance_limit": 0}
KINDS = {"discovered", "transition", "deleted", "missing", "recovered"}
NEXT = {"CREATING": "ACTIVE", "ACTIVE": "BUILDING", "BUILDING": "BUILT", "BUILT": "BUILDING"}

Told = tuple[str, str | None, str | None]


def receivers(hooks: Sink) -> list[dict[str, Any]]:
    return [{"name": "hooks", "type": "webhook", "url": f"{hooks.url}/hook"}]


def events_of(received: Iterable[Received]) -> list[dict[str, Any]]:
    return [request.json["data"] for request in received]


def instances(metrics: Mapping[str, float]) -> float:
    """How many instances are present, in whatever status."""
    return sum(value for key, value in metrics.items() if key.startswith("watcher_instances{"))


def listed(cloud: Simulator) -> int:
    return cloud.requests.count("ListImageServers", 200)


async def sweeps(watcher: Watcher, cloud: Simulator, count: int, *, pages: int) -> None:
    """Wait until the list has been read so many times more, from its beginning to its end."""
    goal = listed(cloud) + (count + 1) * pages
    await watcher.while_serving(lambda: listed(cloud) >= goal)


@pytest.mark.parametrize("how", ["discovered", "listed"])
async def test_3000_instances_cost_30_requests_a_cycle(how: str, cloud: Simulator, hooks: Sink, tmp_path: Path) -> None:
    ids = [cloud.world.put(name=f"office-{number:04}", status="BUILT") for number in range(MANY)]
    config = configuration(
        cloud,
        tmp_path,
        instances=ids if how == "listed" else [],
        discover=[{}] if how == "discovered" else [],
        receivers=receivers(hooks),
        poll={"interval": "1m", "steady_interval": "200ms"},
        web=NO_DETAILS,
    )

    async def look(watcher: Watcher) -> int:
        """How many cycles there were, after seeing that each asked and observed what it should."""
        asked_before = listed(cloud)
        metrics = await watcher.metrics()
        asked_after = listed(cloud)
        cycles = int(sample(metrics, "watcher_poll_cycle_duration_seconds_count", source="prod"))
        observed = sample(metrics, "watcher_observations_total", source="prod")
        assert MANY * cycles <= observed <= MANY * (cycles + 1)  # the next one may be under way
        assert asked_before <= (PAGES + 1) * (cycles + 1)
        assert asked_after >= PAGES * cycles
        return cycles

    async with running(config) as watcher:
        async with asyncio.timeout(60.0):
            while await look(watcher) < 4:
                pass
        assert hooks.received == []
        changed = ids[::60]
        for number, instance_id in enumerate(changed):
            cloud.world.put(id=instance_id, status="ERROR" if number % 2 else "ACTIVE")
        await hooks.until(lambda received: len(received) >= 50)
        cycles = await look(watcher)
        while await look(watcher) < cycles + 2:
            pass
        metrics = await watcher.metrics()
        assert await watcher.end() == 0
    assert cloud.requests.count("ShowImageServer") == 0
    assert sorted(event["instance_id"] for event in events_of(hooks.received)) == sorted(changed)
    assert len({request.headers["webhook-id"] for request in hooks.received}) == 50
    tally = Counter((event["from"], event["to"]) for event in events_of(hooks.received))
    assert tally == {("BUILT", "ACTIVE"): 25, ("BUILT", "ERROR"): 25}
    assert sample(metrics, "watcher_instances", source="prod", status="BUILT") == MANY - 50
    assert sample(metrics, "watcher_poll_stretch_ratio", source="prod") == 1


@dataclass
class Life:
    """One instance of the simulated cloud: what was done to it, as events."""

    id: str
    configured: bool
    status: str
    image_id: str = ""
    present: bool = True
    expected: list[Told] = field(default_factory=list)


class Churn:
    """Does something to one instance after another, but nothing to one of which the watcher has yet to hear."""

    def __init__(self, cloud: Simulator, watcher: Watcher, rng: random.Random, lives: list[Life]) -> None:
        self.lives = lives
        self.done: Counter[str] = Counter()
        self._cloud = cloud
        self._watcher = watcher
        self._rng = rng
        self._seen: Counter[str] = Counter()
        self._read = 0

    def settled(self) -> list[Life]:
        """Those of which the watcher knows all."""
        for line in self._watcher.log[self._read :]:
            if line["event"] in KINDS:
                self._seen[line["instance_id"]] += 1
        self._read = len(self._watcher.log)
        return [life for life in self.lives if self._seen[life.id] >= len(life.expected)]

    def step(self) -> None:
        """Create one, or do something to one that is settled."""
        settled = self.settled()
        if self._rng.random() < 0.25 or not settled:
            self._create()
            return
        wanted = self._rng.choice(["change", "change", "vanish", "delete", "delete", "end", "end", "back"])
        able = [life for life in settled if self._may(wanted, life)]
        if able:
            self.done[wanted] += 1
            self._do(wanted, self._rng.choice(able))

    def _create(self) -> None:
        status = self._rng.choice(["CREATING", "ACTIVE", "BUILT"])
        instance_id = self._cloud.world.put(name=f"new-{self.done['create']}", status=status)
        self.lives.append(Life(instance_id, configured=False, status=status, expected=[("discovered", None, status)]))
        self.done["create"] += 1

    def _may(self, wanted: str, life: Life) -> bool:
        match wanted:
            case "end":
                return life.present and life.status == "DELETING"
            case "back":
                return not life.present
            case _:
                return life.present and life.status != "DELETING"

    def _do(self, wanted: str, life: Life) -> None:
        world, before = self._cloud.world, life.status
        match wanted:
            case "change" | "delete":
                life.status = NEXT[before] if wanted == "change" else "DELETING"
                world.put(id=life.id, status=life.status)
                life.expected.append(("transition", before, life.status))
            case "vanish" | "end":
                life.image_id = world.get(life.id).image_id
                world.vanish(life.id)
                life.present = False
                kind = "missing" if life.configured and wanted == "vanish" else "deleted"
                life.expected.append((kind, before, None))
            case _:
                was_missing = life.expected[-1][0] == "missing"
                life.present = True
                life.status = before if was_missing else "CREATING"
                world.put(id=life.id, name="back", status=life.status, image_id=life.image_id)
                life.expected.append(("recovered", before, before) if was_missing else ("discovered", None, "CREATING"))


async def test_instances_that_come_and_go_while_the_list_is_read(cloud: Simulator, hooks: Sink, tmp_path: Path) -> None:
    rng = random.Random(20)
    lives = []
    for number in range(450):
        life = Life(cloud.world.put(name=f"old-{number:03}", status="BUILT"), configured=not number % 3, status="BUILT")
        life.expected.append(("discovered", None, "BUILT"))
        lives.append(life)
    config = configuration(
        cloud,
        tmp_path,
        instances=[life.id for life in lives if life.configured],
        discover=[{}],
        receivers=receivers(hooks),
        poll={"interval": "50ms", "steady_interval": "50ms", "mode": "list", "concurrency": 2},
        web=NO_DETAILS,
        log={"level": "debug"},
    )
    async with running(config) as watcher:
        churn = Churn(cloud, watcher, rng, lives)
        await watcher.while_serving(lambda: len(churn.settled()) == 450)
        for _ in range(250):
            churn.step()
            goal = listed(cloud) + rng.choice([0, 0, 1, 1, 2])  # also between two pages of one reading
            await watcher.while_serving(lambda goal=goal: listed(cloud) >= goal)  # type: ignore[misc]  # mypy#15459
        await watcher.while_serving(lambda: len(churn.settled()) == len(lives), timeout_s=20.0)
        await sweeps(watcher, cloud, 5, pages=6)
        assert await watcher.end() == 0
    assert min(churn.done[each] for each in ("create", "change", "vanish", "delete", "end", "back")) >= 10
    told: dict[str, list[Told]] = defaultdict(list)
    sequences: dict[str, list[int]] = defaultdict(list)
    for event in await history(tmp_path):
        told[event.instance_id].append((event.kind.value, event.from_status, event.to_status))
        sequences[event.instance_id].append(event.sequence)
    assert told == {life.id: life.expected for life in lives}
    assert all(numbers == list(range(1, len(numbers) + 1)) for numbers in sequences.values())
    sent: dict[str, list[Told]] = defaultdict(list)
    for data in events_of(hooks.received):
        sent[data["instance_id"]].append((data["kind"], data["from"], data["to"]))
    wanted = {life.id: [each for each in life.expected if each[0] != "discovered"] for life in lives}
    assert sent == {instance_id: events for instance_id, events in wanted.items() if events}


async def test_discovery_by_name_with_labels(cloud: Simulator, hooks: Sink, tmp_path: Path) -> None:
    both = cloud.world.put(name="office-both", status="BUILDING")
    found = cloud.world.put(name="office-found", status="BUILDING")
    other = cloud.world.put(name="lab-office-1", status="BUILDING")
    config = configuration(
        cloud,
        tmp_path,
        instances=[both],
        discover=[{"name": "office-*", "labels": {"team": "it", "floor": "2"}}],
        receivers=receivers(hooks),
    )
    async with running(config) as watcher:
        metrics = await watcher.until(lambda metrics: instances(metrics) >= 2)
        for instance_id in (other, both, found):
            cloud.world.put(id=instance_id, status="BUILT")
        await hooks.until(lambda received: len(received) >= 2)
        late = cloud.world.put(name="office-late", status="BUILDING")
        metrics = await watcher.until(lambda metrics: instances(metrics) >= 3)
        cloud.world.put(id=late, status="ERROR")
        await hooks.until(lambda received: len(received) >= 3)
        await sweeps(watcher, cloud, 3, pages=1)
        metrics = await watcher.metrics()
        assert await watcher.end() == 0
    assert {event["instance_id"]: (event["to"], event["labels"]) for event in events_of(hooks.received)} == {
        both: ("BUILT", {"team": "vdi", "floor": "2"}),
        found: ("BUILT", {"team": "it", "floor": "2"}),
        late: ("ERROR", {"team": "it", "floor": "2"}),
    }
    assert len(hooks.received) == 3
    assert instances(metrics) == 3
    assert not any(other in key for key in metrics)
    assert other not in {event.instance_id for event in await history(tmp_path)}


async def test_after_a_restart_discovery_tells_what_happened_meanwhile_once(
    cloud: Simulator, hooks: Sink, tmp_path: Path
) -> None:
    ids = [cloud.world.put(name=f"office-{number:03}", status="BUILT") for number in range(250)]
    new = []
    config = configuration(
        cloud, tmp_path, instances=ids[:5], discover=[{}], receivers=receivers(hooks), web=NO_DETAILS
    )

    async def all_told(watcher: Watcher, events: int) -> None:
        await hooks.until(lambda received: len(received) >= events)
        await watcher.until(lambda metrics: instances(metrics) == 250)
        await sweeps(watcher, cloud, 2, pages=3)
        await watcher.until(lambda metrics: not sample(metrics, "watcher_notifications_pending", receiver="hooks"))
        assert len(hooks.received) == events

    async with running(config) as watcher:
        await watcher.until(lambda metrics: instances(metrics) == 250)
        cloud.world.put(id=ids[200], status="ACTIVE")
        await all_told(watcher, 1)
        assert await watcher.end() == 0
    for turn, end in enumerate((signal.SIGKILL, signal.SIGTERM)):
        cloud.world.put(id=ids[200], status="BUILDING" if turn else "CREATING")
        cloud.world.put(id=ids[100 + turn], status="BUILDING")
        cloud.world.vanish(ids[turn])
        cloud.world.vanish(ids[50 + turn])
        new += [cloud.world.put(name=status, status=status) for status in ("BUILT", "ERROR")]
        before = len(hooks.received)
        async with running(config) as watcher:
            await all_told(watcher, before + 5)
            metrics = await watcher.metrics()
            assert await watcher.end(end) == (0 if end is signal.SIGTERM else -end)
        events = events_of(hooks.received[before:])
        assert {(event["instance_id"], event["kind"], event["from"], event["to"]) for event in events} == {
            (ids[200], "transition", *(("CREATING", "BUILDING") if turn else ("ACTIVE", "CREATING"))),
            (ids[100 + turn], "transition", "BUILT", "BUILDING"),
            (ids[turn], "missing", "BUILT", None),
            (ids[50 + turn], "deleted", "BUILT", None),
            (new[-1], "discovered", None, "ERROR"),
        }
        assert sample(metrics, "watcher_alerts", source="prod", name="missing", severity="warning") == turn + 1
    discovered = Counter(event.instance_id for event in await history(tmp_path) if event.kind.value == "discovered")
    assert discovered == dict.fromkeys([*ids, *new], 1)


async def test_no_more_is_asked_than_the_rate_limit_and_the_cloud_allow(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        clouds = {
            name: await stack.enter_async_context(Simulator(Scenario(), speed=0))
            for name in ("tight", "short", "plain", "precise")
        }
        poll = {"interval": "1s", "steady_interval": "1m", "mode": "get"}
        limits = {"tight": {**poll, "rate_limit": "60/1m"}, "short": {**poll, "rate_limit": "20/1s"}}
        sources = []
        for name, cloud in clouds.items():
            number = 100 if name in limits else 1
            ids = [cloud.world.put(status="BUILDING") for _ in range(number)]
            sources.append(source(cloud, name=name, instances=ids, poll=limits.get(name, {})))
        config = configuration(clouds["tight"], tmp_path, receivers=[], sources=sources, web=NO_DETAILS)
        async with running(config) as watcher:
            paced = await throttle(watcher, clouds["plain"], clouds["precise"])
            line = await watcher.logged("budget short")
            # Who has not answered yet counts as at rest: it is less until all have.
            stretched = await watcher.until(
                lambda metrics: sample(metrics, "watcher_poll_stretch_ratio", source="short") == pytest.approx(5)
            )
            goal = clouds["short"].requests.count() + 20
            await watcher.while_serving(lambda: clouds["short"].requests.count() >= goal)
            assert await watcher.end() == 0
        for name, least_s, most_s in (("plain", 2.0, 5.0), ("precise", 3.0, 3.0)):
            asked = clouds[name].requests.last(500)
            [refused] = [place for place, request in enumerate(asked) if request.code == 429]
            silent_s = (asked[refused + 1].at - asked[refused].at).total_seconds()
            assert least_s <= silent_s < most_s + 3.0
            assert sample(paced, "watcher_poll_pace_ratio", source=name) == pytest.approx(0.5, abs=0.02)
        assert clouds["tight"].requests.count("ShowImageServer", 200) == clouds["tight"].requests.count() == 60
        asked = clouds["short"].requests.last(500)
        passed_s = (asked[-1].at - asked[0].at).total_seconds()
        assert passed_s > 5
        assert len(asked) == clouds["short"].requests.count() <= 20 * (passed_s + 1)
    assert line["figures"] == "100 instances at 1s need 6,000 requests a minute in get mode; budget 1,200"
    assert [line["source"] for line in watcher.log if line["event"] == "budget short"] == ["short"]
    assert sample(stretched, "watcher_poll_pace_ratio", source="short") == 1


async def throttle(watcher: Watcher, plain: Simulator, precise: Simulator) -> Mapping[str, float]:
    """Have both say once that it is too much, the second for how long; the metrics at that time."""
    both = (plain, precise)
    await watcher.while_serving(lambda: all(cloud.requests.count(code=200) >= 3 for cloud in both))
    plain.faults.add(Fault(kind="throttle", count=1))
    precise.faults.add(Fault(kind="throttle", retry_after=3, count=1))
    metrics = await watcher.until(
        lambda metrics: all(
            sample(metrics, "watcher_poll_pace_ratio", source=name) < 1 for name in ("plain", "precise")
        )
    )
    goals = [cloud.requests.count(code=200) + 5 for cloud in both]
    await watcher.while_serving(
        lambda: all(cloud.requests.count(code=200) >= goal for cloud, goal in zip(both, goals, strict=True))
    )
    return metrics


async def test_one_look_at_all_that_is_discovered(cloud: Simulator, tmp_path: Path) -> None:
    ids = [cloud.world.put(name=f"office-{number:03}", status="BUILT") for number in range(250)]
    configs = []
    for name, named in (("good", []), ("unknown", ["000000000000000001"])):
        (tmp_path / name).mkdir()
        poll = {"interval": "15s", "steady_interval": "1m", "rate_limit": "180/1m"}
        config = configuration(cloud, tmp_path / name, instances=named, discover=[{}], receivers=[], poll=poll)
        configs.append(str(config))
    once, check, unknown = await asyncio.gather(
        command("once", "-c", configs[0], "-o", "json", cwd=tmp_path),
        command("check", "-c", configs[0], "--online", cwd=tmp_path),
        command("check", "-c", configs[1], "--online", cwd=tmp_path),
    )
    assert (once[0], once[2]) == (0, "")
    assert sorted(item["instance_id"] for item in json.loads(once[1])["items"]) == sorted(ids)
    assert (check[0], check[2]) == (0, "")
    assert unknown[0] == 1
    [line] = unknown[2].splitlines()
    assert "instance 000000000000000001: the cloud knows no such instance" in line
    assert cloud.requests.count("ListImageServers") == 3 * 3
    assert cloud.requests.count("ShowImageServer") <= 2
