"""What changed: a pure function from the remembered state and one observation to the new state and its events.

Invariants, whatever is observed in whatever order:
* the same state and observation give the same events with the same ids: found again after a crash, it is the same news;
* `sequence` grows by exactly one with each event, and only with events;
* an observation equal to the last changes nothing and tells nothing;
* one "no such instance" is never believed, unless the instance was DELETING.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from watcher.core.alerts import BUILD_FAILED, FLAPPING, AlertRules, is_firing, problems
from watcher.core.builds import enter, is_new, is_rebuilt, left_out, unexplained, weigh
from watcher.core.model import (
    Event,
    EventKind,
    Instance,
    InstanceState,
    Observation,
    Presence,
    Severity,
    Status,
)
from watcher.core.news import Context, never_seen, tell

ABSENCES_BELIEVED = 2


def is_unchanged(state: InstanceState, instance: Instance | None) -> bool:
    """Whether what is observed is exactly what is remembered: the cheap question asked of every observation."""
    return (
        instance is not None
        and state.record == instance.record
        and state.presence is Presence.PRESENT
        and state.absences == 0
    )


def detect(
    state: InstanceState | None, observation: Observation, context: Context
) -> tuple[InstanceState, tuple[Event, ...]]:
    """The state after the observation, and what there is to tell, in order."""
    known = state if state is not None else never_seen(observation.key, at=observation.observed_at)
    if observation.instance is None:
        return _absent(known, observation, context)
    return _present(known, observation, observation.instance, context)


def _present(
    state: InstanceState, observation: Observation, instance: Instance, context: Context
) -> tuple[InstanceState, tuple[Event, ...]]:
    now = observation.observed_at
    seen = replace(
        state,
        name=instance.name,
        image_id=instance.image_id,
        updated_at=instance.updated_at,
        record=instance.record,
        image_source=instance.image_source,
        observed_at=now,
        presence=Presence.PRESENT,
        absences=0,
    )
    if is_new(state):
        kind = EventKind.RECOVERED if state.presence is Presence.MISSING else EventKind.DISCOVERED
        seen = replace(seen, changed_at=(), flaps=0)  # what it did before it was deleted was another life
        seen = enter(state, seen, instance.status, finding=context.finding, now=now)
        return _move(seen, kind, None, instance.status, now=now, context=context)
    if state.presence is Presence.MISSING:
        # While it is missing its status goes on: it is back as it was, and what it became meanwhile is another event.
        firing = _firing(seen, state.status, context.rules)
        seen, back = tell(
            seen,
            EventKind.RECOVERED,
            now=now,
            context=context,
            from_status=state.status,
            to_status=state.status,
            firing=firing,
        )
        after, more = _change(state, seen, instance, now=now, context=context)
        return after, (back, *more)
    return _change(state, seen, instance, now=now, context=context)


def _change(
    before: InstanceState, seen: InstanceState, instance: Instance, *, now: datetime, context: Context
) -> tuple[InstanceState, tuple[Event, ...]]:
    if before.status == instance.status and not is_rebuilt(before, instance):
        return _settle(weigh(before, seen, context.finding), now=now, context=context)
    rules = context.rules
    since = now - timedelta(seconds=rules.flapping_within_s)
    recent = (*(at for at in seen.changed_at if at > since), now)[-rules.flapping_changes :]
    flaps = is_firing(FLAPPING, seen.alerts)
    seen = replace(seen, changed_at=recent, flaps=seen.flaps + 1 if flaps else 0)
    after, events = _move(
        enter(before, seen, instance.status, finding=context.finding, now=now),
        EventKind.TRANSITION,
        before.status,
        instance.status,
        now=now,
        context=context,
        flapping=flaps,
    )
    after, failed = _build_failed(after, now=now, context=context)
    events += failed
    if flaps or len(recent) < rules.flapping_changes:
        return after, events
    firing = {**_as_it_is(after), FLAPPING: rules.flapping}
    after, begun = tell(
        replace(after, flaps=len(recent)),
        EventKind.FLAPPING,
        now=now,
        context=context,
        from_status=after.status,
        to_status=after.status,
        firing=firing,
        changes=len(recent),
        reason=after.reason,
    )
    return after, (*events, begun)


def _settle(seen: InstanceState, *, now: datetime, context: Context) -> tuple[InstanceState, tuple[Event, ...]]:
    """It is in the status that it was in; perhaps it is known now how its build ended."""
    if not is_firing(BUILD_FAILED, seen.alerts):
        return _build_failed(seen, now=now, context=context)
    if seen.image_before is not None:
        return seen, ()
    firing = {name: severity for name, severity in _as_it_is(seen).items() if name != BUILD_FAILED}
    after, event = tell(
        seen,
        EventKind.RECOVERED,
        now=now,
        context=context,
        from_status=seen.status,
        to_status=seen.status,
        firing=firing,
    )
    return after, (event,)


def _build_failed(state: InstanceState, *, now: datetime, context: Context) -> tuple[InstanceState, tuple[Event, ...]]:
    """The alert, when a build is known to have failed and nobody was told."""
    if state.status != Status.BUILT or state.reason is None or is_firing(BUILD_FAILED, state.alerts):
        return state, ()
    after, event = tell(
        state,
        EventKind.BUILD_FAILED,
        now=now,
        context=context,
        from_status=state.status,
        to_status=state.status,
        firing={**_as_it_is(state), BUILD_FAILED: context.rules.build_failed},
        flapping=is_firing(FLAPPING, state.alerts),
        reason=state.reason,
    )
    return after, (event,)


def _absent(
    state: InstanceState, observation: Observation, context: Context
) -> tuple[InstanceState, tuple[Event, ...]]:
    if state.presence is not Presence.PRESENT:
        return state, ()
    now = observation.observed_at
    absences = state.absences + 1
    if state.status == Status.DELETING or (absences >= ABSENCES_BELIEVED and not context.configured):
        gone = left_out(replace(state, absences=0, presence=Presence.DELETED, observed_at=now))
        return _move(gone, EventKind.DELETED, state.status, None, now=now, context=context)
    if absences < ABSENCES_BELIEVED:
        return replace(state, absences=absences), ()
    gone = left_out(replace(state, absences=0, presence=Presence.MISSING, observed_at=now))
    return _move(gone, EventKind.MISSING, state.status, None, now=now, context=context)


def _move(
    state: InstanceState,
    kind: EventKind,
    from_status: str | None,
    to_status: str | None,
    *,
    now: datetime,
    context: Context,
    flapping: bool = False,
) -> tuple[InstanceState, tuple[Event, ...]]:
    """The instance is in another status, or gone: the alerts are those of what it is now."""
    firing = None
    if to_status != Status.NULL:  # "not set" says nothing of a problem: it neither begins nor ends one
        firing = _firing(state, to_status or from_status, context.rules)
    after, event = tell(
        state,
        kind,
        now=now,
        context=context,
        from_status=from_status,
        to_status=to_status,
        firing=firing,
        moved=to_status is not None,
        flapping=flapping,
        reason=state.reason if to_status in (Status.ERROR, Status.BUILT) else None,
    )
    return unexplained(after, event) if to_status == Status.ERROR else after, (event,)


def _firing(state: InstanceState, status: str | None, rules: AlertRules) -> dict[str, Severity]:
    """What fires with this status: what it was stuck in is over, but flapping ends by time alone.

    So is a build that failed, unless the status was only "not set" for a while.
    """
    names = problems(status, state.presence)
    if status == Status.BUILT and state.image_before is not None and is_firing(BUILD_FAILED, state.alerts):
        names.add(BUILD_FAILED)
    if is_firing(FLAPPING, state.alerts) and state.presence is not Presence.DELETED:
        names.add(FLAPPING)
    return {name: severity for name, severity in rules.by_name.items() if name in names}


def _as_it_is(state: InstanceState) -> dict[str, Severity]:
    return {alert.name: alert.severity for alert in state.alerts}
