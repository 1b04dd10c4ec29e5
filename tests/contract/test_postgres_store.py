"""What is PostgreSQL's own: servers that restart, wait, refuse or are not there, and others that write meanwhile."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from tests.components import free_port
from tests.contract.stores import KEYS, course, deliver, heads, sqlite_url, until_somebody_waits
from tests.fakes.values import at
from tests.postgres import Postgres, postgres
from watcher.core.errors import ConfigurationError, DeliveryError, FailureReason, StoreError
from watcher.core.ports import Attempt, Wanted
from watcher.core.sharing import Replica
from watcher.store import Store, open_store
from watcher.store.limits import Limits
from watcher.store.moving import move

_OPEN = """
import asyncio, sys
from watcher.store import open_store
print("ready", flush=True)
sys.stdin.readline()
asyncio.run(open_store(sys.argv[1]))
print("opened")
"""


@pytest.fixture
async def store(postgres_url: str) -> AsyncIterator[Store]:
    store = await open_store(postgres_url)
    yield store
    await store.close()


@pytest.fixture(scope="module")
def own_server() -> Iterator[Postgres]:
    """A server that these tests may stop, and that asks one user for a password."""
    with postgres() as server:
        server.execute("CREATE ROLE watcher LOGIN PASSWORD 'right'")
        server.ask_for_password("watcher")
        yield server


class TestOpening:
    """A database that is there and can be written, or one line that says why not."""

    async def test_all_is_there_when_it_is_opened_again(self, store: Store, postgres_url: str) -> None:
        changes = [course(KEYS[0], "BUILDING", "ERROR"), course(KEYS[1], *["ERROR", "BUILT"] * 4)]
        await store.commit(changes, now=at(60))
        before = await heads(store)
        again = await open_store(postgres_url)
        try:
            assert await again.load("prod") == {change.state.key: change.state for change in changes}
            assert await heads(again) == before
        finally:
            await again.close()

    async def test_commits_are_durable_whatever_the_server_does_by_default(
        self, postgres_server: Postgres, postgres_url: str
    ) -> None:
        name = postgres_url.rpartition("/")[2]
        postgres_server.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")
        store = await open_store(postgres_url)
        try:
            async with store.engine.connect() as connection:
                assert (await connection.execute(text("SHOW synchronous_commit"))).scalar() == "on"
        finally:
            await store.close()

    async def test_several_at_once_make_the_tables_once(self, postgres_url: str) -> None:
        opening = [
            await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", _OPEN, postgres_url),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
            )
            for _ in range(4)
        ]
        for process in opening:
            assert process.stdout is not None
            assert await process.stdout.readline() == b"ready\n"
        said = await asyncio.gather(*(process.communicate(b"go\n") for process in opening))
        assert [out.decode() for out, _ in said] == ["opened\n"] * 4

    async def test_a_database_of_a_newer_version(self, store: Store, postgres_url: str) -> None:
        async with store.engine.begin() as connection:
            await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        with pytest.raises(StoreError, match="another version of watcher"):
            await open_store(postgres_url)

    async def test_one_that_cannot_be_written(self, postgres_server: Postgres, postgres_url: str) -> None:
        name = postgres_url.rpartition("/")[2]
        postgres_server.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        with pytest.raises(StoreError, match=r"cannot open the store: .*read-write"):
            await open_store(postgres_url)

    async def test_a_user_with_a_schema_of_its_own_and_nothing_else(self, own_server: Postgres, tmp_path: Path) -> None:
        name = own_server.database().rpartition("/")[2]
        own_server.execute("CREATE SCHEMA watcher AUTHORIZATION watcher", database=name)
        own_server.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC", database=name)
        url = f"postgresql://watcher:right@127.0.0.1:{own_server.port}/{name}"
        replica = Replica(id="one", name="one", version="1", started_at=at(0), seen_at=at(0))
        store = await open_store(url)
        try:
            await store.join(replica, lasts_s=60)
            assert await store.beat(replica, lasts_s=60, buries=True) is not None
            await store.commit([course(KEYS[0], "BUILDING", "ERROR")], now=at(15))
            assert len(await deliver(store, 60)) == 2
            await store.leave("one")
        finally:
            await store.close()
        moved = await move(source=url, target=sqlite_url(tmp_path), on_progress=lambda *_: None)
        assert moved["events"] == 2

    async def test_of_two_hosts_the_one_that_is_up(self, postgres_url: str) -> None:
        up = postgres_url.partition("@")[2]
        url = f"postgresql://postgres@127.0.0.1:{free_port()},{up}"
        store = await open_store(url)
        try:
            await store.commit([course(KEYS[0], "BUILDING", "BUILT")], now=at(15))
            assert len(await store.history()) == 2
        finally:
            await store.close()

    @pytest.mark.parametrize(
        ("place", "says"),
        [
            ("watcher:wrongsecret@127.0.0.1:{port}/postgres", "password authentication failed"),
            ("watcher:right@127.0.0.1:{port}/nothere", 'database "nothere" does not exist'),
            ("postgres:wrongsecret@127.0.0.1:{free}/postgres", "Connect call failed|Connection refused"),
        ],
        ids=["wrong password", "no such database", "no server"],
    )
    async def test_what_cannot_be_opened(self, own_server: Postgres, place: str, says: str) -> None:
        url = "postgresql://" + place.format(port=own_server.port, free=free_port())
        with pytest.raises(StoreError, match=says) as failure:
            await open_store(url)
        assert "secret" not in str(failure.value)
        assert "\n" not in str(failure.value)

    @pytest.mark.parametrize(
        "url",
        [
            "postgresql://watcher:top/secret@127.0.0.1/watcher",
            "postgresql://watcher:top@secret@127.0.0.1/watcher",
            "postgresql://watcher:top@secret:one@127.0.0.1/watcher",
            "postgresql://watcher:top#secret@127.0.0.1/watcher",
            "postgresql://watcher:top?secret@127.0.0.1/watcher",
            "postgresql://watcher:top@[secret@127.0.0.1/watcher",
            "postgresql://watcher:topsecret@127.0.0.1/watcher?sslmode=secrecy",
        ],
    )
    async def test_what_is_no_url_is_not_shown(self, url: str) -> None:
        with pytest.raises(ConfigurationError) as failure:
            await open_store(url)
        assert "secret" not in str(failure.value)

    async def test_without_its_driver(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delitem(sys.modules, "watcher.store.postgres", raising=False)
        monkeypatch.setitem(sys.modules, "asyncpg", None)
        with pytest.raises(ConfigurationError, match=r"pip install 'watcher\[postgres\]'"):
            await open_store("postgresql://watcher:secret@127.0.0.1/watcher")


class TestTexts:
    """What others answer may hold anything, and is no reason not to write down that they did."""

    async def test_what_cannot_be_stored_is_left_out(self, store: Store) -> None:
        await store.commit([course(KEYS[0], "BUILDING")], now=at(0))
        [letter] = await heads(store)
        refused = DeliveryError("HTTP 400: a\0b", reason=FailureReason.CLIENT_ERROR, permanent=True)
        await store.record([Attempt(delivery=letter, finished_at=at(60), error=refused)])
        assert [report.answer for report in await store.reports()] == ["HTTP 400: ab"]
        await store.write_note("chat", "thread", "1712\0.34", now=at(60))
        assert await store.note("chat", "thread") == "1712.34"


class TestRestarts:
    """Servers come and go."""

    async def test_a_password_that_is_renewed_is_read_again(self, own_server: Postgres) -> None:
        name = own_server.database().rpartition("/")[2]
        own_server.execute("GRANT ALL ON SCHEMA public TO watcher", database=name)
        urls = [f"postgresql://watcher:{word}@127.0.0.1:{own_server.port}/{name}" for word in ("right", "renewed")]
        present = urls[0]
        store = await open_store(present, read_url=lambda: present)
        try:
            await store.commit([course(KEYS[0], "BUILT")], now=at(0))
            await asyncio.to_thread(own_server.execute, "ALTER ROLE watcher PASSWORD 'renewed'")
            ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'watcher'"
            await asyncio.to_thread(own_server.execute, ended)
            with pytest.raises(StoreError, match="password authentication failed"):
                await store.load("prod")
            present = urls[1]
            assert len(await store.load("prod")) == 1
        finally:
            await store.close()
            await asyncio.to_thread(own_server.execute, "ALTER ROLE watcher PASSWORD 'right'")

    @pytest.mark.parametrize("mode", ["fast", "immediate"])
    async def test_it_works_again_when_the_server_does(self, own_server: Postgres, mode: str) -> None:
        store = await open_store(own_server.database())
        try:
            going = [course(KEYS[number], "BUILDING", "BUILT") for number in range(3)]
            await store.commit(going[:1], now=at(15))
            await asyncio.to_thread(own_server.stop, mode)
            try:
                with pytest.raises(StoreError, match="cannot write the store"):
                    await store.commit(going[1:2], now=at(15))
                with pytest.raises(StoreError, match="cannot read the store"):
                    await store.history()
            finally:
                await asyncio.to_thread(own_server.start)
            await store.commit(going[1:2], now=at(15))
            await asyncio.to_thread(own_server.stop, mode)
            await asyncio.to_thread(own_server.start)
            await store.commit(going[2:], now=at(15))  # nobody saw it go
            assert len(await store.history()) == 6
            assert len(await deliver(store, 60)) == 6
        finally:
            await store.close()


class TestWaiting:
    """No longer than the limits say."""

    async def test_for_a_lock(self, store: Store, postgres_url: str) -> None:
        await self._is_refused(store, postgres_url, Limits(lock_s=0.2), "lock timeout")

    async def test_for_a_statement(self, store: Store, postgres_url: str) -> None:
        await self._is_refused(store, postgres_url, Limits(statement_s=0.2), "statement timeout")

    async def test_for_a_server_that_says_nothing(self, store: Store, postgres_url: str) -> None:
        await self._is_refused(store, postgres_url, Limits(command_s=0.2), "no answer in time")

    async def test_for_a_connection(self, store: Store, postgres_url: str) -> None:
        hasty = await open_store(postgres_url, limits=Limits(pool_s=0.2))
        try:
            async with asyncio.TaskGroup() as group:
                done, ready = asyncio.Event(), asyncio.Semaphore(0)
                readers = [group.create_task(_reading(hasty, ready, done)) for _ in range(8)]
                for _ in readers:
                    await ready.acquire()
                with pytest.raises(StoreError, match="cannot read the store"):
                    await hasty.history()
                done.set()
            assert await hasty.history() == []
        finally:
            await hasty.close()

    async def test_for_a_process_that_stands_still(self, postgres_url: str) -> None:
        store = await open_store(postgres_url, limits=Limits(command_s=0.3, connect_s=1.0))
        try:
            async with store.engine.connect() as connection:
                pid: int = (await connection.execute(text("SELECT pg_backend_pid()"))).scalar_one()
            os.kill(pid, signal.SIGSTOP)  # the next one has the same connection
            try:
                async with asyncio.timeout(30):
                    with pytest.raises(StoreError, match="no answer in time"):
                        await store.commit([course(KEYS[0], "BUILDING")], now=at(0))
                    await store.commit([course(KEYS[0], "BUILDING")], now=at(0))
            finally:
                os.kill(pid, signal.SIGCONT)
            assert len(await store.history()) == 1
        finally:
            await store.close()

    async def _is_refused(self, store: Store, url: str, limits: Limits, says: str) -> None:
        hasty = await open_store(url, limits=limits)
        try:
            async with store.engine.begin() as connection:
                await connection.execute(text("LOCK TABLE events"))
                async with asyncio.timeout(5):
                    with pytest.raises(StoreError, match=says):
                        await hasty.commit([course(KEYS[0], "BUILDING")], now=at(0))
            await hasty.commit([course(KEYS[0], "BUILDING")], now=at(0))
            assert len(await store.history()) == 1
        finally:
            await hasty.close()


async def _reading(store: Store, ready: asyncio.Semaphore, done: asyncio.Event) -> None:
    async with store.read():
        ready.release()
        await done.wait()


class TestOrder:
    """Whoever reads on from a position misses nothing, however many write."""

    async def test_an_event_that_is_committed_late_is_not_missed(self, store: Store, postgres_url: str) -> None:
        first, second = await open_store(postgres_url), await open_store(postgres_url)
        try:
            async with store.engine.begin() as connection:
                # The first has written its events, which nobody sees yet, and comes no further.
                await connection.execute(text("LOCK TABLE alert_receivers"))
                alarm = course(KEYS[0], "BUILDING", "ERROR")
                late = asyncio.create_task(first.commit([alarm], now=at(15)))
                await until_somebody_waits(connection)
                early = asyncio.create_task(second.commit([course(KEYS[1], "BUILDING", receivers=())], now=at(15)))
                behind = asyncio.create_task(until_somebody_waits(connection, many=2))
                await asyncio.wait({early, behind}, return_when=asyncio.FIRST_COMPLETED)
                seen = await store.entries(Wanted())
                await behind
            await asyncio.gather(late, early)
            seen += await store.entries(Wanted(), after=seen[-1].position if seen else 0)
            assert [entry.source for entry in seen] == ["prod"] * 3
            assert [entry.instance_id for entry in seen] == [KEYS[0].id, KEYS[0].id, KEYS[1].id]
        finally:
            await first.close()
            await second.close()
