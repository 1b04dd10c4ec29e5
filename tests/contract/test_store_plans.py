"""What is asked again and again does not read through all that is kept, whatever the database makes of a question."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from sqlalchemy import Integer, column, event, select, text

from tests.contract.sharing import replica
from tests.contract.stores import KEYS, course
from tests.fakes.values import at
from watcher.core.model import DeliveryState
from watcher.core.ports import Wanted
from watcher.core.sharing import Lease
from watcher.store import Store, open_store
from watcher.store.rows import to_ms

_NUMBERS = """
WITH RECURSIVE numbers (n, at_ms) AS (
    SELECT 1, CAST(:now_ms AS BIGINT) UNION ALL SELECT n + 1, at_ms + 1 FROM numbers WHERE n < 20000
)
"""
_HISTORY = (
    """
    INSERT INTO events (id, source, instance_id, sequence, kind, observed_at_ms, body)
    SELECT 'evt_' || n, 'prod', n % 100, n, 'transition', at_ms, '{}' FROM numbers
    """,
    """
    INSERT INTO deliveries
        (event_id, receiver, source, instance_id, state, attempts, created_at_ms, next_attempt_at_ms, queued_at_ms)
    SELECT 'evt_' || n, 'hooks', 'prod', n % 100, 'delivered', 1, at_ms, at_ms, at_ms FROM numbers
    """,
    """
    INSERT INTO alert_receivers (fingerprint, starts_at_ms, receiver, event_id, told_at_ms, ended_at_ms)
    SELECT n, at_ms, 'hooks', 'evt_' || n, at_ms, at_ms FROM numbers
    """,
    "INSERT INTO notes (receiver, key, text, written_at_ms) SELECT 'hooks', n, 'thread', at_ms FROM numbers",
    "INSERT INTO steps (source, image_source, status, duration_ms) SELECT 'prod', n, 'BUILDING', 1 FROM numbers",
)
_READS_ALL = re.compile(r"(SCAN|Seq Scan on) (events|deliveries|earlier\w*|alert_receivers|notes)\b")
_BY_STATE = re.compile(r"deliveries_by_state \(state=\?\)")


async def test_nothing_reads_all_that_is_kept(real_store: Store) -> None:
    await _fill(real_store)
    asked = list[tuple[str, Any]]()
    with _listening(real_store, asked):
        await _ask(real_store)
    assert len(asked) > 15
    for statement, parameters in asked:
        plan = await _plan(real_store, statement, parameters)
        assert not _READS_ALL.search(plan), f"{statement}\n{plan}"


async def test_what_is_pending_is_not_read_for_each_event_that_is_forgotten(real_store: Store) -> None:
    await _fill(real_store)
    asked = list[tuple[str, Any]]()
    with _listening(real_store, asked):
        await real_store.prune(before=at(1), limit=5)
    for statement, parameters in asked:
        plan = await _plan(real_store, statement, parameters)
        assert not _BY_STATE.search(plan), f"{statement}\n{plan}"


async def test_what_is_due_is_found_at_once_though_nothing_was_pending_when_it_was_counted(real_store: Store) -> None:
    await _fill(real_store)
    pending, asked = 1000, list[tuple[str, Any]]()
    async with real_store.engine.execution_options(write=True).begin() as connection:
        await connection.execute(text("UPDATE deliveries SET state = 'pending' WHERE id <= :last"), {"last": pending})
    with _listening(real_store, asked):
        served = real_store.under(Lease("receiver/hooks", "a", 1))
        assert len(await served.waiting("hooks", now=at(100), limit=pending)) == pending
    [(statement, parameters)] = asked
    if real_store.is_shared:
        plan = await _plan(real_store, statement, parameters, how="(ANALYZE, TIMING OFF) ")
        assert _looked_at(plan) <= 10 * pending, plan


def _looked_at(plan: str) -> int:
    """How many rows all of it read or threw away, again and again."""
    return sum(
        int(loops) * sum(map(int, [rows, *re.findall(r"Rows Removed by .*: (\d+)", rest)]))
        for rows, loops, rest in re.findall(r"actual rows=(\d+) loops=(\d+)\)((?:(?!actual rows).|\n)*)", plan)
    )


async def _ask(store: Store) -> None:
    receiver, now = "hooks", at(100)
    await store.waiting(receiver, now=now, limit=100)
    await store.aged(receiver, before=at(0), limit=100)
    await store.held(receiver)
    await store.next_due_at(receiver, now=now)
    await store.oldest_pending_at()
    await store.unfinished()
    await store.standing(receiver, ended_since=now)
    await store.make_due(receiver, now=now)
    await store.bury(receivers=[receiver], now=now)
    await store.reports(state=DeliveryState.PENDING)
    await store.entries(Wanted(), after=20000)
    await store.prune(before=at(-1), limit=500)


async def _fill(store: Store) -> None:
    async with store.engine.execution_options(write=True).begin() as connection:
        for statement in _HISTORY:
            head, values, rest = statement.partition("SELECT")
            await connection.execute(text(head + _NUMBERS + values + rest), {"now_ms": to_ms(at(0))})
    await store.commit([course(KEYS[0], "BUILDING", "BUILT")], now=at(0))
    if store.is_shared:  # as autovacuum does; nobody does it on SQLite
        async with store.engine.begin() as connection:
            await connection.execute(text("ANALYZE"))


@contextmanager
def _listening(store: Store, asked: list[tuple[str, Any]]) -> Iterator[None]:
    """Whatever is read or changed meanwhile."""

    def hear(_connection: object, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        if re.match(r"SELECT (?!pg_)|UPDATE|DELETE", statement):
            asked.append((statement, parameters))

    event.listen(store.engine.sync_engine, "before_cursor_execute", hear)
    try:
        yield
    finally:
        event.remove(store.engine.sync_engine, "before_cursor_execute", hear)


async def _plan(store: Store, statement: str, parameters: Any, *, how: str = "") -> str:
    explain = f"EXPLAIN {how}" if store.is_shared else "EXPLAIN QUERY PLAN "
    async with store.engine.connect() as connection:
        if store.is_shared:
            driver: Any = (await connection.get_raw_connection()).driver_connection
            return "\n".join(row[0] for row in await driver.fetch(explain + statement, *parameters))
        rows = (await connection.exec_driver_sql(explain + statement, parameters)).mappings()
        return "\n".join(row["detail"] for row in rows)


async def test_a_beat_does_not_write_again_what_a_replica_is_configured_with(postgres_url: str) -> None:
    store = await open_store(postgres_url)
    many = replace(replica("a"), configured=frozenset(f"source/{number * number}" for number in range(3000)))
    await store.join(many, lasts_s=60)
    written = await _long_values(store, "replicas")
    assert written
    await store.beat(many, lasts_s=60, buries=False)
    assert await _long_values(store, "replicas") == written
    fewer = replace(many, configured=frozenset({"source/0"}))
    roster = await store.beat(fewer, lasts_s=60, buries=False)
    assert roster is not None
    assert roster.configured == fewer.configured
    await store.close()


async def _long_values(store: Store, table: str) -> set[int]:
    """Those that PostgreSQL keeps beside the rows of this table: each has another number when it is written."""
    async with store.engine.connect() as connection:
        query = text("SELECT reltoastrelid::regclass::text FROM pg_class WHERE oid = CAST(:name AS regclass)")
        beside = (await connection.execute(query, {"name": table})).scalar_one()
        chunks = select(column("chunk_id", Integer)).select_from(text(beside))
        return set((await connection.execute(chunks)).scalars())
