"""Events as the JSON of the public contract: the same text in history, API and receivers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from watcher.core.model import Alert, AlertStatus, Event, EventKind, Expectation, Reason, Severity


def format_time(at: datetime) -> str:
    """ISO-8601 in UTC with milliseconds: `2026-01-01T00:00:15.123Z`."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"


def parse_time(text: str) -> datetime:
    """The reverse of `format_time`; raises ValueError."""
    return datetime.fromisoformat(text)


def to_json(event: Event) -> dict[str, Any]:
    """The contract's event object."""
    return {
        "id": event.id,
        "kind": event.kind.value,
        "source": event.source,
        "instance_id": event.instance_id,
        "instance_name": event.instance_name,
        "from": event.from_status,
        "to": event.to_status,
        "inferred": list(event.inferred),
        "severity": event.severity.value,
        "observed_at": format_time(event.observed_at),
        "previous_observed_at": optional_time_to_json(event.previous_observed_at),
        "sequence": event.sequence,
        "duration_s": round(event.duration_s, 3) if event.duration_s is not None else None,
        "labels": dict(event.labels),
        "reason": reason_to_json(event.reason),
        "alerts": [alert_to_json(alert) for alert in event.alerts],
        "expected": expectation_to_json(event.expected),
        "flapping": event.flapping,
        "changes": event.changes,
        "instance": json.loads(event.record),
    }


def alert_to_json(alert: Alert) -> dict[str, Any]:
    """The contract's alert object."""
    return {
        "name": alert.name,
        "fingerprint": alert.fingerprint,
        "status": alert.status.value,
        "severity": alert.severity.value,
        "starts_at": format_time(alert.starts_at),
        "ends_at": optional_time_to_json(alert.ends_at),
        "labels": dict(alert.labels),
    }


def expectation_to_json(expected: Expectation | None) -> dict[str, Any] | None:
    """`{"median_s": …, "p95_s": …, "samples": …}`, or None."""
    if expected is None:
        return None
    return {
        "median_s": round(expected.median_s, 3),
        "p95_s": round(expected.p95_s, 3),
        "samples": expected.samples,
    }


def reason_to_json(reason: Reason | None) -> dict[str, Any] | None:
    """`{"code": …, "message": …, "exact": …}`, or None."""
    if reason is None:
        return None
    return {"code": reason.code, "message": reason.message, "exact": reason.exact}


def optional_time_to_json(at: datetime | None) -> str | None:
    """The same, or None."""
    return format_time(at) if at is not None else None


def from_json(body: Mapping[str, Any]) -> Event:
    """The event of an object that `to_json` wrote (ours, from the store: not for foreign input)."""
    reason, expected = body["reason"], body.get("expected")  # events of earlier versions expect nothing
    return Event(
        id=body["id"],
        kind=EventKind(body["kind"]),
        source=body["source"],
        instance_id=body["instance_id"],
        instance_name=body["instance_name"],
        from_status=body["from"],
        to_status=body["to"],
        inferred=tuple(body["inferred"]),
        severity=Severity(body["severity"]),
        observed_at=parse_time(body["observed_at"]),
        previous_observed_at=_parse_optional(body["previous_observed_at"]),
        sequence=body["sequence"],
        duration_s=body["duration_s"],
        labels=body["labels"],
        reason=reason_from_json(reason),
        alerts=tuple(alert_from_json(alert) for alert in body["alerts"]),
        expected=Expectation(**expected) if expected is not None else None,
        flapping=body.get("flapping", False),
        changes=body.get("changes"),
        record=json.dumps(body["instance"], separators=(",", ":"), sort_keys=True, ensure_ascii=False),
    )


def reason_from_json(body: Mapping[str, Any] | None) -> Reason | None:
    """The reason of an object that `reason_to_json` wrote."""
    return Reason(**body) if body is not None else None


def alert_from_json(body: Mapping[str, Any]) -> Alert:
    """The alert of an object that `alert_to_json` wrote."""
    return Alert(
        name=body["name"],
        fingerprint=body["fingerprint"],
        status=AlertStatus(body["status"]),
        severity=Severity(body["severity"]),
        starts_at=parse_time(body["starts_at"]),
        ends_at=_parse_optional(body["ends_at"]),
        labels=body.get("labels", {}),  # alerts of earlier versions have none
    )


def _parse_optional(text: str | None) -> datetime | None:
    return parse_time(text) if text is not None else None
