"""What changed: a pure function from the remembered state and one observation to the new state and its events.

Invariants, whatever is observed in whatever order:
* the same state and observation give the same events with the same ids: found again after a crash, it is the same news;
* `sequence` grows by exactly one with each event, and only with events;
* an observation equal to the last changes nothing and tells nothing;
* one "no such instance" is never believed, unless the instance was DELETING.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from watcher.core.alerts import AlertRules, problems, reconcile, worst
from watcher.core.lifecycle import passed_unseen
from watcher.core.model import (
    Alert,
    Event,
    EventKind,
    Instance,
    InstanceKey,
    InstanceState,
    Observation,
    Presence,
    Reason,
    Status,
)

ABSENCES_BELIEVED = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What the operator configured for an instance, and what is known beside its observation.

    `configured`: the operator named it, so that its going is a problem; a discovered one may just go.
    """

    rules: AlertRules
    configured: bool = True
    labels: Mapping[str, str] = field(default_factory=dict)
    previous_observed_at: datetime | None = None
    reason: Reason | None = None


def is_unchanged(state: InstanceState, instance: Instance | None) -> bool:
    """Whether what is observed is exactly what is remembered: the cheap question asked of every observation."""
    return (
        instance is not None
        and state.record == instance.record
        and state.presence is Presence.PRESENT
        and state.absences == 0
    )


def begins_error(state: InstanceState | None, instance: Instance | None) -> bool:
    """Whether this is the first sight of the instance in ERROR: the moment to ask for the reason."""
    return instance is not None and instance.status == Status.ERROR and (state is None or state.status != Status.ERROR)


def detect(
    state: InstanceState | None, observation: Observation, context: Context
) -> tuple[InstanceState, tuple[Event, ...]]:
    """The state after the observation, and what there is to tell, in order."""
    known = state if state is not None else never_seen(observation.key, at=observation.observed_at)
    if observation.instance is None:
        return _absent(known, observation, context)
    return _present(known, observation, observation.instance, context)


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


def _present(
    state: InstanceState, observation: Observation, instance: Instance, context: Context
) -> tuple[InstanceState, tuple[Event, ...]]:
    seen = replace(
        state,
        name=instance.name,
        image_id=instance.image_id,
        updated_at=instance.updated_at,
        record=instance.record,
        observed_at=observation.observed_at,
        presence=Presence.PRESENT,
        absences=0,
    )
    if state.presence is Presence.DELETED or (state.status is None and state.presence is Presence.PRESENT):
        return _tell(seen, EventKind.DISCOVERED, None, instance.status, observation, context)
    if state.presence is Presence.MISSING:
        if state.status is None:
            return _tell(seen, EventKind.RECOVERED, None, instance.status, observation, context)
        seen, back = _tell(seen, EventKind.RECOVERED, state.status, state.status, observation, context)
        after, more = _change(state, seen, instance, observation, context)
        return after, back + more
    return _change(state, seen, instance, observation, context)


def _change(
    before: InstanceState, seen: InstanceState, instance: Instance, observation: Observation, context: Context
) -> tuple[InstanceState, tuple[Event, ...]]:
    if before.status != instance.status or _rebuilt(before, instance):
        return _tell(seen, EventKind.TRANSITION, before.status, instance.status, observation, context)
    return seen, ()


def _rebuilt(before: InstanceState, instance: Instance) -> bool:
    # An image id that only now appears belongs to the build already told; a different one is another build.
    return (
        before.status == Status.BUILT == instance.status
        and bool(before.image_id)
        and bool(instance.image_id)
        and before.image_id != instance.image_id
    )


def _absent(
    state: InstanceState, observation: Observation, context: Context
) -> tuple[InstanceState, tuple[Event, ...]]:
    if state.presence is not Presence.PRESENT:
        return state, ()
    absences = state.absences + 1
    if state.status == Status.DELETING or (absences >= ABSENCES_BELIEVED and not context.configured):
        gone = replace(state, absences=0, presence=Presence.DELETED, observed_at=observation.observed_at)
        return _tell(gone, EventKind.DELETED, state.status, None, observation, context)
    if absences < ABSENCES_BELIEVED:
        return replace(state, absences=absences), ()
    gone = replace(state, absences=0, presence=Presence.MISSING, observed_at=observation.observed_at)
    return _tell(gone, EventKind.MISSING, state.status, None, observation, context)


def _tell(
    state: InstanceState,
    kind: EventKind,
    from_status: str | None,
    to_status: str | None,
    observation: Observation,
    context: Context,
) -> tuple[InstanceState, tuple[Event, ...]]:
    """Advance the state by one event. `state` already holds what was observed, but for status, alerts and sequence."""
    now = observation.observed_at
    firing: tuple[Alert, ...] = state.alerts
    changed: tuple[Alert, ...] = ()
    if to_status != Status.NULL:  # "not set" says nothing of a problem: it neither begins nor ends one
        wanted = problems(to_status or from_status, state.presence, context.rules)
        firing, changed = reconcile(state.alerts, wanted, key=state.key, now=now)
    sequence = state.sequence + 1
    back_as_it_was = kind is EventKind.RECOVERED and from_status is not None
    moved = to_status is not None and not back_as_it_was  # while it is missing its status goes on
    event = Event(
        id=event_id(state, kind, sequence, from_status, to_status),
        kind=kind,
        source=state.key.source,
        instance_id=state.key.id,
        instance_name=state.name,
        from_status=from_status,
        to_status=to_status,
        severity=worst(alert.severity for alert in changed),
        observed_at=now,
        previous_observed_at=context.previous_observed_at if state.sequence else None,
        sequence=sequence,
        duration_s=max(0.0, (now - state.since).total_seconds()) if from_status is not None else None,
        inferred=passed_unseen(from_status, to_status) if from_status and to_status and moved else (),
        labels=dict(context.labels),
        reason=context.reason if to_status == Status.ERROR else None,
        alerts=changed,
        record=state.record,
    )
    after = replace(
        state,
        sequence=sequence,
        status=to_status if to_status is not None else state.status,
        since=now if moved else state.since,
        alerts=firing,
    )
    return after, (event,)


def event_id(
    state: InstanceState, kind: EventKind, sequence: int, from_status: str | None, to_status: str | None
) -> str:
    """The id of an event: the same for the same news, however often it is found."""
    # The cloud's own update time is in it, so that a watcher that lost its store does not reuse the id of old news.
    parts = (*state.key, str(sequence), kind, from_status or "", to_status or "", state.image_id, state.updated_at)
    return "evt_" + hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:32]
