"""One event: how a state goes on by it, and what it says."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from watcher.core.alerts import AlertRules, reconcile, worst
from watcher.core.lessons import Lessons
from watcher.core.lifecycle import is_changing, passed_unseen
from watcher.core.model import AlertStatus, Event, EventKind, InstanceKey, InstanceState, Reason, Severity
from watcher.core.reasons import NOTHING_FOUND, Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What the operator configured for an instance, and what is known beside its observation.

    `configured`: the operator named it, so that its going is a problem; a discovered one may just go. `finding` is what
    the cloud's jobs say of what was observed.
    """

    rules: AlertRules
    configured: bool = True
    labels: Mapping[str, str] = field(default_factory=dict)
    previous_observed_at: datetime | None = None
    finding: Finding = NOTHING_FOUND
    lessons: Lessons = field(default_factory=Lessons)


def never_seen(key: InstanceKey, *, at: datetime) -> InstanceState:
    """The state of what nothing is known of yet."""
    return InstanceState(
        key=key,
        name="",
        status=None,
        image_id="",
        updated_at="",
        record="{}",
        sequence=0,
        since=at,
        observed_at=at,
    )


def tell(
    state: InstanceState,
    kind: EventKind,
    *,
    now: datetime,
    context: Context,
    from_status: str | None,
    to_status: str | None,
    firing: Mapping[str, Severity] | None = None,
    moved: bool = False,
    restate: bool = False,
    flapping: bool = False,
    changes: int | None = None,
    reason: Reason | None = None,
) -> tuple[InstanceState, Event]:
    """The state after the event, and the event.

    `state` holds what was observed already, but for what the event changes: sequence, alerts and, when it `moved`,
    status. `firing` are the alerts that fire from now on (None: as before); with `restate`, the event also repeats
    those that go on.
    """
    wanted = firing if firing is not None else {alert.name: alert.severity for alert in state.alerts}
    labels = {**context.labels, "instance_name": state.name, "status": to_status or from_status or ""}
    given = {label: value for label, value in labels.items() if value}
    after, said = reconcile(state.alerts, wanted, key=state.key, labels=given, now=now)
    if restate:
        said += tuple(alert for alert in after if alert not in said)
    sequence = state.sequence + 1
    event = Event(
        id=event_id(state, kind, sequence, from_status, to_status),
        kind=kind,
        source=state.key.source,
        instance_id=state.key.id,
        instance_name=state.name,
        from_status=from_status,
        to_status=to_status,
        severity=worst(said),
        observed_at=now,
        previous_observed_at=context.previous_observed_at if state.sequence else None,
        sequence=sequence,
        duration_s=_lasted_s(state, from_status, now),
        inferred=passed_unseen(from_status, to_status) if from_status and to_status and moved else (),
        labels=dict(context.labels),
        reason=reason,
        alerts=said,
        expected=context.lessons.expectation(state.image_source, to_status) if is_changing(to_status) else None,
        flapping=flapping,
        changes=changes,
        record=state.record,
    )
    told_at = now if any(alert.status is AlertStatus.FIRING for alert in said) else state.told_at
    after_it = replace(
        state,
        sequence=sequence,
        status=to_status if moved and to_status is not None else state.status,
        since=now if moved else state.since,
        alerts=after,
        told_at=told_at if after else None,
    )
    return after_it, event


def _lasted_s(state: InstanceState, from_status: str | None, now: datetime) -> float | None:
    # A source as a whole has no status; its `since` is when it went silent.
    return max(0.0, (now - state.since).total_seconds()) if from_status is not None or not state.key.id else None


def event_id(
    state: InstanceState, kind: EventKind, sequence: int, from_status: str | None, to_status: str | None
) -> str:
    """The id of an event: the same for the same news, however often it is found."""
    # The cloud's own update time is in it, so that a watcher that lost its store does not reuse the id of old news.
    parts = (*state.key, str(sequence), kind, from_status or "", to_status or "", state.image_id, state.updated_at)
    return "evt_" + hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:32]
