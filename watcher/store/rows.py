"""Values to rows and back."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import RowMapping

from watcher.core.event_json import (
    alert_from_json,
    alert_to_json,
    from_json,
    reason_from_json,
    reason_to_json,
    to_json,
)
from watcher.core.model import Delivery, DeliveryState, Event, InstanceKey, InstanceState, Presence, Search
from watcher.core.ports import Attempt, DeliveryReport
from watcher.core.quiet import Acknowledgement, Silence
from watcher.core.routing import matcher_from_json, matcher_to_json

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)
_ANSWER_CHARS = 500


def to_ms(at: datetime) -> int:
    """Whole milliseconds since 1970, rounded down."""
    return (at - _EPOCH) // _MS


def from_ms(ms: int) -> datetime:
    """The reverse of `to_ms`, in UTC."""
    return _EPOCH + ms * _MS


def without_nul(text: str) -> str:
    """The text as PostgreSQL can store it."""
    return text.replace("\0", "")


def state_row(state: InstanceState) -> dict[str, Any]:
    """A row of `instances`."""
    return {
        "source": state.key.source,
        "instance_id": state.key.id,
        "name": state.name,
        "status": state.status,
        "image_id": state.image_id,
        "updated_at": state.updated_at,
        "record": state.record,
        "sequence": state.sequence,
        "since_ms": to_ms(state.since),
        "observed_at_ms": to_ms(state.observed_at),
        "presence": state.presence.value,
        "alerts": json.dumps([alert_to_json(alert) for alert in state.alerts]) if state.alerts else "[]",
        "image_source": state.image_source,
        "told_at_ms": _optional_ms(state.told_at),
        "changed_at_ms": json.dumps([to_ms(at) for at in state.changed_at]) if state.changed_at else "[]",
        "flaps": state.flaps,
        "image_before": state.image_before,
        "unconfirmed_at_ms": _optional_ms(state.unconfirmed_at),
        "reason": json.dumps(reason_to_json(state.reason)) if state.reason is not None else None,
        "search": json.dumps(_search_to_json(state.search)) if state.search is not None else None,
    }


def _search_to_json(search: Search) -> dict[str, Any]:
    return {
        "job_type": search.job_type,
        "since_ms": to_ms(search.since),
        "event_id": search.event_id,
        "until_ms": _optional_ms(search.until),
    }


def _search_of(text: str | None) -> Search | None:
    if text is None:
        return None
    body = json.loads(text)
    return Search(
        job_type=body["job_type"],
        since=from_ms(body["since_ms"]),
        event_id=body["event_id"],
        until=optional_time(body["until_ms"]),
    )


def _optional_ms(at: datetime | None) -> int | None:
    return to_ms(at) if at is not None else None


def optional_time(ms: int | None) -> datetime | None:
    """The time of a column that may be empty."""
    return from_ms(ms) if ms is not None else None


def state_of(row: RowMapping) -> InstanceState:
    """The state of a row of `instances`."""
    return InstanceState(
        key=InstanceKey(row["source"], row["instance_id"]),
        name=row["name"],
        status=row["status"],
        image_id=row["image_id"],
        updated_at=row["updated_at"],
        record=row["record"],
        sequence=row["sequence"],
        since=from_ms(row["since_ms"]),
        observed_at=from_ms(row["observed_at_ms"]),
        presence=Presence(row["presence"]),
        alerts=tuple(alert_from_json(alert) for alert in json.loads(row["alerts"])),
        image_source=row["image_source"],
        told_at=optional_time(row["told_at_ms"]),
        changed_at=tuple(map(from_ms, json.loads(row["changed_at_ms"]))),
        flaps=row["flaps"],
        image_before=row["image_before"],
        unconfirmed_at=optional_time(row["unconfirmed_at_ms"]),
        reason=reason_from_json(json.loads(row["reason"])) if row["reason"] is not None else None,
        search=_search_of(row["search"]),
    )


def event_row(event: Event) -> dict[str, Any]:
    """A row of `events`."""
    return {
        "id": event.id,
        "source": event.source,
        "instance_id": event.instance_id,
        "sequence": event.sequence,
        "kind": event.kind.value,
        "observed_at_ms": to_ms(event.observed_at),
        "body": event_body(to_json(event)),
    }


def event_body(told: dict[str, Any]) -> str:
    """The contract's event object as it is kept."""
    return json.dumps(told, separators=(",", ":"), ensure_ascii=False)


