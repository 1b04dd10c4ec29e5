"""Deliveries: what waits, what became of it, and what of it is to be tried anew."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    Update,
    and_,
    bindparam,
    exists,
    false,
    func,
    or_,
    select,
    true,
    update,
)

from watcher.core.model import Alert, AlertStatus, Delivery, DeliveryState, EventKind, InstanceKey, Suppression
from watcher.core.ports import Attempt, DeliveryReport, Waiting
from watcher.store.claims import IN_ONE_QUERY, PENDING, Claims
from watcher.store.database import is_held
from watcher.store.rows import attempt_row, delivery_of, optional_time, report_of, to_ms
from watcher.store.signals import DELIVERIES, tell
from watcher.store.states import alert_key
from watcher.store.tables import acknowledgements, alert_receivers, deliveries, events, is_waiting

_Bound = dict[tuple[str, int, str], tuple[bool, bool]]
"""For fingerprint, beginning and receiver: whether it was told, and whether it is over and its end is not to come."""
_OF_RECEIVER = deliveries.c.receiver == bindparam("receiver")
_QUIET = (Suppression.SILENCE.value, Suppression.MAINTENANCE.value)

_EARLIER = deliveries.alias("earlier")
_WAITS_FOR_EARLIER = exists().where(
    _EARLIER.c.receiver == deliveries.c.receiver,
    is_waiting(_EARLIER),
    _EARLIER.c.source == deliveries.c.source,
    _EARLIER.c.instance_id == deliveries.c.instance_id,
    _EARLIER.c.id < deliveries.c.id,
    _EARLIER.c.next_attempt_at_ms > bindparam("now_ms"),
)
# The sum keeps the planner from choosing, and then sorting, by this column: the oldest are few and come first by id.
_IS_DUE = deliveries.c.next_attempt_at_ms + 0 <= bindparam("now_ms")
_WAITING = (
    select(deliveries.c.id, deliveries.c.source, deliveries.c.instance_id, deliveries.c.digest_id, deliveries.c.size)
    .where(
        _OF_RECEIVER,
        is_waiting(deliveries),
        _IS_DUE,
        or_(deliveries.c.digest_id.is_not(None), ~_WAITS_FOR_EARLIER),
    )
    .order_by(deliveries.c.id)
)
_WITH_EVENT = select(deliveries, events.c.body).join(events, events.c.id == deliveries.c.event_id)
_NEXT_DUE = select(func.min(deliveries.c.next_attempt_at_ms)).where(
    _OF_RECEIVER, PENDING, deliveries.c.next_attempt_at_ms > bindparam("now_ms")
)
_UNFINISHED = (
    select(deliveries.c.receiver, deliveries.c.state, func.count())
    .where(deliveries.c.state.in_([DeliveryState.PENDING.value, DeliveryState.DEAD.value]))
    .group_by(deliveries.c.receiver, deliveries.c.state)
)
_OLDEST_PENDING = select(func.min(deliveries.c.queued_at_ms)).where(PENDING)
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
        digest_id=bindparam("new_digest_id"),
        held_by=bindparam("new_held_by"),
        claimed_by=None,
    )
)
_RECORD_TOLD = (
    update(alert_receivers)
    .where(
        alert_receivers.c.fingerprint == bindparam("told_fingerprint"),
        alert_receivers.c.starts_at_ms == bindparam("told_starts_at_ms"),
        alert_receivers.c.receiver == bindparam("told_receiver"),
        alert_receivers.c.told_at_ms.is_(None),
    )
    .values(told_at_ms=bindparam("told_ms"))
)


class Queue(Claims):
    """Deliveries of all receivers, in the order in which they came."""

    async def waiting(self, receiver: str, *, now: datetime, limit: int) -> Sequence[Waiting]:
        """Pending deliveries that are due, oldest first.

        None of an instance whose earlier delivery is not yet due, unless both are part of digests; nor what somebody
        else has claimed, and what is behind it of the same instance.
        """
        query = _WAITING.where(*self.unclaimed()).limit(limit)
        async with self.read() as connection:
            rows = await connection.execute(query, {"receiver": receiver, "now_ms": to_ms(now)})
            return [
                Waiting(id=id_, key=InstanceKey(source, instance_id), digest_id=digest_id, size=size)
                for id_, source, instance_id, digest_id, size in rows
            ]

    async def deliveries_of(self, ids: Collection[int]) -> Sequence[Delivery]:
        """These deliveries, oldest first; their events without what fires and is not for their receiver."""
        wanted, found = sorted(ids), list[Delivery]()
        for start in range(0, len(wanted), IN_ONE_QUERY):
            found += await self._deliveries(deliveries.c.id.in_(wanted[start : start + IN_ONE_QUERY]))
        return found

    async def digest(self, receiver: str, digest_id: str) -> Sequence[Delivery]:
        """The receiver's pending deliveries that are sent together as this digest, oldest first."""
        return await self._deliveries(
            and_(deliveries.c.digest_id == digest_id, deliveries.c.receiver == receiver, PENDING)
        )

    async def aged(self, receiver: str, *, before: datetime, limit: int) -> Sequence[Delivery]:
        """Pending deliveries queued before that, oldest first; a digest when all it holds was."""
        waits = and_(deliveries.c.receiver == receiver, PENDING)
        old = deliveries.c.queued_at_ms < to_ms(before)
        digests = (
            select(deliveries.c.digest_id)
            .where(waits, deliveries.c.digest_id.is_not(None))
            .group_by(deliveries.c.digest_id)
            .having(func.max(deliveries.c.queued_at_ms) < to_ms(before))
        )
        is_aged = or_(and_(old, deliveries.c.digest_id.is_(None)), deliveries.c.digest_id.in_(digests))
        return await self._deliveries(and_(waits, is_aged, *self.unclaimed()), limit=limit)

    async def held(self, receiver: str) -> Sequence[Delivery]:
        """Deliveries suppressed by a silence or a maintenance window whose alerts fire still and were not told."""
        of_open_alerts = (
            select(deliveries.c.id)
            .join(
                alert_receivers,
                and_(
                    alert_receivers.c.event_id == deliveries.c.event_id,
                    alert_receivers.c.receiver == deliveries.c.receiver,
                ),
            )
            .where(
                alert_receivers.c.receiver == receiver,
                alert_receivers.c.ended_at_ms.is_(None),
                alert_receivers.c.told_at_ms.is_(None),
                deliveries.c.state == DeliveryState.SUPPRESSED.value,
                deliveries.c.last_reason.in_(_QUIET),
            )
        )
        return await self._deliveries(deliveries.c.id.in_(of_open_alerts))

    async def _deliveries(self, condition: ColumnElement[bool], *, limit: int | None = None) -> list[Delivery]:
        """The deliveries that meet it, each as its receiver is to be told, with what it owes and is acknowledged."""
        query = _WITH_EVENT.where(condition).order_by(deliveries.c.id).limit(limit)
        async with self.read() as connection:
            found = [delivery_of(row) for row in (await connection.execute(query)).mappings()]
            asked = sorted({alert.fingerprint for each in found for alert in each.event.alerts})
            bound: _Bound = {}
            for start in range(0, len(asked), IN_ONE_QUERY):
                rows = await connection.execute(_bound(asked[start : start + IN_ONE_QUERY]))
                bound |= {(first, began, name): (is_told, is_over) for first, began, name, is_told, is_over in rows}
            reminded = _fingerprints([each for each in found if _reminds(each)], AlertStatus.FIRING)
            taken = set[tuple[str, int]]()
            for start in range(0, len(reminded), IN_ONE_QUERY):
                chosen = reminded[start : start + IN_ONE_QUERY]
                taken |= {(first, began) for first, began in await connection.execute(_acknowledged(chosen))}
        return [_with_debts(_as_meant(delivery, bound), bound, taken) for delivery in found]

    async def form_digest(self, digest_id: str | None, ids: Collection[int]) -> None:
        """From now on these are sent together, or (None) each by itself."""
        await self._update(ids, update(deliveries).values(digest_id=digest_id))

    async def next_due_at(self, receiver: str, *, now: datetime) -> datetime | None:
        """When the next pending delivery that is not due at `now` will be; None when there is none."""
        async with self.read() as connection:
            earliest = (await connection.execute(_NEXT_DUE, {"receiver": receiver, "now_ms": to_ms(now)})).scalar()
        return optional_time(earliest)

    async def oldest_pending_at(self) -> datetime | None:
        """Since when the oldest of all pending deliveries is; None when nothing is pending."""
        async with self.read() as connection:
            return optional_time((await connection.execute(_OLDEST_PENDING)).scalar())

    async def record(self, attempts: Sequence[Attempt]) -> None:
        """Write down how tries ended, and who was told of which alert.

        Of what somebody has claimed since, or nobody, it was written before, by a try whose answer was lost.
        """
        told = [
            {
                "told_fingerprint": fingerprint,
                "told_starts_at_ms": starts_at_ms,
                "told_receiver": attempt.delivery.receiver,
                "told_ms": to_ms(attempt.finished_at),
            }
            for attempt in attempts
            if attempt.error is None and attempt.suppression is None
            for alert in attempt.delivery.event.alerts
            if alert.status is AlertStatus.FIRING
            for fingerprint, starts_at_ms in [alert_key(alert)]
        ]
        statement = _RECORD_ATTEMPT
        if self._lease is not None:
            statement = statement.where(deliveries.c.claimed_by == self._lease.claimant)
        async with self.write(is_record=True) as connection:
            await connection.execute(statement, [attempt_row(attempt) for attempt in attempts])
            if told:
                await connection.execute(_RECORD_TOLD, told)
            if self._lease is not None and not await is_held(connection, self._lease):
                await tell(connection, DELIVERIES)  # whoever serves the receiver now waited for these

    async def make_due(self, receiver: str, *, now: datetime, beyond: timedelta = timedelta()) -> None:
        """Whatever waits for another try for longer than `beyond` from now is due now."""
        later = and_(deliveries.c.receiver == receiver, PENDING, deliveries.c.next_attempt_at_ms > to_ms(now + beyond))
        async with self.write() as connection:
            await connection.execute(update(deliveries).where(later).values(next_attempt_at_ms=to_ms(now)))

    async def requeue(self, ids: Collection[int], *, now: datetime, digest_id: str | None = None) -> None:
        """Suppressed or dead deliveries are pending again, as if they were new."""
        await self._update(ids, _as_new(now).values(digest_id=digest_id, is_late=True))

    async def retry(
        self, ids: Collection[int] | None, *, now: datetime, receivers: Collection[str] | None = None
    ) -> int:
        """Dead letters (None: all) are pending again, with the ends of alerts kept back for them; how many letters.

        With `receivers`, only theirs: nobody would send the others.
        """
        known = true() if receivers is None else deliveries.c.receiver.in_(receivers)
        dead = and_(deliveries.c.state == DeliveryState.DEAD.value, known)
        chosen = dead if ids is None else and_(dead, deliveries.c.id.in_(ids))
        first = deliveries.alias("first")
        kept_back = and_(
            deliveries.c.state == DeliveryState.SUPPRESSED.value,
            deliveries.c.last_reason == Suppression.NEVER_FIRED.value,
            known,
            exists().where(
                first.c.receiver == deliveries.c.receiver,
                first.c.source == deliveries.c.source,
                first.c.instance_id == deliveries.c.instance_id,
                first.c.id < deliveries.c.id,
                first.c.state == DeliveryState.DEAD.value,
                true() if ids is None else first.c.id.in_(ids),
            ),
        )
        async with self.write() as connection:
            await connection.execute(_as_new(now).where(kept_back))
            retried = (await connection.execute(_as_new(now).values(is_late=True).where(chosen))).rowcount
            await tell(connection, DELIVERIES)
            return retried

    async def bury(self, *, receivers: Collection[str], now: datetime) -> int:
        """Pending deliveries of receivers other than these are dead: nobody will ever send them. How many."""
        gone = and_(PENDING, deliveries.c.receiver.not_in(receivers), deliveries.c.claimed_by.is_(None))
        values = {
            "state": DeliveryState.DEAD.value,
            "finished_at_ms": to_ms(now),
            "last_reason": "other",
            "last_answer": "the receiver is no longer in the configuration",
        }
        async with self.write() as connection:
            return (await connection.execute(update(deliveries).where(gone).values(values))).rowcount

    async def unfinished(self) -> dict[tuple[str, DeliveryState], int]:
        """How many deliveries of each receiver are pending, and how many dead."""
        async with self.read() as connection:
            rows = await connection.execute(_UNFINISHED)
            return {(receiver, DeliveryState(state)): count for receiver, state, count in rows}

    async def reports(
        self,
        *,
        before: int | None = None,
        limit: int = 100,
        state: DeliveryState | None = None,
        receiver: str | None = None,
        source: str | None = None,
        instance_id: str | None = None,
        event_id: str | None = None,
    ) -> list[DeliveryReport]:
        """Deliveries for people to look at, newest first, from before (the id) `before`."""
        query: Select[Any] = _WITH_EVENT.order_by(deliveries.c.id.desc()).limit(limit)
        if before is not None:
            query = query.where(deliveries.c.id < before)
        if state is not None:
            query = query.where(deliveries.c.state == state.value)
        # Of the events, because they have an index by instance.
        for column, value in (
            (deliveries.c.receiver, receiver),
            (events.c.source, source),
            (events.c.instance_id, instance_id),
            (events.c.id, event_id),
        ):
            if value is not None:
                query = query.where(column == value)
        async with self.read() as connection:
            return [report_of(row) for row in (await connection.execute(query)).mappings()]

    async def _update(self, ids: Collection[int], values: Update) -> None:
        wanted = sorted(ids)
        async with self.write() as connection:
            for start in range(0, len(wanted), IN_ONE_QUERY):
                chosen = deliveries.c.id.in_(wanted[start : start + IN_ONE_QUERY])
                await connection.execute(values.where(chosen))


