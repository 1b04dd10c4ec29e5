"""A store that moves is the same store elsewhere: whichever kind it was and will be."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, update

from tests.contract.stores import (
    KEYS,
    Course,
    course,
    deliver,
    delivered,
    failed,
    heads,
    suppressed,
)
from tests.contract.test_store_alerts import taken
from tests.contract.test_store_digests import silence
from tests.fakes.values import at
from tests.postgres import Postgres
from watcher.core.errors import ConfigurationError, StoreError
from watcher.core.model import InstanceKey, Step, Suppression
from watcher.core.ports import Change
from watcher.core.sharing import Replica
from watcher.store import Store, open_store
from watcher.store.moving import MOVED, move
from watcher.store.tables import deliveries, events

REPLICA = Replica(id="one", name="one", version="1", started_at=at(0), seen_at=at(0))
NewUrl = Callable[[str], str]
"""A database of this kind that nothing is in."""


@pytest.fixture
def new_url(request: pytest.FixtureRequest, tmp_path: Path) -> NewUrl:
    files = iter(range(100))

    def make(kind: str) -> str:
        if kind == "sqlite":
            return f"sqlite:///{tmp_path / f'{next(files)}.db'}"
        server: Postgres = request.getfixturevalue("postgres_server")
        return server.database()

    return make


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Store]:
    store = await open_store(url)
    try:
        yield store
    finally:
        await store.close()


async def make_rich(store: Store) -> None:
    """Something of everything that can be in a store."""
    going = Course(KEYS[1])
    steps = (Step(source="prod", image_source="gold", status="BUILDING", duration_s=61.5),)
    await store.commit(
        [
            course(KEYS[0], "BUILDING", "BUILT", "ERROR", receivers=("hooks", "chat")),
            replace(going.sees("BUILDING", 0, "hooks", "pager"), steps=steps),
            going.sees("ERROR", 15, "hooks", "pager"),
            going.sees("BUILT", 30, "pager"),
            course(KEYS[2], *["ERROR", "BUILT"] * 4, receivers=("pager",)),
            course(KEYS[3], "DELETING", None),
            course(InstanceKey("other", "0"), None, None),
            course(InstanceKey("other", "Bürö\n'\"\\"), "BUILT"),
        ],
        now=at(60),
    )
    letters = await heads(store)
    await store.record([delivered(letters[0], 61), failed(letters[1], 62, again_s=None)])
    await store.record([failed(letters[2], 63, again_s=900)])
    [chat, *more] = await heads(store, receiver="chat")
    await store.record([delivered(chat, 61), *(suppressed(each, 62, Suppression.SILENCE, "a") for each in more)])
    await store.form_digest("dig_1", [each.id for each in (await heads(store, receiver="pager"))[:3]])
    await store.write_note("chat", "thread", "1712.34", now=at(60))
    await store.add_silence(silence("a"))
    await store.acknowledge(taken(30))


async def everything(store: Store) -> dict[str, list[dict[str, Any]]]:
    """All rows of all tables that are moved."""
    async with store.engine.connect() as connection:
        return {
            table.name: [
                dict(row)
                for row in (await connection.execute(select(table).order_by(*table.primary_key.columns))).mappings()
            ]
            for table in MOVED
        }


async def forget_the_last(store: Store) -> None:
    """Its number is known to whoever was told of it, and never another's."""
    async with store.engine.execution_options(write=True).begin() as connection:
        last = (await connection.execute(select(func.max(events.c.position)))).scalar()
        of_event = select(events.c.id).where(events.c.position == last).scalar_subquery()
        await connection.execute(deliveries.delete().where(deliveries.c.event_id == of_event))
        await connection.execute(events.delete().where(events.c.position == last))


def quietly(_table: str, _moved: int, _total: int) -> None:
    """Progress that nobody looks at."""


BOTH_WAYS = pytest.mark.parametrize(
    ("before", "after"),
    [("sqlite", "postgres"), ("postgres", "sqlite"), ("postgres", "postgres"), ("sqlite", "sqlite")],
)


