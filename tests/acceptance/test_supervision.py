"""Signals at the worst moment, a machine that runs out of something, clocks that jump, names that do not resolve."""

from __future__ import annotations

import asyncio
import os
import re
import resource
import signal
import socket
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.process import Watcher, configuration, launched, running, sample, source
from tests.components import program
from tests.fakes.sink import Reply, Sink
from tests.integration.cloud.raw_server import read_head, serve
from watcher.core.clock import SystemClock
from watcher.core.model import DeliveryState
from watcher.simulator import Fault, Scenario, Simulator
from watcher.store import open_store

pytestmark = pytest.mark.unmeasured

CLOCK = SystemClock()


def receiver(hooks: Sink, **more: Any) -> dict[str, Any]:
    return {"name": "hooks", "type": "webhook", "url": f"{hooks.url}/hook", **more}


def office_is(status: str) -> Callable[[Mapping[str, float]], bool]:
    return lambda metrics: bool(sample(metrics, "watcher_instances", source="prod", status=status))


async def pending(folder: Path) -> int:
    """How many deliveries wait in the store of a watcher that has ended."""
    store = await open_store(f"sqlite:///{folder / 'watcher.db'}")
    try:
        return (await store.unfinished()).get(("hooks", DeliveryState.PENDING), 0)
    finally:
        await store.close()


async def ended_in(watcher: Watcher, *signals: signal.Signals) -> tuple[int, float]:
    """Send these at once: the exit code, and after how many seconds."""
    began_s = CLOCK.monotonic()
    for number in signals[:-1]:
        watcher.process.send_signal(number)
    code = await watcher.end(signals[-1])
    return code, CLOCK.monotonic() - began_s


@contextmanager
def locked(database: Path) -> Iterator[None]:
    """Nobody else can write to the database."""
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


