"""States, events and what is learned: `commit` is the one transaction in which news comes into the world."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, func, select, update
from sqlalchemy.dialects.postgresql import insert  # SQLite has the same clauses
from sqlalchemy.ext.asyncio import AsyncConnection

from watcher.core.lessons import SAMPLES_KEPT
from watcher.core.model import Alert, AlertStatus, Event, EventKind, InstanceKey, InstanceState, Step
from watcher.core.ports import Change
from watcher.store.database import Database
from watcher.store.explaining import explain
from watcher.store.rows import delivery_row, event_row, state_of, state_row, to_ms
from watcher.store.signals import DELIVERIES, STATES, tell
from watcher.store.tables import alert_receivers, deliveries, events, instances, steps

_IN_ONE_QUERY = 5000
_HISTORY_LOCK = 0x686973746F7279  # "history": the advisory lock of whoever adds to it
_REPEATS = (EventKind.REMINDER, EventKind.FLAPPING)  # kinds that also tell that what fired before fires still

_NEW_STATE = insert(instances)
_UPSERT_STATE = _NEW_STATE.on_conflict_do_update(
    index_elements=["source", "instance_id"],
    set_={column.name: _NEW_STATE.excluded[column.name] for column in instances.columns if not column.primary_key},
)
_INSERT_EVENT = insert(events).on_conflict_do_nothing(index_elements=["id"])
_INSERT_DELIVERY = insert(deliveries).on_conflict_do_nothing(index_elements=["event_id", "receiver"])
_NEW_TO_TELL = insert(alert_receivers)
_UPSERT_TO_TELL = _NEW_TO_TELL.on_conflict_do_update(
    index_elements=["fingerprint", "starts_at_ms", "receiver"], set_={"event_id": _NEW_TO_TELL.excluded["event_id"]}
)
_REPEAT_ALERT = (
    update(alert_receivers)
    .where(
        alert_receivers.c.fingerprint == bindparam("repeated_fingerprint"),
        alert_receivers.c.starts_at_ms == bindparam("repeated_starts_at_ms"),
    )
    .values(event_id=bindparam("repeated_by"))
)
_END_ALERT = (
    update(alert_receivers)
    .where(
        alert_receivers.c.fingerprint == bindparam("ended_fingerprint"),
        alert_receivers.c.starts_at_ms == bindparam("ended_starts_at_ms"),
    )
    .values(ended_at_ms=bindparam("ended_ms"), ended_by=bindparam("ended_by_event"))
)
_TO_TELL = select(alert_receivers).where(alert_receivers.c.fingerprint.in_(bindparam("fingerprints", expanding=True)))

_AlertKey = tuple[str, int]
"""The fingerprint and the beginning of an alert, in milliseconds."""


def alert_key(alert: Alert) -> _AlertKey:
    """What tells this alert from an earlier one of the same fingerprint."""
    return alert.fingerprint, to_ms(alert.starts_at)


class States(Database):
    """What was seen, and what was told of it."""

    async def load(self, source: str, ids: Collection[str] | None = None) -> dict[InstanceKey, InstanceState]:
        """What was remembered of these instances of a source; None: of all."""
        query = select(instances).where(instances.c.source == source)
        if ids is not None:
            query = query.where(instances.c.instance_id.in_(sorted(ids)))
        part = query.order_by(instances.c.instance_id).limit(_IN_ONE_QUERY)
        states: dict[InstanceKey, InstanceState] = {}
        async with self.read() as connection:
            # In parts, so that very many rows keep nobody waiting, nor a transaction open in which nothing is asked.
            rows = (await connection.execute(part)).mappings().all()
            while rows:
                states |= {state.key: state for state in map(state_of, rows)}
                beyond = instances.c.instance_id > rows[-1]["instance_id"]
                is_last = len(rows) < _IN_ONE_QUERY
                rows = [] if is_last else (await connection.execute(part.where(beyond))).mappings().all()
        return states

    async def alerting_beyond(self, sources: Collection[str]) -> list[InstanceState]:
        """The states with alerts firing whose source is none of these."""
        query = select(instances).where(instances.c.alerts != "[]", instances.c.source.not_in(sources))
        async with self.read() as connection:
            return [state_of(row) for row in (await connection.execute(query)).mappings()]

    async def commit(self, changes: Sequence[Change], *, now: datetime) -> None:
        """Write states, events and a delivery for each (event, receiver). What is already there is not doubled.

        Then add the reasons of earlier events.
        """
        told = [pair for change in changes for pair in change.events]
        learned = [_step_row(step) for change in changes for step in change.steps]
        async with self.write() as connection:
            await connection.execute(_UPSERT_STATE, [state_row(change.state) for change in changes])
            if learned:
                await connection.execute(steps.insert(), learned)
            if told:
                await self._tell(connection, told, now=now)
            await explain(connection, [each for change in changes if (each := change.explained)], now=now)
            for source in sorted({change.state.key.source for change in changes}):
                ids = [change.state.key.id for change in changes if change.state.key.source == source]
                await tell(connection, STATES, source, ids)
            if told:
                await tell(connection, DELIVERIES)

    async def _tell(
        self, connection: AsyncConnection, told: Sequence[tuple[Event, tuple[str, ...]]], *, now: datetime
    ) -> None:
        event_rows = [event_row(event) for event, _ in told]
        if connection.dialect.name == "postgresql":
            # Whoever reads on from a position must not miss an event of a smaller one that is committed later.
            await connection.execute(select(func.pg_advisory_xact_lock(_HISTORY_LOCK)))
        await connection.execute(_INSERT_EVENT, event_rows)
        to_tell = [
            {"fingerprint": key[0], "starts_at_ms": key[1], "receiver": receiver, "event_id": event.id}
            for event, receivers in told
            for key in map(alert_key, _of_status(event, AlertStatus.FIRING))
            for receiver in receivers
        ]
        if to_tell:
            await connection.execute(_UPSERT_TO_TELL, to_tell)
        repeated = [
            {"repeated_fingerprint": key[0], "repeated_starts_at_ms": key[1], "repeated_by": event.id}
            for event, _ in told
            if event.kind in _REPEATS
            for key in map(alert_key, _of_status(event, AlertStatus.FIRING))
        ]
        if repeated:
            await connection.execute(_REPEAT_ALERT, repeated)
        bound = await _bound_to_be_told(connection, [event for event, _ in told])
        delivery_rows = [
            delivery_row(event, receiver, size=len(row["body"]), now=now, is_routed=is_routed)
            for (event, receivers), row in zip(told, event_rows, strict=True)
            for receiver, is_routed in _recipients(event, receivers, bound)
        ]
        if delivery_rows:
            await connection.execute(_INSERT_DELIVERY, delivery_rows)
        ended = [
            {
                "ended_fingerprint": key[0],
                "ended_starts_at_ms": key[1],
                "ended_ms": to_ms(now),
                "ended_by_event": event.id,
            }
            for event, _ in told
            for key in map(alert_key, _of_status(event, AlertStatus.RESOLVED))
        ]
        if ended:
            await connection.execute(_END_ALERT, ended)

    async def steps(self, source: str) -> list[Step]:
        """The latest steps of a source that went well, oldest first, as many of each sort as are learned from."""
        place = func.row_number().over(partition_by=(steps.c.image_source, steps.c.status), order_by=steps.c.id.desc())
        ranked = select(steps, place.label("place")).where(steps.c.source == source).subquery()
        query = select(ranked).where(ranked.c.place <= SAMPLES_KEPT).order_by(ranked.c.id)
        async with self.read() as connection:
            rows = (await connection.execute(query)).mappings()
            return [
                Step(
                    source=row["source"],
                    image_source=row["image_source"],
                    status=row["status"],
                    duration_s=row["duration_ms"] / 1000,
                )
                for row in rows
            ]


async def _bound_to_be_told(connection: AsyncConnection, told: Sequence[Event]) -> dict[_AlertKey, list[str]]:
    """The receivers that were, or are still, to be told of the alerts that these events end or repeat."""
    asked = sorted({alert.fingerprint for event in told for alert in _continued(event)})
    bound: dict[_AlertKey, list[str]] = {}
    for start in range(0, len(asked), _IN_ONE_QUERY):
        rows = await connection.execute(_TO_TELL, {"fingerprints": asked[start : start + _IN_ONE_QUERY]})
        for row in rows.mappings():
            bound.setdefault((row["fingerprint"], row["starts_at_ms"]), []).append(row["receiver"])
    return bound


def _continued(event: Event) -> list[Alert]:
    """The alerts of an event that did not begin with it."""
    return [alert for alert in event.alerts if alert.status is AlertStatus.RESOLVED or event.kind in _REPEATS]


def _recipients(event: Event, routed: Sequence[str], bound: dict[_AlertKey, list[str]]) -> list[tuple[str, bool]]:
    """Who is told of an event, and whether for its own sake: to whoever is to be told of an alert, its repeat is."""
    reminded: dict[str, bool] = {}
    for alert in _continued(event):
        for receiver in bound.get(alert_key(alert), ()):
            reminded[receiver] = reminded.get(receiver, False) or alert.status is AlertStatus.FIRING
    return [(receiver, True) for receiver in routed] + [
        (receiver, is_reminded) for receiver, is_reminded in reminded.items() if receiver not in routed
    ]


def _of_status(event: Event, status: AlertStatus) -> list[Alert]:
    return [alert for alert in event.alerts if alert.status is status]


def _step_row(step: Step) -> dict[str, Any]:
    return {
        "source": step.source,
        "image_source": step.image_source,
        "status": step.status,
        "duration_ms": round(step.duration_s * 1000),
    }
