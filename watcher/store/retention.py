"""Forgetting what is old, a little at a time."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement, Select, delete, exists, func, select

from watcher.core.lessons import SAMPLES_KEPT
from watcher.core.model import DeliveryState
from watcher.store.database import Database
from watcher.store.rows import to_ms
from watcher.store.tables import acknowledgements, alert_receivers, deliveries, events, notes, silences, steps


class Retention(Database):
    """What is forgotten when."""

    async def prune(self, *, before: datetime, limit: int) -> int:
        """Forget at most so many events of before that time, with what was delivered of them; how many.

        Not those that are pending still, nor those that an alert which fires still was told by. Of the steps that are
        learned from, those go that are learned from no more.
        """
        before_ms = to_ms(before)
        pending = select(deliveries.c.event_id).where(deliveries.c.state == DeliveryState.PENDING.value)
        open_alerts = select(alert_receivers.c.event_id).where(alert_receivers.c.ended_at_ms.is_(None))
        old = (
            select(events.c.id)
            .where(events.c.observed_at_ms < before_ms, events.c.id.not_in(pending), events.c.id.not_in(open_alerts))
            .limit(limit)
        )
        async with self.write() as connection:
            ids = list((await connection.execute(old)).scalars())
            for statement in (
                delete(deliveries).where(deliveries.c.event_id.in_(ids)),
                delete(events).where(events.c.id.in_(ids)),
                delete(alert_receivers).where(alert_receivers.c.ended_at_ms < before_ms),
                delete(notes).where(notes.c.written_at_ms < before_ms),
                delete(silences).where(silences.c.ends_at_ms < before_ms),
                delete(acknowledgements).where(acknowledgements.c.created_at_ms < before_ms, ~_fires()),
                delete(steps).where(steps.c.id.in_(_surplus_steps())),
            ):
                await connection.execute(statement)
        return len(ids)


def _fires() -> ColumnElement[bool]:
    return exists().where(
        alert_receivers.c.fingerprint == acknowledgements.c.fingerprint,
        alert_receivers.c.starts_at_ms == acknowledgements.c.starts_at_ms,
        alert_receivers.c.ended_at_ms.is_(None),
    )


def _surplus_steps() -> Select[int]:
    place = func.row_number().over(
        partition_by=(steps.c.source, steps.c.image_source, steps.c.status), order_by=steps.c.id.desc()
    )
    ranked = select(steps.c.id, place.label("place")).subquery()
    return select(ranked.c.id).where(ranked.c.place > SAMPLES_KEPT)
