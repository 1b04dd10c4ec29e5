"""Events of every kind, to try templates and receivers on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from watcher.core.alerts import ERROR, UNREACHABLE, fingerprint
from watcher.core.model import (
    Alert,
    AlertStatus,
    Event,
    EventKind,
    Expectation,
    InstanceKey,
    Notification,
    Reason,
    Severity,
    Status,
)

_AT = datetime(2026, 1, 1, 0, 0, 15, tzinfo=UTC)
_KEY = InstanceKey("test", "000000000000000000")


def trial_notification(*, id: str, now: datetime) -> Notification:  # noqa: A002 - the event's own word
    """What `test-receiver` sends: a build that went well, with an alert for those who take nothing else."""
    alert = _alert("test", _KEY, Severity.INFO, now)
    event = _event(EventKind.TRANSITION, at=now, id=id, alerts=(alert,), labels={"watcher_test": "true"})
    return Notification(id=id, events=(event,), test=True)


def samples() -> Iterator[Notification]:
    """Every kind of event, with much and with little known of it; a test; and a digest of them all."""
    events = list(_events())
    for event in events:
        yield Notification(id=event.id, events=(event,))
    yield Notification(id="dig_sample", events=tuple(events), is_digest=True, held_by="maintenance patching")
    yield trial_notification(id="evt_test_sample", now=_AT)


def _events() -> Iterator[Event]:
    firing = _alert(ERROR, _KEY, Severity.CRITICAL, _AT)
    for kind in EventKind:
        yield _event(kind)
        yield _event(
            kind,
            alerts=(firing,),
            severity=Severity.CRITICAL,
            reason=Reason(code="WKS.00170206", message="sysprep failed", exact=False),
            labels={"team": "vdi"},
            expected=Expectation(median_s=1400.0, p95_s=1700.0, samples=12),
            inferred=(Status.ACTIVE, Status.BUILDING),
            changes=6,
        )
        yield _event(kind, alerts=(_over(firing),), severity=Severity.CRITICAL, from_status=None, to_status=None)
    source = InstanceKey(_KEY.source, "")
    outage = _alert(UNREACHABLE, source, Severity.CRITICAL, _AT)
    for kind, alert in ((EventKind.UNREACHABLE, outage), (EventKind.RECOVERED, _over(outage))):
        yield _event(
            kind, key=source, name="", from_status=None, to_status=None, alerts=(alert,), severity=Severity.CRITICAL
        )


def _event(
    kind: EventKind,
    *,
    key: InstanceKey = _KEY,
    name: str = "watcher-test",
    id: str | None = None,  # noqa: A002 - the event's own word
    at: datetime = _AT,
    from_status: str | None = Status.BUILDING,
    to_status: str | None = Status.BUILT,
    severity: Severity = Severity.INFO,
    alerts: tuple[Alert, ...] = (),
    reason: Reason | None = None,
    labels: dict[str, str] | None = None,
    expected: Expectation | None = None,
    inferred: tuple[str, ...] = (),
    changes: int | None = None,
) -> Event:
    return Event(
        id=id or f"evt_sample_{kind.value}",
        kind=kind,
        source=key.source,
        instance_id=key.id,
        instance_name=name,
        from_status=from_status,
        to_status=to_status,
        severity=severity,
        observed_at=at,
        previous_observed_at=None,
        sequence=1,
        duration_s=1440.0,
        inferred=inferred,
        labels=labels or {},
        reason=reason,
        alerts=alerts,
        expected=expected,
        changes=changes,
    )


def _alert(name: str, key: InstanceKey, severity: Severity, at: datetime) -> Alert:
    return Alert(
        name=name,
        fingerprint=fingerprint(name, key),
        status=AlertStatus.FIRING,
        severity=severity,
        starts_at=at,
        labels={"instance_name": "watcher-test", "status": Status.BUILT} if key.id else {},
    )


def _over(alert: Alert) -> Alert:
    return replace(alert, status=AlertStatus.RESOLVED, ends_at=alert.starts_at + timedelta(minutes=5))