def delivery_row(event: Event, receiver: str, *, size: int, now: datetime, is_routed: bool = True) -> dict[str, Any]:
    """A row of `deliveries`, due at once; `size` is that of the event's body."""
    return {
        "event_id": event.id,
        "receiver": receiver,
        "source": event.source,
        "instance_id": event.instance_id,
        "state": DeliveryState.PENDING.value,
        "attempts": 0,
        "created_at_ms": to_ms(now),
        "next_attempt_at_ms": to_ms(now),
        "queued_at_ms": to_ms(now),
        "is_routed": is_routed,
        "size": size,
    }


def delivery_of(row: RowMapping) -> Delivery:
    """The delivery of a row of `deliveries` joined with its event's `body`; without what it owes."""
    return Delivery(
        id=row["id"],
        receiver=row["receiver"],
        event=from_json(json.loads(row["body"])),
        attempts=row["attempts"],
        queued_at=from_ms(row["queued_at_ms"]),
        next_attempt_at=from_ms(row["next_attempt_at_ms"]),
        digest_id=row["digest_id"],
        held_by=row["held_by"],
        is_routed=row["is_routed"],
        is_late=row["is_late"],
    )


def attempt_row(attempt: Attempt) -> dict[str, Any]:
    """What changes in a row of `deliveries` by an attempt, under names of its own."""
    delivery, error = attempt.delivery, attempt.error
    if attempt.suppression is not None:
        state, reason = DeliveryState.SUPPRESSED, attempt.suppression.value
    elif error is None:
        state, reason = DeliveryState.DELIVERED, None
    else:
        state = DeliveryState.PENDING if attempt.next_attempt_at is not None else DeliveryState.DEAD
        reason = error.reason.value
    return {
        "delivery_id": delivery.id,
        "new_state": state.value,
        "new_attempts": delivery.attempts + (attempt.suppression is None),
        "new_next_ms": to_ms(attempt.next_attempt_at or delivery.next_attempt_at),
        "new_finished_ms": to_ms(attempt.finished_at) if state is not DeliveryState.PENDING else None,
        "new_reason": reason,
        "new_answer": without_nul(str(error)[:_ANSWER_CHARS]) if error is not None else None,
        "new_digest_id": delivery.digest_id,
        "new_held_by": attempt.held_by or delivery.held_by,
    }


def report_of(row: RowMapping) -> DeliveryReport:
    """What the API tells of a row of `deliveries` joined with its event's `body`."""
    return DeliveryReport(
        delivery=delivery_of(row),
        state=DeliveryState(row["state"]),
        created_at=from_ms(row["created_at_ms"]),
        finished_at=optional_time(row["finished_at_ms"]),
        reason=row["last_reason"],
        answer=row["last_answer"],
    )


def silence_row(silence: Silence) -> dict[str, Any]:
    """A row of `silences`."""
    return {
        "id": silence.id,
        "match": json.dumps(matcher_to_json(silence.match)),
        "starts_at_ms": to_ms(silence.starts_at),
        "ends_at_ms": to_ms(silence.ends_at),
        "author": silence.author,
        "comment": silence.comment,
        "created_at_ms": to_ms(silence.created_at),
    }


def silence_of(row: RowMapping) -> Silence:
    """The silence of a row of `silences`."""
    return Silence(
        id=row["id"],
        match=matcher_from_json(json.loads(row["match"])),
        starts_at=from_ms(row["starts_at_ms"]),
        ends_at=from_ms(row["ends_at_ms"]),
        author=row["author"],
        comment=row["comment"],
        created_at=from_ms(row["created_at_ms"]),
    )


def acknowledgement_of(row: RowMapping) -> Acknowledgement:
    """The acknowledgement of a row of `acknowledgements`."""
    return Acknowledgement(
        fingerprint=row["fingerprint"],
        starts_at=from_ms(row["starts_at_ms"]),
        author=row["author"],
        comment=row["comment"],
        created_at=from_ms(row["created_at_ms"]),
    )
