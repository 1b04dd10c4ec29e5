"""Forgetting what is old, a little at a time."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement, Select, Table, delete, exists, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from watcher.core.lessons import SAMPLES_KEPT
from watcher.core.model import DeliveryState
from watcher.store.database import Database
from watcher.store.rows import to_ms
from watcher.store.tables import acknowledgements, alert_receivers, deliveries, events, notes, silences, steps

_PRUNING = 0x7072756E65  # "prune": the advisory lock of whoever forgets

_OF_EVENT = deliveries.c.event_id == events.c.id
# The text added to it keeps SQLite from looking through all that are pending, for each event.
_IS_PENDING = deliveries.c.state + "" == DeliveryState.PENDING.value
_FIRES_BY_IT = exists().where(alert_receivers.c.event_id == events.c.id, alert_receivers.c.ended_at_ms.is_(None))
_FIRES = exists().where(
    alert_receivers.c.fingerprint == acknowledgements.c.fingerprint,
    alert_receivers.c.starts_at_ms == acknowledgements.c.starts_at_ms,
    alert_receivers.c.ended_at_ms.is_(None),
)


class Retention(Database):
    """What is forgotten when."""

    async def prune(self, *, before: datetime, limit: int) -> int:
        """Forget of before that time at most so many events, with what was delivered of them; how many.

        Not those that are pending still, nor those that an alert which fires still was told by. When there are fewer,
        also what else is as old, and the steps that are learned from no more; at most as many rows of each table. As
        many as `limit`: there may be more. None while another replica does it.
        """
        before_ms, most = to_ms(before), 0
        async with self.write() as connection:
            if not await _is_alone(connection):
                return 0
            most = await _forget_events(connection, before_ms=before_ms, limit=limit)
            for table, is_old in (
                (alert_receivers, alert_receivers.c.ended_at_ms < before_ms),
                (notes, notes.c.written_at_ms < before_ms),
                (silences, silences.c.ends_at_ms < before_ms),
                (acknowledgements, (acknowledgements.c.created_at_ms < before_ms) & ~_FIRES),
            ):
                if most < limit:
                    most = max(most, await _forget(connection, table, is_old, limit=limit))
            if most < limit:
                surplus = steps.c.id.in_(_surplus_steps().limit(limit))
                most = max(most, (await connection.execute(delete(steps).where(surplus))).rowcount)
        return most


async def _is_alone(connection: AsyncConnection) -> bool:
    if connection.dialect.name != "postgresql":
        return True
    return bool((await connection.execute(select(func.pg_try_advisory_xact_lock(_PRUNING)))).scalar())


async def _forget_events(connection: AsyncConnection, *, before_ms: int, limit: int) -> int:
    old = (
        select(events.c.id)
        .where(events.c.observed_at_ms < before_ms, ~exists().where(_OF_EVENT, _IS_PENDING), ~_FIRES_BY_IT)
        .order_by(events.c.observed_at_ms)
        .limit(limit)
    )
    ids = list((await connection.execute(old)).scalars())
    if ids:
        # Said again: somebody may have had one sent anew since it was chosen.
        await connection.execute(delete(deliveries).where(deliveries.c.event_id.in_(ids), ~_IS_PENDING))
        await connection.execute(delete(events).where(events.c.id.in_(ids), ~exists().where(_OF_EVENT)))
    return len(ids)


async def _forget(connection: AsyncConnection, table: Table, is_old: ColumnElement[bool], *, limit: int) -> int:
    key = tuple_(*table.primary_key.columns)
    chosen = select(*table.primary_key.columns).where(is_old).limit(limit).correlate(None)
    return (await connection.execute(delete(table).where(is_old, key.in_(chosen)))).rowcount


def _surplus_steps() -> Select[int]:
    place = func.row_number().over(
        partition_by=(steps.c.source, steps.c.image_source, steps.c.status), order_by=steps.c.id.desc()
    )
    ranked = select(steps.c.id, place.label("place")).subquery()
    return select(ranked.c.id).where(ranked.c.place > SAMPLES_KEPT)
