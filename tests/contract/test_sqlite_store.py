"""What is SQLite's own: files, claims, migrations."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine

import watcher.store
from tests.contract.stores import KEYS, Course, course, heads, sqlite_url
from tests.contract.test_store_alerts import FIRING, OF_ERROR, told
from tests.fakes.values import at
from watcher.core.alerts import ERROR
from watcher.core.errors import ConfigurationError, StoreError
from watcher.core.model import DeliveryState, InstanceKey
from watcher.core.ports import Change
from watcher.store import Store, open_store
from watcher.store.rows import event_row, state_row, to_ms

_MIGRATIONS = Path(watcher.store.__file__).parent / "migrations"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "watcher.db"


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = await open_store(sqlite_url(tmp_path))
    yield store
    await store.close()


class TestFiles:
    """One file, one watcher."""

    async def test_all_is_there_when_it_is_opened_again(self, store: Store, tmp_path: Path) -> None:
        changes = [course(KEYS[0], "BUILDING", "ERROR"), course(KEYS[1], *["ERROR", "BUILT"] * 4)]
        await store.commit(changes, now=at(60))
        before = await heads(store)
        await store.close()
        again = await open_store(sqlite_url(tmp_path))
        try:
            assert await again.load("prod") == {change.state.key: change.state for change in changes}
            assert await heads(again) == before
        finally:
            await again.close()

    async def test_a_second_watcher_is_refused(self, store: Store, tmp_path: Path) -> None:
        with pytest.raises(StoreError, match="another watcher is using"):
            await open_store(sqlite_url(tmp_path))

    @pytest.mark.parametrize("url", ["mysql://u:secret@h/db", "sqlite://", "nonsense"])
    async def test_what_is_no_store(self, url: str) -> None:
        with pytest.raises(ConfigurationError) as failure:
            await open_store(url)
        assert "secret" not in str(failure.value)

    async def test_commits_are_durable(self, store: Store) -> None:
        async with store.engine.connect() as connection:
            mode = (await connection.exec_driver_sql("PRAGMA journal_mode")).scalar()
            synchronous = (await connection.exec_driver_sql("PRAGMA synchronous")).scalar()
        assert (mode, synchronous) == ("wal", 2)  # 2 is FULL

    async def test_a_file_that_is_no_database(self, path: Path) -> None:
        path.write_bytes(b"this is not a database, it is a text of some length" * 100)
        with pytest.raises(StoreError, match="not a database"):
            await open_store(f"sqlite:///{path}")

    async def test_a_folder_that_cannot_be_made(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(StoreError, match="cannot open the store"):
            await open_store(f"sqlite:///{tmp_path / 'file' / 'watcher.db'}")

    async def test_a_write_that_fails_writes_nothing_and_says_so(self, store: Store) -> None:
        async with store.engine.connect() as connection:
            await connection.exec_driver_sql("DROP TABLE deliveries")
            await connection.commit()
        with pytest.raises(StoreError, match="cannot write the store"):
            await store.commit([course(KEYS[0], "BUILT")], now=at(0))
        assert await store.load("prod") == {}
        assert await store.history() == []


class TestVersions:
    """Stores of other versions of watcher."""

    async def test_a_file_of_a_newer_version(self, path: Path) -> None:
        await (await open_store(f"sqlite:///{path}")).close()
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("UPDATE alembic_version SET version_num = '9999'")
        with pytest.raises(StoreError, match="another version of watcher"):
            await open_store(f"sqlite:///{path}")

    async def test_who_was_told_by_the_first_version_is_told_of_the_end(self, path: Path) -> None:
        going = Course()
        fired = [going.sees("BUILDING", 0), going.sees("ERROR", 15, "hooks", "chat")]
        await asyncio.to_thread(_write_first_version, path, fired, {"hooks": DeliveryState.DELIVERED})
        store = await open_store(f"sqlite:///{path}")
        try:
            [state] = (await store.load("prod")).values()
            assert [alert.name for alert in state.alerts] == [ERROR]
            assert (state.told_at, state.changed_at, state.flaps, state.image_source) == (None, (), 0, "")
            [waiting] = await heads(store, receiver="chat")
            assert (told(waiting), waiting.queued_at, waiting.owed) == ([(ERROR, FIRING)], at(15), frozenset())
            await store.commit([going.sees("BUILT", 90)], now=at(90))
            [ended] = await heads(store, 90)
            assert (ended.is_routed, ended.owed) == (False, frozenset({OF_ERROR}))
            assert len(await heads(store, 90, receiver="chat")) == 2
        finally:
            await store.close()

    async def test_builds_that_an_earlier_version_saw_are_judged(self, path: Path) -> None:
        seen = {"CREATING": "", "ACTIVE": "img-1", "BUILDING": "img-1", "BUILT": "img-1", "ERROR": "img-1"}
        changes = [
            Change(state=replace(Course(InstanceKey("prod", status)).sees(status, 0).state, image_id=image_id))
            for status, image_id in seen.items()
        ]
        await asyncio.to_thread(_write_first_version, path, changes, {})
        store = await open_store(f"sqlite:///{path}")
        try:
            known = {key.id: state.image_before for key, state in (await store.load("prod")).items()}
        finally:
            await store.close()
        assert known == {"CREATING": "", "ACTIVE": "img-1", "BUILDING": "?img-1", "BUILT": None, "ERROR": None}

    @pytest.mark.parametrize("has_them", [True, False], ids=["with 0002 as it was for a while", "with 0002 as it is"])
    async def test_both_kinds_of_second_version_are_upgraded(self, path: Path, *, has_them: bool) -> None:
        await asyncio.to_thread(_write_second_version, path, has_them=has_them)
        store = await open_store(f"sqlite:///{path}")
        try:
            going = Course()
            changes = [going.sees("BUILDING", 0), going.sees("ERROR", 15, "hooks"), going.sees("BUILT", 30)]
            await store.commit(changes, now=at(30))
            assert [delivery.is_late for delivery in await heads(store)] == [False, False]
        finally:
            await store.close()


_OF_THE_THIRD = ("image_before", "unconfirmed_at_ms", "reason", "search")


def _make(path: Path, revision: str) -> None:
    """An empty store of an earlier version."""
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", str(_MIGRATIONS))
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    engine.dispose()


def _write_second_version(path: Path, *, has_them: bool) -> None:
    """A store as the second version left it, which for a while had two columns more."""
    _make(path, "0002")
    if has_them:
        with closing(sqlite3.connect(path)) as rows, rows:
            rows.execute("ALTER TABLE deliveries ADD COLUMN is_late BOOLEAN DEFAULT 0 NOT NULL")
            rows.execute("ALTER TABLE alert_receivers ADD COLUMN ended_by VARCHAR(64)")


def _write_first_version(path: Path, changes: list[Change], states: dict[str, DeliveryState]) -> None:
    """A store as the first version left it: its schema, and rows with the columns that it had."""
    _make(path, "0001")
    with closing(sqlite3.connect(path)) as rows, rows:
        for change in changes:
            row = state_row(change.state)
            known = ("image_source", "told_at_ms", "changed_at_ms", "flaps", *_OF_THE_THIRD)
            _insert(rows, "instances", {name: row[name] for name in row if name not in known})
            for event, receivers in change.events:
                body = json.loads(event_row(event)["body"])
                body = {name: body[name] for name in body if name not in ("expected", "flapping", "changes")}
                _insert(rows, "events", event_row(event) | {"body": json.dumps(body)})
                for receiver in receivers:
                    state = states.get(receiver, DeliveryState.PENDING)
                    is_done = state is not DeliveryState.PENDING
                    delivery = {
                        "event_id": event.id,
                        "receiver": receiver,
                        "source": event.source,
                        "instance_id": event.instance_id,
                        "state": state.value,
                        "attempts": int(is_done),
                        "created_at_ms": to_ms(event.observed_at),
                        "next_attempt_at_ms": to_ms(event.observed_at),
                        "finished_at_ms": to_ms(event.observed_at) if is_done else None,
                    }
                    _insert(rows, "deliveries", delivery)


def _insert(connection: sqlite3.Connection, table: str, row: Mapping[str, object]) -> None:
    marks = ", ".join("?" * len(row))
    statement = f"INSERT OR REPLACE INTO {table} ({', '.join(row)}) VALUES ({marks})"  # noqa: S608 - of this file's words
    connection.execute(statement, list(row.values()))