async def stopped_before_the_store_is_open(folder: Path) -> None:
    async with Simulator(Scenario(), speed=0) as cloud:
        config = configuration(cloud, folder, instances=[cloud.world.put(name="office")], receivers=[])
        database = folder / "watcher.db"
        with closing(sqlite3.connect(database)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
        async with launched(config) as watcher:
            with locked(database):
                while not (folder / "watcher.db.lock").exists():
                    await CLOCK.sleep(0.02)
                await CLOCK.sleep(0.5)  # it has come to the lock by then
                watcher.process.send_signal(signal.SIGTERM)
                await watcher.logged("draining")
            code, took_s = await ended_in(watcher, signal.SIGTERM)
        assert (code, took_s < 5.0) == (0, True), took_s
        assert cloud.requests.count() == 0


async def stopped_in_its_first_poll(folder: Path) -> None:
    async with Simulator(Scenario(), speed=0) as cloud:
        config = configuration(cloud, folder, instances=[cloud.world.put(name="office")], receivers=[])
        cloud.faults.add(Fault(kind="hang", id="hang", count=1000))
        async with running(config) as watcher:
            watcher.process.send_signal(signal.SIGHUP)  # right after the start
            while cloud.faults.active()[0].remaining == 1000:
                await CLOCK.sleep(0.02)
            assert (await watcher.get("/-/ready"))[0] == 503
            assert (await watcher.get("/-/healthy"))[0] == 200
            code, took_s = await ended_in(watcher, signal.SIGINT)
        assert (code, 4.5 < took_s < 8.0) == (0, True), took_s


async def stopped_in_a_commit(folder: Path) -> None:
    async with Simulator(Scenario(), speed=0) as cloud, Sink() as hooks:
        office = cloud.world.put(name="office", status="BUILDING")
        config = configuration(cloud, folder, instances=[office], receivers=[receiver(hooks)])
        async with running(config) as watcher:
            await watcher.until(office_is("BUILDING"))
            with locked(folder / "watcher.db"):
                cloud.world.put(id=office, status="ERROR")
                await asked(cloud, 1)  # what this says cannot be committed
                watcher.process.send_signal(signal.SIGTERM)
                await watcher.logged("draining")
                await CLOCK.sleep(0.5)
            code, took_s = await ended_in(watcher, signal.SIGTERM)
        assert (code, took_s < 10.0) == (0, True), took_s
        async with running(config) as watcher:
            await hooks.until(lambda received: len(received) == 1)
            assert await watcher.end() == 0
        assert [request.json["data"]["to"] for request in hooks.received] == ["ERROR"]


async def stopped_in_a_delivery(folder: Path) -> None:
    async with Simulator(Scenario(), speed=0) as cloud, Sink(Reply(hang=True)) as hooks:
        office = cloud.world.put(name="office", status="BUILDING")
        config = configuration(cloud, folder, instances=[office], receivers=[receiver(hooks, timeout="60s")])
        async with running(config) as watcher:
            await watcher.until(office_is("BUILDING"))
            cloud.world.put(id=office, status="ERROR")
            await hooks.until(lambda received: len(received) == 1)
            watcher.process.send_signal(signal.SIGTERM)
            began_s = CLOCK.monotonic()
            await watcher.logged("draining")
            assert (await watcher.get("/-/ready"))[0] == 503
            watcher.process.send_signal(signal.SIGHUP)  # while it drains
            code, _ = await ended_in(watcher, signal.SIGINT, signal.SIGTERM)
            took_s = CLOCK.monotonic() - began_s
        assert (code, 14.5 < took_s < 18.0) == (0, True), took_s
        assert await pending(folder) == 1
        async with running(config) as watcher:
            await hooks.until(lambda received: len(received) == 2)
            assert await watcher.end() == 0
        assert await pending(folder) == 0
        first, second = hooks.received
        assert (first.body, first.headers["webhook-id"]) == (second.body, second.headers["webhook-id"])


async def test_whenever_it_is_told_to_stop_it_does_so_in_time_and_loses_nothing(tmp_path: Path) -> None:
    async with asyncio.TaskGroup() as group:
        for each in (
            stopped_in_a_delivery,
            stopped_in_its_first_poll,
            stopped_before_the_store_is_open,
            stopped_in_a_commit,
        ):
            folder = tmp_path / each.__name__
            folder.mkdir()
            group.create_task(each(folder), name=each.__name__)


def cpu_s(watcher: Watcher) -> float:
    """What it has spent of the processors' time."""
    fields = Path(f"/proc/{watcher.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_mib(watcher: Watcher) -> float:
    """How much memory it holds."""
    return int(Path(f"/proc/{watcher.process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


async def becomes(watcher: Watcher, path: str, status: int) -> str:
    """Ask until it answers so; what it says then."""
    async with asyncio.timeout(30.0):
        while (answer := await watcher.get(path))[0] != status:
            await CLOCK.sleep(0.02)
    return answer[1]


async def asked(cloud: Simulator, times: int, *, timeout_s: float = 20.0) -> None:
    """Wait until the cloud has given so many more good answers."""
    goal = cloud.requests.count(None, 200) + times
    async with asyncio.timeout(timeout_s):
        while cloud.requests.count(None, 200) < goal:
            await CLOCK.sleep(0.02)


async def test_out_of_file_descriptors_it_polls_on_and_serves_again_when_there_are_some(
    cloud: Simulator, hooks: Sink, tmp_path: Path
) -> None:
    office = cloud.world.put(name="office", status="BUILDING")
    config = configuration(cloud, tmp_path, instances=[office], receivers=[receiver(hooks)])
    async with running(config) as watcher:
        await watcher.until(office_is("BUILDING"))
        pid = watcher.process.pid
        used = len(list(Path(f"/proc/{pid}/fd").iterdir()))
        limit = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (used + 8, limit[1]))
        address = watcher.url.removeprefix("http://").split(":")
        with ExitStack() as crowd:
            for _ in range(40):
                client = crowd.enter_context(socket.socket())
                client.connect((address[0], int(address[1])))
            await watcher.logged("cannot accept connections: Too many open files")
            began_s, spent_s = CLOCK.monotonic(), cpu_s(watcher)
            await asked(cloud, 10)
            assert cpu_s(watcher) - spent_s < 0.5 * (CLOCK.monotonic() - began_s) + 0.2
        assert len(watcher.log) < 20  # a few times, not for each client
        cloud.world.put(id=office, status="ERROR")
        await hooks.until(lambda received: len(received) == 1)
        await becomes(watcher, "/-/healthy", 200)
        assert await watcher.end() == 0


async def test_on_a_full_disk_it_says_so_and_tells_what_it_kept_when_there_is_room(
    cloud: Simulator, hooks: Sink, tmp_path: Path
) -> None:
    office = cloud.world.put(name="office", status="BUILDING")
    config = configuration(cloud, tmp_path, instances=[office], receivers=[receiver(hooks)])
    async with running(config) as watcher:
        await watcher.until(office_is("BUILDING"))
        pid = watcher.process.pid
        limit = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (1024, limit[1]))
        cloud.world.put(id=office, status="ERROR")
        said = await becomes(watcher, "/-/healthy", 503)
        assert said.startswith("watcher is not healthy: cannot write the store: ")
        assert not sample(await watcher.metrics(), "watcher_store_up")
        await asked(cloud, 5)
        assert hooks.received == []
        resource.prlimit(pid, resource.RLIMIT_FSIZE, limit)
        await hooks.until(lambda received: len(received) == 1)
        await becomes(watcher, "/-/healthy", 200)
        assert await watcher.end() == 0
    assert [request.json["data"]["to"] for request in hooks.received] == ["ERROR"]


async def test_what_cannot_be_resolved_or_never_ends_concerns_nobody_else_and_is_said(
    cloud: Simulator, hooks: Sink, tmp_path: Path
) -> None:
    async def for_ever(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1073741824\r\n\r\n")
        while True:
            writer.write(b" " * 2**20)
            await writer.drain()

    office = cloud.world.put(name="office", status="BUILDING")
    nowhere = {"endpoint": "https://cloud.invalid", "iam_endpoint": "https://iam.invalid"}
    async with serve(for_ever) as hostile:
        flood = {"endpoint": f"http://{hostile}", "iam_endpoint": f"http://{hostile}"}
        config = configuration(
            cloud,
            tmp_path,
            receivers=[receiver(hooks), {**receiver(hooks), "name": "lost", "url": "https://hooks.invalid/hook"}],
            sources=[
                source(cloud, instances=[office]),
                {**source(cloud, name="lost", instances=["4711"]), **nowhere},
                {**source(cloud, name="flooded", instances=["4712"]), **flood},
            ],
        )
        async with running(config, RES_OPTIONS="attempts:0") as watcher:  # so that no name server is asked
            await watcher.until_ready()
            before_mib = rss_mib(watcher)
            began_s, spent_s = CLOCK.monotonic(), cpu_s(watcher)
            await asked(cloud, 10)
            cloud.world.put(id=office, status="ERROR")
            await hooks.until(lambda received: len(received) == 1)
            lost = await watcher.logged("receiver failed")
            assert (await watcher.get("/-/healthy"))[0] == 200
            assert cpu_s(watcher) - spent_s < 0.5 * (CLOCK.monotonic() - began_s) + 0.3
            assert rss_mib(watcher) - before_mib < 40
            watcher.process.send_signal(signal.SIGSTOP)  # a loop that does not turn
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1.0):
                    await watcher.get("/-/healthy")
            watcher.process.send_signal(signal.SIGCONT)
            assert (await watcher.get("/-/healthy"))[0] == 200
            assert await watcher.end() == 0
    failed = {line["source"]: line["error"] for line in watcher.log if line["event"] == "source failed"}
    assert failed.keys() == {"lost", "flooded"}
    # The words behind the names are those of the C library.
    assert re.fullmatch("cannot reach cloud.invalid: .*name.*", failed["lost"], re.IGNORECASE)
    assert re.fullmatch("cannot connect to hooks.invalid:443: .*name.*", lost["error"], re.IGNORECASE)
    assert failed["flooded"].startswith("the answer is larger than 8 MiB")


def faketime_library() -> str:
    """The library that `faketime` puts before a program, in its form for threads."""
    faketime = Path(program("faketime", package="faketime")).resolve()
    found = [
        *Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"),
        *faketime.parents[1].glob("lib/**/libfaketimeMT*"),
    ]
    return str(found[0])


async def test_a_clock_that_jumps_stops_no_poll_and_neither_loses_nor_delays_nor_repeats_anything(
    cloud: Simulator, hooks: Sink, tmp_path: Path
) -> None:
    offset = tmp_path / "offset"
    offset.write_text("+0\n")
    faked = {
        "LD_PRELOAD": faketime_library(),
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_TIMESTAMP_FILE": str(offset),
    }
    jumping, building = (cloud.world.put(name=name, status="BUILDING") for name in ("jumping", "building"))
    known = cloud.credentials
    config = configuration(
        cloud,
        tmp_path,
        instances=[jumping, building],
        receivers=[receiver(hooks)],
        auth={"method": "password", "user": known.user, "domain": known.domain, "password": known.password},
    )
    hooks.good = Reply(status=503)
    async with running(config, **faked) as watcher:
        await watcher.until(office_is("BUILDING"))
        for status, hours in (("ERROR", 1), ("BUILT", 23), ("ERROR", -24), ("ACTIVE", -24)):
            cloud.world.put(id=jumping, status=status)
            async with asyncio.timeout(20.0):
                while not any(line.get("to_status") == status for line in watcher.log[-3:]):
                    await CLOCK.sleep(0.02)
            offset.write_text(f"{3600 * hours:+d}\n")
            await asked(cloud, 6)
        hooks.received.clear()
        hooks.good = Reply()
        await hooks.until(lambda received: len(received) >= 4, timeout_s=75.0)
        assert (await watcher.get("/-/healthy"))[0] == 200
        assert await watcher.end() == 0
    assert await pending(tmp_path) == 0
    told = [request.json["data"] for request in hooks.received]
    assert [(event["to"], event["sequence"]) for event in told if event["instance_id"] == jumping] == [
        ("ERROR", 2),
        ("BUILT", 3),
        ("ERROR", 4),
        ("ACTIVE", 5),
    ]
    # By the wall clock, which is all that outlasts a restart, it was a day in one status: told once, and no more.
    assert [event["kind"] for event in told if event["instance_id"] == building] in ([], ["stuck"])
    assert all(event["duration_s"] >= 0 for event in told)