def _as_new(now: datetime) -> Update:
    return update(deliveries).values(
        state=DeliveryState.PENDING.value,
        attempts=0,
        queued_at_ms=to_ms(now),
        next_attempt_at_ms=to_ms(now),
        finished_at_ms=None,
        digest_id=None,
    )


def _fingerprints(found: Sequence[Delivery], status: AlertStatus) -> list[str]:
    return sorted({alert.fingerprint for each in found for alert in each.event.alerts if alert.status is status})


def _reminds(delivery: Delivery) -> bool:
    return delivery.event.kind is EventKind.REMINDER


def _may_repeat(delivery: Delivery) -> bool:
    """Whether the event may also tell that alerts fire of which this receiver is not to be told."""
    return not delivery.is_routed or delivery.event.kind in (EventKind.REMINDER, EventKind.FLAPPING)


def _bound(fingerprints: Sequence[str]) -> Select[str, int, str, bool, bool]:
    """Who is bound to be told of these alerts, whether they were, and whether it is over and its end not to come."""
    table, end = alert_receivers.c, deliveries.c
    is_to_come = func.coalesce(end.state == DeliveryState.PENDING.value, false())
    return (
        select(
            table.fingerprint,
            table.starts_at_ms,
            table.receiver,
            table.told_at_ms.is_not(None),
            and_(table.ended_at_ms.is_not(None), ~is_to_come),
        )
        .select_from(
            alert_receivers.outerjoin(deliveries, and_(end.event_id == table.ended_by, end.receiver == table.receiver))
        )
        .where(table.fingerprint.in_(fingerprints))
    )


