"""Moving a store into another database, either way between SQLite and PostgreSQL.

All of it is one transaction, so that the other database holds a whole store or none: whoever was interrupted begins
again, and no half of a store can be run by mistake. Its rows pass by a few at a time.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import RowMapping, Table, delete, func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from watcher.core.errors import ConfigurationError, StoreError
from watcher.store.database import store_errors
from watcher.store.limits import Limits
from watcher.store.opening import open_store
from watcher.store.roster import NOW_MS
from watcher.store.rows import without_nul
from watcher.store.store import Store
from watcher.store.tables import deliveries, leases, metadata, replicas, source_reports

# Of those who share the work, not of what is remembered: whoever runs on the other database writes its own.
_LEFT = (replicas, leases, source_reports)
MOVED = tuple(table for table in metadata.sorted_tables if table not in _LEFT)

_SQLITE = "sqlite:///"
_AT_A_TIME = 500
_LIMITS = Limits(statement_s=600, command_s=660)  # very large tables are counted, too
_LEASE_TTL_S = 3600.0  # one side may wait long for the other within its transaction
_MOVING = 0x6D6F7665  # "move": the advisory lock of whoever moves a store from or to here

OnProgress = Callable[[str, int, int], None]
"""Given a table, how many of its rows are there, and how many there will be."""


async def move(*, source: str, target: str, on_progress: OnProgress) -> Mapping[str, int]:
    """Copy all that is remembered at one URL to the other; how many rows of each table are there.

    Raises ConfigurationError when there is nothing to move or the target is not empty, StoreError when one of them is
    in use or fails: then nothing was moved.
    """
    _check_paths(source, target)
    async with _opened("source", source) as before, _opened("target", target) as after:
        async with before.write() as reading, after.write() as writing:
            await _have_alone("source", reading)
            await _have_alone("target", writing)
            totals = await _counts(reading)
            if not any(totals.values()):
                raise ConfigurationError("the source holds nothing: is it the right one?")
            await _check_empty(writing)
            for table in MOVED:
                await _copy(table, reading, writing, total=totals[table.name], on_progress=on_progress)
            await _go_on_counting(reading, writing)
            moved = await _counts(writing)
            if moved != totals:
                raise StoreError(f"nothing was moved: the target would hold {moved} and not {totals}")
            if before.is_shared:
                # Whoever was only taken to be dead is to be so: what it holds no more it cannot write about.
                await reading.execute(delete(replicas))
        return moved


def _check_paths(source: str, target: str) -> None:
    """A file that is not there would be made, and one cannot be locked twice."""
    path = _path(source)
    if path is None:
        return
    if not path.is_file():
        raise ConfigurationError(f"source: no store is at {path}")
    other = _path(target)
    if other is not None and other.resolve() == path.resolve():
        raise ConfigurationError(f"source and target are the same file: {path}")


def _path(url: str) -> Path | None:
    return Path(url.removeprefix(_SQLITE)) if url.startswith(_SQLITE) else None


@asynccontextmanager
async def _opened(side: str, url: str) -> AsyncIterator[Store]:
    try:
        store = await open_store(url, lease_ttl_s=_LEASE_TTL_S, limits=_LIMITS)
    except ConfigurationError as error:
        raise ConfigurationError(f"{side}: {str(error).removeprefix('store.url: ')}") from error
    except StoreError as error:
        raise StoreError(f"{side}: {error}") from error
    try:
        yield store
    finally:
        await store.close()


async def _have_alone(side: str, connection: AsyncConnection) -> None:
    """Until the transaction ends nobody else writes; SQLite has a lock file for that."""
    if connection.dialect.name != "postgresql":
        return
    if not (await connection.execute(select(func.pg_try_advisory_xact_lock(_MOVING)))).scalar():
        raise StoreError(f"{side}: it is being moved already, or is source and target at once")
    names = ", ".join(table.name for table in (*MOVED, *_LEFT))
    await connection.execute(text(f"LOCK TABLE {names} IN SHARE ROW EXCLUSIVE MODE"))
    live = select(replicas.c.name).where(replicas.c.expires_at_ms > NOW_MS).order_by(replicas.c.name)
    if found := list((await connection.execute(live)).scalars()):
        raise StoreError(
            f"{side}: in use by {', '.join(found)}: stop every watcher on it"
            " (one that was killed counts as there for as long as cluster.lease_ttl)"
        )


async def _counts(connection: AsyncConnection) -> dict[str, int]:
    return {
        table.name: (await connection.execute(select(func.count()).select_from(table))).scalar_one() for table in MOVED
    }


async def _check_empty(connection: AsyncConnection) -> None:
    for table in MOVED:
        if (await connection.execute(select(table).limit(1))).first() is not None:
            raise ConfigurationError(
                f"the target is not empty (there are {table.name}): name a new file or an empty database"
            )


async def _copy(
    table: Table, reading: AsyncConnection, writing: AsyncConnection, *, total: int, on_progress: OnProgress
) -> None:
    on_progress(table.name, 0, total)
    done = 0
    async for rows in _rows(table, reading):
        await writing.execute(table.insert(), [_as_moved(table, row) for row in rows])
        done += len(rows)
        on_progress(table.name, done, total)


async def _rows(table: Table, connection: AsyncConnection) -> AsyncIterator[Sequence[RowMapping]]:
    query = select(table).order_by(*table.primary_key.columns)
    with store_errors("read"):
        async with connection.stream(query, execution_options={"yield_per": _AT_A_TIME}) as result:
            async for part in result.mappings().partitions():
                yield part


def _as_moved(table: Table, row: RowMapping) -> dict[str, Any]:
    moved = {name: without_nul(value) if isinstance(value, str) else value for name, value in row.items()}
    if table is deliveries:
        moved["claimed_by"] = None  # by somebody who is not on the other database, and would never let go of it
    return moved


async def _go_on_counting(reading: AsyncConnection, writing: AsyncConnection) -> None:
    """Numbers that were given before, also to what is forgotten since, are given to nothing else."""
    for table in MOVED:
        column = table.autoincrement_column
        if column is None:
            continue
        highest = (await writing.execute(select(func.max(column)))).scalar() or 0
        last = max(highest, await _last_given(table.name, column.name, reading))
        if last:
            await _give_behind(table.name, column.name, last, writing)


async def _last_given(table: str, column: str, connection: AsyncConnection) -> int:
    if connection.dialect.name == "postgresql":
        query = "SELECT pg_sequence_last_value(pg_get_serial_sequence(:table, :column)::regclass)"
        return (await connection.execute(text(query), {"table": table, "column": column})).scalar() or 0
    return (
        await connection.execute(text("SELECT seq FROM sqlite_sequence WHERE name = :table"), {"table": table})
    ).scalar() or 0


async def _give_behind(table: str, column: str, last: int, connection: AsyncConnection) -> None:
    if connection.dialect.name == "postgresql":
        query = "SELECT setval(pg_get_serial_sequence(:table, :column)::regclass, :last)"
        await connection.execute(text(query), {"table": table, "column": column, "last": last})
        return
    await connection.execute(text("DELETE FROM sqlite_sequence WHERE name = :table"), {"table": table})
    values = {"table": table, "last": last}
    await connection.execute(text("INSERT INTO sqlite_sequence (name, seq) VALUES (:table, :last)"), values)
