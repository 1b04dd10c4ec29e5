"""Three replicas seen from outside: whichever is asked shows the whole, and what is done on one holds for all."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.process import Watcher, command, configuration, launched, source
from tests.acceptance.test_stream import messages
from tests.fakes.sink import Reply, Sink
from watcher.core.clock import SystemClock
from watcher.simulator import Simulator

pytestmark = pytest.mark.unmeasured

SOURCES = 6
_LOOK_S = 0.05

Item = dict[str, Any]


@dataclass(frozen=True)
class Three:
    """The replicas, one that serves the receiver and two that do not, and what they watch, by source."""

    serves: Watcher
    others: Sequence[Watcher]
    offices: dict[str, str]
    folder: Path

    @property
    def all(self) -> list[Watcher]:
        return [self.serves, *self.others]

    async def run(self, watcher: Watcher, *arguments: str) -> str:
        """What a command prints that asks this one."""
        code, out, err = await command(*arguments, cwd=self.folder, WATCHER_URL=watcher.url, USER="ada")
        assert (code, err) == (0, ""), (code, out, err)
        return out

    async def agree(self, name: str, enough: Callable[[list[Item]], bool]) -> list[Item]:
        """Ask each until its list is as it should be; that of the first."""
        return (await asyncio.gather(*(until(watcher, name, enough) for watcher in self.all)))[0]


async def items(watcher: Watcher, name: str) -> list[Item]:
    status, text = await watcher.get(f"/api/v1/{name}")
    assert status == 200, text
    found: list[Item] = json.loads(text)["items"]
    return found


async def until(watcher: Watcher, name: str, enough: Callable[[list[Item]], bool]) -> list[Item]:
    clock = SystemClock()
    async with asyncio.timeout(20.0):
        while not enough(found := await items(watcher, name)):
            await clock.sleep(_LOOK_S)
    return found


async def itself(watcher: Watcher) -> Item:
    [found] = [each for each in await items(watcher, "replicas") if each["is_self"]]
    return found


def waits(deliveries: list[Item]) -> bool:
    return "pending" in {each["state"] for each in deliveries}


def is_shared(replicas: list[Item]) -> bool:
    return (
        sorted(len(each["sources"]) for each in replicas) == [2, 2, 2]
        and sum(len(each["receivers"]) for each in replicas) == 1
    )


@asynccontextmanager
async def three(cloud: Simulator, hooks: Sink, url: str, folder: Path) -> AsyncIterator[Three]:
    """Started, and everything is shared evenly."""
    offices = {f"s{n}": cloud.world.put(name=f"office-{n}", status="BUILDING") for n in range(SOURCES)}
    path = configuration(
        cloud,
        folder,
        receivers=[{"name": "hooks", "type": "webhook", "url": f"{hooks.url}/hook"}],
        store={"url": url},
        cluster={"lease_ttl": "3s"},
    )
    document = json.loads(path.read_text())
    document["sources"] = [source(cloud, name=name, instances=[office]) for name, office in offices.items()]
    path.write_text(json.dumps(document))
    async with AsyncExitStack() as stack:
        watchers = [await stack.enter_async_context(launched(path)) for _ in range(3)]
        for watcher in watchers:
            watcher.url = (await watcher.logged("started"))["url"]
        for watcher in watchers:
            await until(watcher, "replicas", is_shared)
        serving = {watcher.url: bool((await itself(watcher))["receivers"]) for watcher in watchers}
        [serves] = [watcher for watcher in watchers if serving[watcher.url]]
        others = [watcher for watcher in watchers if watcher is not serves]
        on = Three(serves, others, offices, folder)
        await on.agree("instances", lambda found: [each["status"] for each in found] == ["BUILDING"] * SOURCES)
        yield on


@pytest.mark.long
async def test_each_shows_the_whole(cloud: Simulator, hooks: Sink, postgres_url: str, tmp_path: Path) -> None:
    async with three(cloud, hooks, postgres_url, tmp_path) as on:
        ids = {(await itself(watcher))["id"] for watcher in on.all}
        assert len(ids) == 3
        for watcher in on.all:
            assert {each["id"] for each in await items(watcher, "replicas")} == ids
        for office in on.offices.values():
            cloud.world.put(id=office, status="ERROR")
        found = await on.agree("instances", lambda found: {each["status"] for each in found} == {"ERROR"})
        assert [each["source"] for each in found] == list(on.offices)
        assert {each["id"] for each in found} == set(on.offices.values())
        alerts = await on.agree("alerts", lambda found: len(found) == SOURCES)
        assert {each["instance_id"] for each in alerts} == set(on.offices.values())
        sources = await on.agree("sources", lambda found: {each["state"] for each in found} == {"up"})
        assert [each["name"] for each in sources] == list(on.offices)
        assert {each["replica"] for each in sources} == ids
        deliveries = await on.agree("deliveries", lambda found: {each["state"] for each in found} == {"delivered"})
        assert len(deliveries) == SOURCES
        events = await on.agree("events", lambda found: len(found) == 2 * SOURCES)
        assert {each["kind"] for each in events} == {"discovered", "transition"}
        for name in ("alerts", "deliveries", "events"):
            first, *rest = [await items(watcher, name) for watcher in on.all]
            assert all(each == first for each in rest), name


async def test_the_stream_of_each_tells_what_another_found(
    cloud: Simulator, hooks: Sink, postgres_url: str, tmp_path: Path
) -> None:
    async with three(cloud, hooks, postgres_url, tmp_path) as on, AsyncExitStack() as stack:
        streams = [await stack.enter_async_context(messages(watcher.url)) for watcher in on.all]
        for office in on.offices.values():
            cloud.world.put(id=office, status="ERROR")
        async with asyncio.timeout(20.0):
            for stream in streams:
                told = [await anext(stream) for _ in on.offices]
                assert {each["instance_id"] for each in told} == set(on.offices.values())


async def test_a_silence_made_on_one_holds_on_the_one_that_serves_the_receiver(
    cloud: Simulator, hooks: Sink, postgres_url: str, tmp_path: Path
) -> None:
    async with three(cloud, hooks, postgres_url, tmp_path) as on:
        first, second = on.others
        silence = (
            await on.run(first, "silence", "add", "--name", "office-*", "--duration", "1h", "--comment", "x")
        ).strip()
        for office in on.offices.values():
            cloud.world.put(id=office, status="ERROR")
        kept = await on.agree("deliveries", lambda found: len(found) == SOURCES and not waits(found))
        assert {(each["state"], each["reason"]) for each in kept} == {("suppressed", "silence")}
        assert hooks.received == []
        assert [each["id"] for each in await items(second, "silences")] == [silence]
        await on.run(second, "silence", "expire", silence)
        await hooks.until(lambda received: len(received) == SOURCES)


async def test_an_acknowledgement_made_on_one_is_seen_on_all(
    cloud: Simulator, hooks: Sink, postgres_url: str, tmp_path: Path
) -> None:
    async with three(cloud, hooks, postgres_url, tmp_path) as on:
        cloud.world.put(id=on.offices["s0"], status="ERROR")
        [alert] = await on.agree("alerts", lambda found: len(found) == 1)
        await on.run(on.others[0], "ack", alert["fingerprint"])
        [seen] = await on.agree("alerts", lambda found: bool(found[0]["acknowledged"]))
        assert seen["acknowledged"]["author"] == "ada"


async def test_a_dead_letter_retried_on_one_is_sent_by_the_one_that_serves_the_receiver(
    cloud: Simulator, hooks: Sink, postgres_url: str, tmp_path: Path
) -> None:
    async with three(cloud, hooks, postgres_url, tmp_path) as on:
        hooks.replies.append(Reply(status=400))
        cloud.world.put(id=on.offices["s0"], status="ERROR")
        await on.agree("deliveries", lambda found: [each["state"] for each in found] == ["dead"])
        await on.run(on.others[0], "deliveries", "retry", "--all-dead")
        await hooks.until(lambda received: len(received) == 2)
        await on.agree("deliveries", lambda found: [each["state"] for each in found] == ["delivered"])


@pytest.mark.long
async def test_the_commands_say_the_same_of_each(
    cloud: Simulator, hooks: Sink, postgres_url: str, tmp_path: Path
) -> None:
    async with three(cloud, hooks, postgres_url, tmp_path) as on:
        for office in on.offices.values():
            cloud.world.put(id=office, status="ERROR")
        await on.agree("deliveries", lambda found: [each["state"] for each in found] == ["delivered"] * SOURCES)
        await on.agree("instances", lambda found: {each["status"] for each in found} == {"ERROR"})
        for watcher in on.all:
            status = json.loads(await on.run(watcher, "status", "-o", "json"))
            assert {each["id"] for each in status["items"]} == set(on.offices.values())
            assert len(status["replicas"]) == 3
            for name, count in (("alerts", SOURCES), ("events", 2 * SOURCES), ("deliveries", SOURCES)):
                assert len(json.loads(await on.run(watcher, name, "-o", "json"))["items"]) == count, name
