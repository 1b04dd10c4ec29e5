"""A source that does not answer, as news of its own: one alert for all its instances.

A source's state is an `InstanceState` with an empty instance id, so that it is kept, numbered and delivered in order
like any other. Its `since` is when the outage began.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from watcher.core.alerts import reconcile, worst
from watcher.core.detector import event_id, never_seen
from watcher.core.errors import CloudError
from watcher.core.event_json import format_time
from watcher.core.model import Event, EventKind, InstanceKey, InstanceState, Reason, Severity

UNREACHABLE = "unreachable"


def source_key(source: str) -> InstanceKey:
    """The key under which a source's own state is kept."""
    return InstanceKey(source, "")


def begin_outage(
    state: InstanceState | None, *, source: str, since: datetime, now: datetime, severity: Severity, error: CloudError
) -> tuple[InstanceState, Event]:
    """The source has not answered since `since`, for too long: the alert fires."""
    known = state or never_seen(source_key(source), at=now)
    known = replace(known, since=since, updated_at=format_time(since))
    reason = Reason(code=error.code, message=str(error.args[0]), exact=True)
    return _tell(known, EventKind.UNREACHABLE, {UNREACHABLE: severity}, now=now, reason=reason)


def end_outage(state: InstanceState, *, now: datetime) -> tuple[InstanceState, Event]:
    """The source answers again: the alert is over."""
    return _tell(state, EventKind.RECOVERED, {}, now=now)


def _tell(
    state: InstanceState, kind: EventKind, wanted: dict[str, Severity], *, now: datetime, reason: Reason | None = None
) -> tuple[InstanceState, Event]:
    firing, changed = reconcile(state.alerts, wanted, key=state.key, now=now)
    sequence = state.sequence + 1
    event = Event(
        id=event_id(state, kind, sequence, None, None),
        kind=kind,
        source=state.key.source,
        instance_id="",
        instance_name="",
        from_status=None,
        to_status=None,
        severity=worst(alert.severity for alert in changed),
        observed_at=now,
        previous_observed_at=state.observed_at if state.sequence else None,
        sequence=sequence,
        duration_s=max(0.0, (now - state.since).total_seconds()),
        reason=reason,
        alerts=changed,
    )
    return replace(state, sequence=sequence, observed_at=now, alerts=firing), event
