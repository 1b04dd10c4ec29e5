"""Reading and writing what is remembered. Every write is one transaction, or a StoreError and nothing written."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from typing import Any

from sqlalchemy import and_, bindparam, exists, func, select, update
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from watcher.core.errors import StoreError
from watcher.core.event_json import from_json
from watcher.core.model import Delivery, DeliveryState, Event, InstanceKey, InstanceState
from watcher.core.ports import Attempt, Change
from watcher.store.rows import delivery_of, delivery_row, event_row, from_ms, state_of, state_row, to_ms
from watcher.store.tables import deliveries, events, instances

_ANSWER_CHARS = 500

_NEW_STATE = insert(instances)
_UPSERT_STATE = _NEW_STATE.on_conflict_do_update(
    index_elements=["source", "instance_id"],
    set_={column.name: _NEW_STATE.excluded[column.name] for column in instances.columns if not column.primary_key},
)
_INSERT_EVENT = insert(events).on_conflict_do_nothing(index_elements=["id"])
_INSERT_DELIVERY = insert(deliveries).on_conflict_do_nothing(index_elements=["event_id", "receiver"])

_EARLIER = deliveries.alias("earlier")
# A delivery waits for the earlier ones of its instance: only the heads are due, and only they say when to look again.
_IS_PENDING_HEAD = and_(
    deliveries.c.receiver == bindparam("receiver"),
    deliveries.c.state == DeliveryState.PENDING.value,
    deliveries.c.id.not_in(bindparam("under_way", expanding=True)),
    ~exists().where(
        _EARLIER.c.receiver == deliveries.c.receiver,
        _EARLIER.c.state == DeliveryState.PENDING.value,
        _EARLIER.c.source == deliveries.c.source,
        _EARLIER.c.instance_id == deliveries.c.instance_id,
        _EARLIER.c.id < deliveries.c.id,
    ),
)
_DUE = (
    select(deliveries, events.c.body)
    .join(events, events.c.id == deliveries.c.event_id)
    .where(_IS_PENDING_HEAD, deliveries.c.next_attempt_at_ms <= bindparam("now_ms"))
    .order_by(deliveries.c.id)
)
_NEXT_DUE = select(func.min(deliveries.c.next_attempt_at_ms)).where(_IS_PENDING_HEAD)
_UNFINISHED = (
    select(deliveries.c.receiver, deliveries.c.state, func.count())
    .where(deliveries.c.state.in_([DeliveryState.PENDING.value, DeliveryState.DEAD.value]))
    .group_by(deliveries.c.receiver, deliveries.c.state)
)
_RECORD_ATTEMPT = (
    update(deliveries)
    .where(deliveries.c.id == bindparam("delivery_id"))
    .values(
        state=bindparam("new_state"),
        attempts=bindparam("new_attempts"),
        next_attempt_at_ms=bindparam("new_next_ms"),
        finished_at_ms=bindparam("new_finished_ms"),
        last_reason=bindparam("new_reason"),
        last_answer=bindparam("new_answer"),
    )
)


class Store:
    """States, events and deliveries on SQLite; `open_store` makes one.

    Writers take turns inside the process, so that none waits busily for the database's own lock.
    """

    def __init__(self, engine: AsyncEngine, *, release: Callable[[], None]) -> None:
        self._engine = engine
        self._release = release
        self._writing = asyncio.Lock()

    @property
    def engine(self) -> AsyncEngine:
        """The engine, for tests that look at the tables."""
        return self._engine

    async def close(self) -> None:
        """Close the connections and give up the claim to the database."""
        await self._engine.dispose()
        self._release()

    @asynccontextmanager
    async def _read(self) -> AsyncIterator[AsyncConnection]:
        with _store_errors("read"):
            async with self._engine.connect() as connection:
                yield connection

    @asynccontextmanager
    async def _write(self) -> AsyncIterator[AsyncConnection]:
        with _store_errors("write"):
            async with self._writing, self._engine.execution_options(write=True).begin() as connection:
                yield connection

    async def load(self, source: str) -> dict[InstanceKey, InstanceState]:
        """All that was remembered of a source's instances."""
        async with self._read() as connection:
            rows = await connection.execute(select(instances).where(instances.c.source == source))
            return {state.key: state for state in map(state_of, rows.mappings())}

    async def commit(self, changes: Sequence[Change], *, now: datetime) -> None:
        """Write states, events and a delivery for each (event, receiver). What is already there is not doubled."""
        told = [pair for change in changes for pair in change.events]
        new_deliveries = [delivery_row(event, receiver, now=now) for event, receivers in told for receiver in receivers]
        async with self._write() as connection:
            await connection.execute(_UPSERT_STATE, [state_row(change.state) for change in changes])
            if told:
                await connection.execute(_INSERT_EVENT, [event_row(event) for event, _ in told])
            if new_deliveries:
                await connection.execute(_INSERT_DELIVERY, new_deliveries)

    async def due(
        self, receiver: str, *, now: datetime, limit: int, under_way: Collection[int] = ()
    ) -> Sequence[Delivery]:
        """Pending deliveries that may be tried now: at most the oldest of each instance, none that is `under_way`."""
        values = {"receiver": receiver, "now_ms": to_ms(now), "under_way": list(under_way)}
        async with self._read() as connection:
            rows = await connection.execute(_DUE.limit(limit), values)
            return [delivery_of(row) for row in rows.mappings()]

    async def next_due_at(self, receiver: str, *, under_way: Collection[int] = ()) -> datetime | None:
        """When the next pending delivery may be tried; None when there is none beside those `under_way` (ids)."""
        values = {"receiver": receiver, "under_way": list(under_way)}
        async with self._read() as connection:
            earliest = (await connection.execute(_NEXT_DUE, values)).scalar()
        return from_ms(earliest) if earliest is not None else None

    async def record(self, attempts: Sequence[Attempt]) -> None:
        """Write down how tries ended."""
        async with self._write() as connection:
            await connection.execute(_RECORD_ATTEMPT, [_attempt_row(attempt) for attempt in attempts])

    async def unfinished(self) -> dict[tuple[str, DeliveryState], int]:
        """How many deliveries of each receiver are pending, and how many dead."""
        async with self._read() as connection:
            rows = await connection.execute(_UNFINISHED)
            return {(receiver, DeliveryState(state)): count for receiver, state, count in rows}

    async def history(self, *, after: int = 0, limit: int = 1000) -> list[tuple[int, Event]]:
        """Events in the order they were written, each with its position, from behind `after`."""
        query = select(events).where(events.c.position > after).order_by(events.c.position).limit(limit)
        async with self._read() as connection:
            rows = await connection.execute(query)
            return [(row["position"], from_json(json.loads(row["body"]))) for row in rows.mappings()]


def _attempt_row(attempt: Attempt) -> dict[str, Any]:
    delivery, error = attempt.delivery, attempt.error
    if error is None:
        state = DeliveryState.DELIVERED
    else:
        state = DeliveryState.PENDING if attempt.next_attempt_at is not None else DeliveryState.DEAD
    return {
        "delivery_id": delivery.id,
        "new_state": state.value,
        "new_attempts": delivery.attempts + 1,
        "new_next_ms": to_ms(attempt.next_attempt_at or delivery.next_attempt_at),
        "new_finished_ms": to_ms(attempt.finished_at) if state is not DeliveryState.PENDING else None,
        "new_reason": error.reason.value if error is not None else None,
        "new_answer": str(error)[:_ANSWER_CHARS] if error is not None else None,
    }


@contextmanager
def _store_errors(verb: str) -> Iterator[None]:
    """Turn what the database says into a StoreError of one line, without the statement and its values."""
    try:
        yield
    except (SQLAlchemyError, OSError) as error:
        cause = getattr(error, "orig", None) or error
        raise StoreError(f"cannot {verb} the store: {str(cause).splitlines()[0] or type(cause).__name__}") from error
