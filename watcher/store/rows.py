"""Values to rows and back."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import RowMapping

from watcher.core.event_json import alert_from_json, alert_to_json, from_json, to_json
from watcher.core.model import Delivery, Event, InstanceKey, InstanceState, Presence

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)


def to_ms(at: datetime) -> int:
    """Whole milliseconds since 1970, rounded down."""
    return (at - _EPOCH) // _MS


def from_ms(ms: int) -> datetime:
    """The reverse of `to_ms`, in UTC."""
    return _EPOCH + ms * _MS


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
    }


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
        "body": json.dumps(to_json(event), separators=(",", ":"), ensure_ascii=False),
    }


def delivery_row(event: Event, receiver: str, *, now: datetime) -> dict[str, Any]:
    """A row of `deliveries`, due at once."""
    return {
        "event_id": event.id,
        "receiver": receiver,
        "source": event.source,
        "instance_id": event.instance_id,
        "state": "pending",
        "attempts": 0,
        "created_at_ms": to_ms(now),
        "next_attempt_at_ms": to_ms(now),
    }


def delivery_of(row: RowMapping) -> Delivery:
    """The delivery of a row of `deliveries` joined with its event's `body`."""
    return Delivery(
        id=row["id"],
        receiver=row["receiver"],
        event=from_json(json.loads(row["body"])),
        attempts=row["attempts"],
        created_at=from_ms(row["created_at_ms"]),
        next_attempt_at=from_ms(row["next_attempt_at_ms"]),
    )
