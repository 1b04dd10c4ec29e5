"""The deliveries of the model store, and what people asked not to be told."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from tests.fakes.model_roster import ModelRoster
from watcher.core.model import Alert, AlertStatus, Delivery, DeliveryState, Event, EventKind, InstanceKey, Suppression
from watcher.core.ports import Attempt, DeliveryReport, Waiting
from watcher.core.quiet import Acknowledgement, Silence
from watcher.core.sharing import subject_of

REPEATS = (EventKind.REMINDER, EventKind.FLAPPING)
_PENDING, _DEAD, _SUPPRESSED = DeliveryState.PENDING, DeliveryState.DEAD, DeliveryState.SUPPRESSED
_QUIET = (Suppression.SILENCE.value, Suppression.MAINTENANCE.value)

AlertKey = tuple[str, datetime]
"""The fingerprint and the beginning of an alert."""


def whole_ms(at: datetime) -> datetime:
    """The time as a store keeps it: in whole milliseconds."""
    return at - timedelta(microseconds=at.microsecond % 1000)


def alert_key(alert: Alert) -> AlertKey:
    """What tells this alert from an earlier one of the same fingerprint."""
    return alert.fingerprint, whole_ms(alert.starts_at)


@dataclass(slots=True)
class Row:
    """One delivery; `delivery` is as it is told, without what it owes."""

    delivery: Delivery
    created_at: datetime
    size: int
    state: DeliveryState = _PENDING
    finished_at: datetime | None = None
    reason: str | None = None
    answer: str | None = None
    claimed_by: str | None = None


@dataclass(slots=True)
class Bound:
    """That a receiver is to be told of an alert: by which event, and whether it was."""

    event_id: str
    told_at: datetime | None = None
    ended_at: datetime | None = None
    ended_by: str | None = None


class ModelQueue(ModelRoster):
    """Deliveries of all receivers, in the order in which they came; silences and acknowledgements."""

    def __init__(self, seconds: Callable[[], float] = lambda: 0.0) -> None:
        super().__init__(seconds)
        self.rows: dict[int, Row] = {}
        self.bound: dict[AlertKey, dict[str, Bound]] = defaultdict(dict)
        self._row_of: dict[tuple[str, str], Row] = {}
        self._ids: dict[tuple[str, DeliveryState], set[int]] = defaultdict(set)
        self._silences: dict[str, Silence] = {}
        self._acknowledgements: dict[AlertKey, Acknowledgement] = {}

    def deliver(self, event: Event, receiver: str, *, size: int, is_routed: bool, now: datetime) -> None:
        """One more delivery, unless there is one."""
        if (event.id, receiver) in self._row_of:
            return
        delivery = Delivery(
            id=len(self.rows) + 1,
            receiver=receiver,
            event=event,
            attempts=0,
            queued_at=now,
            next_attempt_at=now,
            is_routed=is_routed,
        )
        row = self.rows[delivery.id] = Row(delivery, created_at=now, size=size)
        self._row_of[event.id, receiver] = row
        self._ids[receiver, row.state].add(delivery.id)
        self.tell("deliveries")

    def reword(self, event: Event, *, size: int, updating: Collection[str], now: datetime) -> None:
        """An event that is kept says something more; who took it by itself and can update what it sent is sent it."""
        for row in self.rows.values():
            if row.delivery.event.id != event.id:
                continue
            row.delivery, row.size = replace(row.delivery, event=event), size
            is_delivered = row.state is DeliveryState.DELIVERED and row.delivery.digest_id is None
            if is_delivered and row.delivery.receiver in updating:
                row.delivery = replace(
                    row.delivery,
                    attempts=max(1, row.delivery.attempts),
                    queued_at=now,
                    next_attempt_at=now,
                    is_late=True,
                )
                self._move(row, _PENDING)
                self.tell("deliveries")

    async def waiting(self, receiver: str, *, now: datetime, limit: int) -> Sequence[Waiting]:
        late, due = set[InstanceKey](), list[Waiting]()
        for row in self._unclaimed(self._of(receiver, _PENDING)):
            delivery = row.delivery
            key = delivery.event.key
            if delivery.next_attempt_at > now:
                late.add(key)
            elif delivery.digest_id is not None or key not in late:
                due.append(Waiting(id=delivery.id, key=key, digest_id=delivery.digest_id, size=row.size))
        return due[:limit]

    def _unclaimed(self, pending: Sequence[Row]) -> list[Row]:
        """What others have not claimed, nor is behind what they have."""
        if self._lease is None:
            return list(pending)
        others, found = set[InstanceKey](), list[Row]()
        for row in pending:
            key = row.delivery.event.key
            is_others = row.claimed_by not in (None, self._lease.claimant)
            if not is_others and key not in others:
                found.append(row)
            if is_others:
                others.add(key)
        return found

    async def claim(self, ids: Collection[int]) -> Collection[int]:
        if self._lease is None:
            return frozenset(ids)
        self._check()
        mine = self._lease.claimant
        rows = [self.rows[delivery_id] for delivery_id in ids if delivery_id in self.rows]
        free = [row for row in rows if row.state is _PENDING and row.claimed_by in (None, mine)]
        for row in free:
            row.claimed_by = mine
        return frozenset(row.delivery.id for row in free)

    async def unclaim(self, ids: Collection[int] | None = None) -> None:
        if self._lease is None:
            return
        self._check(is_record=True)
        receiver, mine = subject_of(self._lease.name), self._lease.claimant
        rows = [row for row in self.claimed() if (row.delivery.receiver, row.claimed_by) == (receiver, mine)]
        freed = [row for row in rows if ids is None or row.delivery.id in ids]
        for row in freed:
            row.claimed_by = None
        if freed:
            self.tell("deliveries")

    def claimed(self) -> list[Row]:
        """What somebody has claimed."""
        return [row for row in self.rows.values() if row.claimed_by is not None]

    def free_claims(self, replica_id: str) -> bool:
        rows = [row for row in self.claimed() if (row.claimed_by or "").partition("/")[0] == replica_id]
        for row in rows:
            row.claimed_by = None
        return bool(rows)

    async def deliveries_of(self, ids: Collection[int]) -> Sequence[Delivery]:
        return self._with_debts(self.rows[delivery_id] for delivery_id in sorted(ids) if delivery_id in self.rows)

    async def digest(self, receiver: str, digest_id: str) -> Sequence[Delivery]:
        return self._with_debts(row for row in self._of(receiver, _PENDING) if row.delivery.digest_id == digest_id)

    async def form_digest(self, digest_id: str | None, ids: Collection[int]) -> None:
        self._check()
        for row in map(self.rows.__getitem__, ids):
            row.delivery = replace(row.delivery, digest_id=digest_id)

    async def next_due_at(self, receiver: str, *, now: datetime) -> datetime | None:
        pending = [row.delivery.next_attempt_at for row in self._of(receiver, _PENDING)]
        return min((at for at in pending if at > now), default=None)

    async def oldest_pending_at(self) -> datetime | None:
        return min((row.delivery.queued_at for row in self._all(_PENDING)), default=None)

    async def record(self, attempts: Sequence[Attempt]) -> None:
        self._check(is_record=True)
        for attempt in attempts:
            row = self.rows[attempt.delivery.id]
            if self._lease is None or row.claimed_by == self._lease.claimant:
                self._record(row, attempt)
            if attempt.error is None and attempt.suppression is None:
                for alert in of_status(attempt.delivery.event, AlertStatus.FIRING):
                    bound = self.bound[alert_key(alert)].get(attempt.delivery.receiver)
                    if bound is not None and bound.told_at is None:
                        bound.told_at = whole_ms(attempt.finished_at)
        if self._lease is not None and not self.is_held(self._lease):
            self.tell("deliveries")

    def _record(self, row: Row, attempt: Attempt) -> None:
        error, next_at = attempt.error, attempt.next_attempt_at or attempt.delivery.next_attempt_at
        row.delivery = replace(
            row.delivery,
            attempts=attempt.delivery.attempts + (attempt.suppression is None),
            next_attempt_at=whole_ms(next_at),
            digest_id=attempt.delivery.digest_id,
            held_by=attempt.held_by or attempt.delivery.held_by,
        )
        row.answer = str(error)[:500] if error is not None else None
        row.claimed_by = None
        if attempt.suppression is not None:
            row.reason = attempt.suppression.value
            self._move(row, _SUPPRESSED, at=attempt.finished_at)
        elif error is None:
            row.reason = None
            self._move(row, DeliveryState.DELIVERED, at=attempt.finished_at)
        else:
            row.reason = error.reason.value
            self._move(row, _PENDING if attempt.next_attempt_at is not None else _DEAD, at=attempt.finished_at)

    async def make_due(self, receiver: str, *, now: datetime, beyond: timedelta = timedelta()) -> None:
        self._check()
        for row in self._of(receiver, _PENDING):
            if row.delivery.next_attempt_at > whole_ms(now + beyond):
                row.delivery = replace(row.delivery, next_attempt_at=whole_ms(now))

    async def aged(self, receiver: str, *, before: datetime, limit: int) -> Sequence[Delivery]:
        pending = self._of(receiver, _PENDING)
        young = [row.delivery for row in pending if row.delivery.queued_at >= whole_ms(before)]
        ids, digests = {each.id for each in young}, {each.digest_id for each in young} - {None}
        old = [row for row in pending if row.delivery.id not in ids and row.delivery.digest_id not in digests]
        unclaimed = {row.delivery.id for row in self._unclaimed(pending)}
        aged = [row for row in old if row.delivery.id in unclaimed]
        return self._with_debts(aged[:limit])

    async def held(self, receiver: str) -> Sequence[Delivery]:
        quiet = (row for row in self._of(receiver, _SUPPRESSED) if row.reason in _QUIET)
        return self._with_debts(filter(self._is_to_be_told, quiet))

    def _is_to_be_told(self, row: Row) -> bool:
        event = row.delivery.event
        bounds = (
            self.bound[alert_key(alert)].get(row.delivery.receiver) for alert in of_status(event, AlertStatus.FIRING)
        )
        return any(
            bound.event_id == event.id and bound.told_at is None and bound.ended_at is None
            for bound in bounds
            if bound is not None
        )

    async def requeue(self, ids: Collection[int], *, now: datetime, digest_id: str | None = None) -> None:
        self._check()
        for row in map(self.rows.__getitem__, ids):
            self._renew(row, now=whole_ms(now), digest_id=digest_id)
            row.delivery = replace(row.delivery, is_late=True)

    async def retry(self, ids: Collection[int] | None, *, now: datetime) -> int:
        dead = [row for row in self._all(_DEAD) if ids is None or row.delivery.id in ids]
        kept_back = [
            row
            for row in self._all(_SUPPRESSED)
            if row.reason == Suppression.NEVER_FIRED and any(_is_before(first.delivery, row.delivery) for first in dead)
        ]
        for row in dead + kept_back:
            self._renew(row, now=whole_ms(now))
        for row in dead:
            row.delivery = replace(row.delivery, is_late=True)
        self.tell("deliveries")
        return len(dead)

    async def bury(self, *, receivers: Collection[str], now: datetime) -> int:
        others = [row for row in self._all(_PENDING) if row.delivery.receiver not in receivers]
        gone = [row for row in others if row.claimed_by is None]
        for row in gone:
            row.reason, row.answer = "other", "the receiver is no longer in the configuration"
            self._move(row, _DEAD, at=now)
        return len(gone)

    async def unfinished(self) -> dict[tuple[str, DeliveryState], int]:
        return {key: len(ids) for key, ids in self._ids.items() if ids and key[1] in (_PENDING, _DEAD)}

    def reports_of(self, chosen: Callable[[Row], bool] = lambda _: True) -> list[DeliveryReport]:
        """Deliveries for tests to look at, oldest first."""
        return [
            DeliveryReport(
                delivery=row.delivery,
                state=row.state,
                created_at=row.created_at,
                finished_at=row.finished_at,
                reason=row.reason,
                answer=row.answer,
            )
            for row in self.rows.values()
            if chosen(row)
        ]

    def _of(self, receiver: str, state: DeliveryState) -> list[Row]:
        return [self.rows[delivery_id] for delivery_id in sorted(self._ids[receiver, state])]

    def _all(self, state: DeliveryState) -> list[Row]:
        ids = [delivery_id for key, ids in self._ids.items() if key[1] is state for delivery_id in ids]
        return [self.rows[delivery_id] for delivery_id in sorted(ids)]

    def _renew(self, row: Row, *, now: datetime, digest_id: str | None = None) -> None:
        row.delivery = replace(row.delivery, attempts=0, queued_at=now, next_attempt_at=now, digest_id=digest_id)
        self._move(row, _PENDING)

    def _move(self, row: Row, state: DeliveryState, *, at: datetime | None = None) -> None:
        row.finished_at = whole_ms(at) if at is not None and state is not _PENDING else None
        self._ids[row.delivery.receiver, row.state].discard(row.delivery.id)
        row.state = state
        self._ids[row.delivery.receiver, state].add(row.delivery.id)

    def _with_debts(self, rows: Iterable[Row]) -> list[Delivery]:
        return [self._with_debt(row.delivery) for row in rows]

    def _with_debt(self, delivery: Delivery) -> Delivery:
        if not delivery.event.alerts:
            return delivery
        delivery = self._as_meant(delivery)
        keys = {alert_key(alert) for alert in delivery.event.alerts}
        told = {
            key[0]
            for key in keys
            if (bound := self.bound[key].get(delivery.receiver)) is not None and bound.told_at is not None
        }
        reminds = delivery.event.kind is EventKind.REMINDER
        taken = {key[0] for key in keys if key in self._acknowledgements} if reminds else set[str]()
        return replace(delivery, owed=frozenset(told), acknowledged=frozenset(taken))

    def _as_meant(self, delivery: Delivery) -> Delivery:
        """The delivery without what fires and is not for its receiver, or is over and its end not to come."""
        event = delivery.event
        is_first = delivery.is_routed and event.kind not in REPEATS
        meant = tuple(alert for alert in event.alerts if self._is_meant(alert, delivery, is_first=is_first))
        return replace(delivery, event=replace(event, alerts=meant)) if meant != event.alerts else delivery

    def _is_meant(self, alert: Alert, delivery: Delivery, *, is_first: bool) -> bool:
        bound = self.bound[alert_key(alert)].get(delivery.receiver)
        if alert.status is AlertStatus.RESOLVED or bound is None:
            return alert.status is AlertStatus.RESOLVED or is_first
        if bound.ended_at is None or not delivery.is_late:
            return True
        end = self._row_of.get((bound.ended_by or "", delivery.receiver))
        return end is not None and end.state is _PENDING

    # -- what people asked not to be told --------------------------------------------------------------------------

    async def silences(self) -> list[Silence]:
        return sorted(self._silences.values(), key=lambda silence: (silence.created_at, silence.id))

    async def add_silence(self, silence: Silence) -> None:
        self._silences[silence.id] = replace(
            silence,
            starts_at=whole_ms(silence.starts_at),
            ends_at=whole_ms(silence.ends_at),
            created_at=whole_ms(silence.created_at),
        )
        self.tell("quiet")

    async def expire_silence(self, silence_id: str, *, now: datetime) -> bool:
        silence, now = self._silences.get(silence_id), whole_ms(now)
        if silence is None or silence.ends_at <= now:
            return False
        self._silences[silence_id] = replace(silence, ends_at=now, starts_at=min(silence.starts_at, now))
        self.tell("quiet")
        return True

    async def acknowledge(self, acknowledgement: Acknowledgement) -> None:
        key = acknowledgement.fingerprint, whole_ms(acknowledgement.starts_at)
        self._acknowledgements[key] = replace(
            acknowledgement, starts_at=key[1], created_at=whole_ms(acknowledgement.created_at)
        )

    async def acknowledgements(self) -> list[Acknowledgement]:
        return sorted(self._acknowledgements.values(), key=lambda taken: taken.created_at)


def of_status(event: Event, status: AlertStatus) -> list[Alert]:
    """The alerts of an event that fire, or that are over."""
    return [alert for alert in event.alerts if alert.status is status]


def _is_before(first: Delivery, second: Delivery) -> bool:
    return (first.receiver, first.event.key) == (second.receiver, second.event.key) and first.id < second.id