class TestMoving:
    """All of it, as it was."""

    @BOTH_WAYS
    async def test_all_is_there_and_goes_on_alike(self, new_url: NewUrl, before: str, after: str) -> None:
        source, target = new_url(before), new_url(after)
        async with opened(source) as store:
            await make_rich(store)
            await forget_the_last(store)
            there = await everything(store)
        assert all(there.values()), there
        told = list[tuple[str, int, int]]()
        moved = await move(source=source, target=target, on_progress=lambda *step: told.append(step))
        assert moved == {name: len(rows) for name, rows in there.items()}
        assert {name: (rows, total) for name, rows, total in told} == {name: (n, n) for name, n in moved.items()}
        async with opened(source) as old, opened(target) as new:
            assert await everything(old) == await everything(new) == there
            await old.commit([course(KEYS[4], "BUILDING", "ERROR")], now=at(90))
            await new.commit([course(KEYS[4], "BUILDING", "ERROR")], now=at(90))
            for store in (old, new):
                await deliver(store, 100)
            assert await everything(old) == await everything(new)
            for receiver in ("hooks", "chat", "pager"):
                assert await heads(old, 900, receiver=receiver) == await heads(new, 900, receiver=receiver)
                assert await old.held(receiver) == await new.held(receiver)

    async def test_many_rows_pass_a_few_at_a_time(self, new_url: NewUrl) -> None:
        source, target = new_url("sqlite"), new_url("sqlite")
        async with opened(source) as store:
            many = [course(InstanceKey("prod", str(number)), "BUILDING") for number in range(1201)]
            await store.commit(many, now=at(0))
        told = list[int]()
        await move(
            source=source,
            target=target,
            on_progress=lambda table, done, _: told.append(done) if table == "events" else None,
        )
        assert told == [0, 500, 1000, 1201]

    async def test_what_was_claimed_is_claimed_by_nobody(self, new_url: NewUrl) -> None:
        source, target = new_url("postgres"), new_url("postgres")
        async with opened(source) as store:
            await make_rich(store)
            async with store.engine.begin() as connection:
                await connection.execute(update(deliveries).values(claimed_by="gone/1"))
        await move(source=source, target=target, on_progress=quietly)
        async with opened(target) as store:
            rows = (await everything(store))["deliveries"]
            assert rows
            assert {row["claimed_by"] for row in rows} == {None}

    async def test_what_postgresql_cannot_store_is_left_out(self, new_url: NewUrl) -> None:
        source, target = new_url("sqlite"), new_url("postgres")
        async with opened(source) as store:
            change = course(KEYS[0], "BUILT")
            await store.commit([Change(state=replace(change.state, name="off\0ice"))], now=at(0))
        await move(source=source, target=target, on_progress=quietly)
        async with opened(target) as store:
            assert [state.name for state in (await store.load("prod")).values()] == ["office"]


class TestRefusing:
    """Nothing is moved rather than a part of it, or over something else."""

    @pytest.mark.parametrize("kind", ["sqlite", "postgres"])
    async def test_a_target_that_is_not_empty(self, new_url: NewUrl, kind: str) -> None:
        source, target = new_url("sqlite"), new_url(kind)
        for url, key in ((source, KEYS[0]), (target, KEYS[1])):
            async with opened(url) as store:
                await store.commit([course(key, "BUILT")], now=at(0))
        with pytest.raises(ConfigurationError, match="the target is not empty"):
            await move(source=source, target=target, on_progress=quietly)
        async with opened(target) as store:
            assert list(await store.load("prod")) == [KEYS[1]]

    async def test_a_source_that_is_not_there(self, new_url: NewUrl, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match="no store is at"):
            await move(source=new_url("sqlite"), target=new_url("sqlite"), on_progress=quietly)
        assert list(tmp_path.iterdir()) == []

    async def test_a_source_that_holds_nothing(self, new_url: NewUrl) -> None:
        with pytest.raises(ConfigurationError, match="the source holds nothing"):
            await move(source=new_url("postgres"), target=new_url("sqlite"), on_progress=quietly)

    @pytest.mark.parametrize("kind", ["sqlite", "postgres"])
    async def test_source_and_target_at_once(self, new_url: NewUrl, kind: str) -> None:
        url = new_url(kind)
        async with opened(url) as store:
            await make_rich(store)
        with pytest.raises((ConfigurationError, StoreError), match=r"same file|source and target at once"):
            await move(source=url, target=url, on_progress=quietly)

    @pytest.mark.parametrize("kind", ["sqlite", "postgres"])
    @pytest.mark.parametrize("side", ["source", "target"])
    async def test_one_that_is_in_use(self, new_url: NewUrl, kind: str, side: str) -> None:
        urls = {"source": new_url("sqlite"), "target": new_url("sqlite")} | {side: new_url(kind)}
        async with opened(urls["source"]) as store:
            await make_rich(store)
        async with opened(urls[side]) as used:
            if used.is_shared:
                await used.join(REPLICA, lasts_s=600)
            with pytest.raises(StoreError, match=f"{side}: .*(another watcher is using|in use by one)"):
                await move(**urls, on_progress=quietly)

    async def test_whoever_was_taken_to_be_dead_is_so(self, new_url: NewUrl) -> None:
        source, target = new_url("postgres"), new_url("sqlite")
        async with opened(source) as store:
            await make_rich(store)
            await store.join(REPLICA, lasts_s=-1)
            await move(source=source, target=target, on_progress=quietly)
            assert await store.beat(REPLICA, lasts_s=600, buries=False) is None

    async def test_half_of_a_store(self, new_url: NewUrl) -> None:
        source, target = new_url("sqlite"), new_url("postgres")
        async with opened(source) as store:
            await make_rich(store)
            await store.write_note("chat", "k" * 401, "longer than it may be", now=at(0))
        with pytest.raises(StoreError, match="cannot write the store: value too long"):
            await move(source=source, target=target, on_progress=quietly)
        async with opened(target) as store:
            assert not any((await everything(store)).values())
        async with opened(source) as store:
            await store.write_note("chat", "k" * 401, None, now=at(0))
        await move(source=source, target=target, on_progress=quietly)

    async def test_a_watcher_that_starts_meanwhile_waits(self, new_url: NewUrl) -> None:
        source, target = new_url("sqlite"), new_url("postgres")
        async with opened(source) as store:
            await make_rich(store)
        async with opened(target) as store:
            joining, early = list[asyncio.Task[None]](), list[bool]()

            def begin(_table: str, _done: int, _total: int) -> None:
                if not joining:
                    joining.append(asyncio.create_task(store.join(REPLICA, lasts_s=600)))
                early.append(joining[0].done())

            await move(source=source, target=target, on_progress=begin)
            await joining[0]
            assert not any(early)