def _acknowledged(fingerprints: Sequence[str]) -> Select[str, int]:
    table = acknowledgements.c
    return select(table.fingerprint, table.starts_at_ms).where(table.fingerprint.in_(fingerprints))


def _as_meant(delivery: Delivery, bound: _Bound) -> Delivery:
    """Without the alerts that are not for this receiver, and those that are over and whose end will not follow.

    The latter are in what was dead or kept back, and is sent after the end was told or passed over.
    """
    event = delivery.event

    def is_meant(alert: Alert) -> bool:
        entry = bound.get((*alert_key(alert), delivery.receiver))
        if alert.status is AlertStatus.RESOLVED:
            return True
        return not (delivery.is_late and entry[1]) if entry is not None else not _may_repeat(delivery)

    if all(map(is_meant, event.alerts)):
        return delivery
    return replace(delivery, event=replace(event, alerts=tuple(filter(is_meant, event.alerts))))


def _with_debts(delivery: Delivery, bound: _Bound, acknowledged: Collection[tuple[str, int]]) -> Delivery:
    keys = {alert_key(alert) for alert in delivery.event.alerts}
    owed = frozenset(key[0] for key in keys if bound.get((*key, delivery.receiver), (False,))[0])
    taken = frozenset(key[0] for key in keys & set(acknowledged)) if _reminds(delivery) else frozenset[str]()
    return replace(delivery, owed=owed, acknowledged=taken) if owed or taken else delivery
