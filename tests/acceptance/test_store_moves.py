"""The watcher goes on where it was when its store moves, or comes back from a backup, whichever kind it is."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import re
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import pytest

from tests.acceptance.process import Watcher, command, configuration, running
from tests.acceptance.test_bulk import instances
from tests.contract.stores import course
from tests.fakes.sink import Received, Reply, Sink
from tests.fakes.values import at
from tests.postgres import Postgres
from watcher.core.model import InstanceKey
from watcher.simulator import Simulator
from watcher.store import open_store

pytestmark = pytest.mark.unmeasured


class House:
    """Two instances that are watched, with whatever store, and who is told of them."""

    def __init__(self, cloud: Simulator, hooks: Sink, folder: Path) -> None:
        self.cloud = cloud
        self.hooks = hooks
        self.folder = folder
        self.ids = [cloud.world.put(name=f"office-{number}", status="BUILDING") for number in range(2)]

    @asynccontextmanager
    async def watched(self, url: str) -> AsyncIterator[Watcher]:
        config = configuration(
            self.cloud,
            self.folder,
            instances=self.ids,
            receivers=[{"name": "hooks", "type": "webhook", "url": f"{self.hooks.url}/hook"}],
            store={"url": url},
            cluster={"lease_ttl": "2s"},
        )
        async with running(config) as watcher:
            await watcher.until(lambda metrics: instances(metrics) == len(self.ids))
            yield watcher

    def put(self, number: int, status: str) -> None:
        self.cloud.world.put(id=self.ids[number], status=status)

    async def told(self, watcher: Watcher, count: int) -> list[Received]:
        """Wait until so much was accepted, and see that no more comes while everything is polled anew."""
        await self.hooks.until(lambda received: len(received) >= count)
        goal = self.cloud.requests.count("ListImageServers", 200) + 5
        await watcher.while_serving(lambda: self.cloud.requests.count("ListImageServers", 200) >= goal)
        return self.hooks.received


@pytest.fixture
async def house(cloud: Simulator, hooks: Sink, tmp_path: Path) -> House:
    return House(cloud, hooks, tmp_path)


def statuses(received: list[Received]) -> list[str]:
    return [f"{each.json['data']['instance_name'][-1]} {each.json['data']['to']}" for each in received]


async def events(watcher: Watcher, **query: Any) -> dict[str, Any]:
    words = "&".join(f"{name}={value}" for name, value in query.items())
    return json.loads((await watcher.get(f"/api/v1/events?{words}"))[1])  # type: ignore[no-any-return]


async def test_moved_there_and_back_it_tells_nothing_again_and_what_changed_once(
    house: House, postgres_url: str, tmp_path: Path
) -> None:
    first, third = f"sqlite:///{tmp_path / 'watcher.db'}", f"sqlite:///{tmp_path / 'back.db'}"
    async with house.watched(first) as watcher:
        house.put(0, "ERROR")
        await house.told(watcher, 1)
        refused = await command("store", "migrate", "--from", first, "--to", postgres_url, cwd=tmp_path)
        assert refused[0] == 1
        assert "another watcher is using" in refused[2]
        before = (await events(watcher, limit=100))["items"]
        assert await watcher.end() == 0
    house.put(1, "ERROR")
    code, out, err = await command("store", "migrate", "--from", first, "--to", postgres_url, cwd=tmp_path)
    assert (code, err) == (0, "")
    assert ["events", str(len(before))] in [line.split() for line in out.splitlines()]
    async with house.watched(postgres_url) as watcher:
        assert statuses(await house.told(watcher, 2)) == ["0 ERROR", "1 ERROR"]
        after = await events(watcher, limit=100)
        assert [each["id"] for each in after["items"]][: len(before)] == [each["id"] for each in before]
        async with aiohttp.ClientSession() as session:
            place = {"Last-Event-ID": before[-1]["id"]}
            async with session.get(f"{watcher.url}/api/v1/stream", headers=place) as stream:
                text = ""
                while "1 ERROR" not in text and house.ids[1] not in text:
                    text += (await stream.content.readline()).decode()
        assert house.ids[0] not in text
        house.put(0, "BUILT")
        await house.told(watcher, 3)
        refused = await command("store", "migrate", "--from", postgres_url, "--to", third, cwd=tmp_path)
        assert refused[0] == 1
        assert "in use by" in refused[2]
        before = (await events(watcher, limit=100))["items"]
        assert await watcher.end() == 0
    house.put(1, "BUILT")
    assert (await command("store", "migrate", "--from", postgres_url, "--to", third, cwd=tmp_path))[0] == 0
    async with house.watched(third) as watcher:
        received = await house.told(watcher, 4)
        assert statuses(received) == ["0 ERROR", "1 ERROR", "0 BUILT", "1 BUILT"]
        ends = [alert["status"] for each in received[2:] for alert in each.json["data"]["alerts"]]
        assert ends == ["resolved", "resolved"]
        after = await events(watcher, limit=100)
        assert [each["id"] for each in after["items"]][: len(before)] == [each["id"] for each in before]
        assert await watcher.end() == 0
    assert len({each.headers["webhook-id"] for each in received}) == 4


async def test_a_letter_that_waits_when_the_store_moves_is_sent_from_there(
    house: House, postgres_url: str, tmp_path: Path
) -> None:
    source = f"sqlite:///{tmp_path / 'watcher.db'}"
    house.hooks.good = Reply(503)
    async with house.watched(source) as watcher:
        house.put(0, "ERROR")
        await house.hooks.until(lambda received: len(received) >= 1)
        assert await watcher.end() == 0
    refused = len(house.hooks.received)
    house.hooks.good = Reply()
    assert (await command("store", "migrate", "--from", source, "--to", postgres_url, cwd=tmp_path))[0] == 0
    async with house.watched(postgres_url) as watcher:
        received = await house.told(watcher, refused + 1)
        assert len(received) == refused + 1
        assert len({each.headers["webhook-id"] for each in received}) == 1
        assert await watcher.end() == 0


async def _from_backup(house: House, url: str, backup: Any, restore: Any) -> None:
    """A backup while it runs; later the machine is lost and the backup put in place."""
    async with house.watched(url) as watcher:
        house.put(0, "ERROR")
        await house.told(watcher, 1)
        await asyncio.to_thread(backup)
        house.put(1, "ERROR")
        await house.told(watcher, 2)
        await watcher.end(signal.SIGKILL)
    house.put(0, "BUILT")
    restored = await asyncio.to_thread(restore)
    async with house.watched(restored) as watcher:
        received = await house.told(watcher, 4)
        assert statuses(received[:2]) == ["0 ERROR", "1 ERROR"]
        assert sorted(statuses(received[2:])) == ["0 BUILT", "1 ERROR"]
        assert len({each.headers["webhook-id"] for each in received}) == 3  # what is told again has the id it had
        house.put(1, "BUILT")
        assert statuses(await house.told(watcher, 5))[4:] == ["1 BUILT"]
        assert await watcher.end() == 0


async def test_a_sqlite_store_from_a_backup_made_while_it_ran(house: House, tmp_path: Path) -> None:
    path, copy = tmp_path / "watcher.db", tmp_path / "backup.db"

    def backup() -> None:
        with closing(sqlite3.connect(path)) as running, closing(sqlite3.connect(copy)) as there:
            running.backup(there)

    def restore() -> str:
        for each in tmp_path.glob("watcher.db*"):
            each.unlink()
        copy.rename(path)
        return f"sqlite:///{path}"

    await _from_backup(house, f"sqlite:///{path}", backup, restore)


async def test_a_sqlite_store_vacuumed_into_another_while_it_ran(house: House, tmp_path: Path) -> None:
    path, copy = tmp_path / "watcher.db", tmp_path / "backup.db"

    def backup() -> None:
        with closing(sqlite3.connect(path)) as running:
            running.execute("VACUUM INTO ?", [str(copy)])

    await _from_backup(house, f"sqlite:///{path}", backup, lambda: f"sqlite:///{copy}")


async def test_a_postgresql_store_from_a_dump_made_while_it_ran(
    house: House, postgres_server: Postgres, postgres_url: str
) -> None:
    dump = str(postgres_server.folder / "watcher.dump")

    def restore() -> str:
        url = postgres_server.database(like="template0")
        postgres_server.run("pg_restore", "--exit-on-error", "--no-owner", "-d", url, dump)
        return url

    await _from_backup(
        house, postgres_url, lambda: postgres_server.run("pg_dump", "-Fc", "-f", dump, postgres_url), restore
    )


_HELD_AT_THE_LAST = """
CREATE FUNCTION wait_for_the_test() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN PERFORM pg_advisory_xact_lock(1); RETURN NULL; END $$;
CREATE TRIGGER held BEFORE INSERT ON deliveries EXECUTE FUNCTION wait_for_the_test();
"""


async def test_interrupted_on_a_terminal_it_has_moved_nothing_and_can_begin_again(
    postgres_url: str, tmp_path: Path
) -> None:
    source = f"sqlite:///{tmp_path / 'watcher.db'}"
    store, target = await open_store(source), await open_store(postgres_url)
    await store.commit([course(InstanceKey("prod", str(number)), "BUILDING") for number in range(1000)], now=at(0))
    await store.close()
    holder = await asyncpg.connect(postgres_url)
    await holder.execute(_HELD_AT_THE_LAST)
    await holder.execute("SELECT pg_advisory_lock(1)")
    arguments = ("store", "migrate", "--from", source, "--to", postgres_url)
    terminal, end = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "watcher", *arguments),
        env={"PATH": "/usr/bin:/bin", "TERM": "xterm", "COLUMNS": "120"},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=end,
    )
    os.close(end)
    shown, struck = "", False
    while data := await asyncio.to_thread(_read, terminal):
        shown += data.decode(errors="replace")
        if not struck and re.search(r"events.*1000/1000", shown) and re.search("deliveries.* 0/1000", shown):
            struck = True
            process.send_signal(signal.SIGINT)
    os.close(terminal)
    out, _ = await process.communicate()
    assert (process.returncode, out) == (130, b"")
    assert shown.rstrip().endswith("watcher: interrupted")
    assert await target.history() == []
    await target.close()
    await holder.close()
    code, told, _ = await command(*arguments, cwd=tmp_path)
    assert (code, ["events", "1000"] in [line.split() for line in told.splitlines()]) == (0, True)


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # so a terminal ends
        return b""
