"""What every store must do. A new one joins by a line in `STORES`."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.fakes.values import at, history
from watcher.core.errors import ConfigurationError, DeliveryError, FailureReason, StoreError
from watcher.core.model import Delivery, DeliveryState, InstanceKey, InstanceState
from watcher.core.ports import Attempt, Change
from watcher.store import Store, open_store

KEYS = [InstanceKey("prod", str(number)) for number in range(5)]


def sqlite_url(folder: Path) -> str:
    return f"sqlite:///{folder / 'watcher.db'}"


STORES: dict[str, Callable[[Path], str]] = {"sqlite": sqlite_url}


@pytest.fixture(params=STORES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return STORES[request.param](tmp_path)


@pytest.fixture
async def store(url: str) -> AsyncIterator[Store]:
    store = await open_store(url)
    yield store
    await store.close()


def change(key: InstanceKey, *statuses: str | None, receivers: tuple[str, ...] = ("hooks",)) -> Change:
    state, events = history(*statuses, key=key)
    return Change(state=state, events=tuple((event, receivers) for event in events))


async def test_states_come_back_as_they_were(store: Store, url: str) -> None:
    changes = [
        change(KEYS[0], "BUILDING", "ERROR"),
        change(KEYS[1], None, None),
        change(KEYS[2], "DELETING", None),
        change(InstanceKey("other", "0"), "NULL"),
    ]
    await store.commit(changes, now=at(60))
    await store.close()
    again = await open_store(url)
    try:
        expected = {change.state.key: change.state for change in changes[:3]}
        assert await again.load("prod") == expected
        assert len(await again.load("other")) == 1
    finally:
        await again.close()


async def test_a_state_is_replaced(store: Store) -> None:
    await store.commit([change(KEYS[0], "BUILDING")], now=at(0))
    later = change(KEYS[0], "BUILDING", "BUILT")
    await store.commit([later], now=at(15))
    assert await store.load("prod") == {KEYS[0]: later.state}


async def test_an_event_is_written_once_and_delivered_once(store: Store) -> None:
    for _ in range(2):
        await store.commit([change(KEYS[0], "BUILDING", "BUILT", receivers=("hooks", "chat"))], now=at(15))
    assert [event.sequence for _, event in await store.history()] == [1, 2]
    assert await store.unfinished() == {
        ("hooks", DeliveryState.PENDING): 2,
        ("chat", DeliveryState.PENDING): 2,
    }


async def test_history_is_read_on_from_a_position(store: Store) -> None:
    await store.commit([change(key, "BUILT") for key in KEYS], now=at(0))
    first = await store.history(limit=2)
    rest = await store.history(after=first[-1][0])
    assert [event.instance_id for _, event in first + rest] == [key.id for key in KEYS]


async def heads(
    store: Store, seconds: float = 60, *, limit: int = 10, under_way: tuple[int, ...] = ()
) -> list[Delivery]:
    return list(await store.due("hooks", now=at(seconds), limit=limit, under_way=under_way))


async def test_only_the_oldest_of_each_instance_is_due(store: Store) -> None:
    await store.commit([change(key, "BUILDING", "BUILT", "BUILDING") for key in KEYS[:2]], now=at(30))
    due = await heads(store)
    assert [(delivery.event.instance_id, delivery.event.sequence) for delivery in due] == [("0", 1), ("1", 1)]
    assert await heads(store, under_way=(due[0].id,)) == due[1:]
    assert await heads(store, limit=1) == due[:1]
    await store.record([Attempt(delivery=due[0], finished_at=at(61))])
    assert [delivery.event.sequence for delivery in await heads(store)] == [2, 1]


async def test_a_failed_one_is_due_again_at_its_time_and_holds_back_its_instance_only(store: Store) -> None:
    await store.commit([change(key, "BUILDING", "BUILT") for key in KEYS[:2]], now=at(30))
    first, second = await heads(store)
    error = DeliveryError("answered HTTP 503", reason=FailureReason.SERVER_ERROR, permanent=False)
    await store.record([Attempt(delivery=first, finished_at=at(60), error=error, next_attempt_at=at(100))])
    assert await heads(store, 99) == [second]
    again, _ = await heads(store, 100)
    assert (again.id, again.attempts) == (first.id, 1)
    assert await store.next_due_at("hooks") == at(30)
    assert await store.next_due_at("hooks", under_way=[second.id]) == at(100)


async def test_a_dead_one_no_longer_holds_back_its_instance(store: Store) -> None:
    await store.commit([change(KEYS[0], "BUILDING", "BUILT")], now=at(30))
    [first] = await heads(store)
    error = DeliveryError("answered HTTP 400", reason=FailureReason.CLIENT_ERROR, permanent=True)
    await store.record([Attempt(delivery=first, finished_at=at(60), error=error)])
    assert [delivery.event.sequence for delivery in await heads(store)] == [2]
    assert (await store.unfinished())[("hooks", DeliveryState.DEAD)] == 1


async def test_writers_at_the_same_time_take_turns(store: Store) -> None:
    async def write(key: InstanceKey) -> None:
        for length in range(1, 6):
            await store.commit([change(key, *(["BUILDING", "BUILT"] * 3)[:length])], now=at(length))

    await asyncio.gather(*map(write, KEYS))
    states: dict[InstanceKey, InstanceState] = await store.load("prod")
    assert {state.sequence for state in states.values()} == {5}
    assert len(await store.history()) == 25


async def test_a_second_watcher_is_refused(store: Store, url: str) -> None:
    with pytest.raises(StoreError, match="another watcher is using"):
        await open_store(url)


@pytest.mark.parametrize("url", ["postgresql://u:secret@h/db", "mysql://h/db", "sqlite://", "nonsense"])
async def test_what_is_no_store(url: str) -> None:
    with pytest.raises(ConfigurationError) as failure:
        await open_store(url)
    assert "secret" not in str(failure.value)


class TestSqlite:
    """What is SQLite's own."""

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        return tmp_path / "watcher.db"

    async def test_commits_are_durable(self, path: Path) -> None:
        store = await open_store(f"sqlite:///{path}")
        try:
            async with store.engine.connect() as connection:
                mode = (await connection.exec_driver_sql("PRAGMA journal_mode")).scalar()
                synchronous = (await connection.exec_driver_sql("PRAGMA synchronous")).scalar()
        finally:
            await store.close()
        assert (mode, synchronous) == ("wal", 2)  # 2 is FULL

    async def test_a_file_that_is_no_database(self, path: Path) -> None:
        path.write_bytes(b"this is not a database, it is a text of some length" * 100)
        with pytest.raises(StoreError, match="not a database"):
            await open_store(f"sqlite:///{path}")

    async def test_a_file_of_a_newer_version(self, path: Path) -> None:
        await (await open_store(f"sqlite:///{path}")).close()
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("UPDATE alembic_version SET version_num = '9999'")
        with pytest.raises(StoreError, match="another version of watcher"):
            await open_store(f"sqlite:///{path}")

    async def test_a_folder_that_cannot_be_made(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(StoreError, match="cannot open the store"):
            await open_store(f"sqlite:///{tmp_path / 'file' / 'watcher.db'}")

    async def test_a_write_that_fails_writes_nothing_and_says_so(self, path: Path) -> None:
        store = await open_store(f"sqlite:///{path}")
        try:
            async with store.engine.connect() as connection:
                await connection.exec_driver_sql("DROP TABLE deliveries")
                await connection.commit()
            with pytest.raises(StoreError, match="cannot write the store"):
                await store.commit([change(KEYS[0], "BUILT")], now=at(0))
            assert await store.load("prod") == {}
            assert await store.history() == []
        finally:
            await store.close()
