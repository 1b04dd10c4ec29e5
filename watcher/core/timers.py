"""What needs no observation to be news: being stuck, a build that nothing confirms, reminders, the end of flapping, the
end of being watched.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from watcher.core.alerts import BUILD_FAILED, FLAPPING, STUCK, AlertRules, is_firing
from watcher.core.builds import left_out, unexplained
from watcher.core.lessons import Lessons, far_longer_s
from watcher.core.lifecycle import is_changing
from watcher.core.model import Event, EventKind, InstanceState, Presence, Reason, Severity, Status
from watcher.core.news import Context, tell

_UNWATCHED = "unwatched"


def is_unwatched(event: Event) -> bool:
    """Whether it ends alerts only because nobody looks any more."""
    return event.kind is EventKind.RECOVERED and event.reason is not None and event.reason.code == _UNWATCHED


def due_at(state: InstanceState, rules: AlertRules, lessons: Lessons) -> datetime | None:
    """When time alone will make news of the instance, unless it changes before; None: never."""
    moments = (
        _calm_at(state, rules),
        _unconfirmed_at(state, rules),
        _stuck_at(state, rules, lessons),
        _reminder_at(state, rules),
    )
    return min((moment for moment in moments if moment is not None), default=None)


def ring(
    state: InstanceState, *, now: datetime, context: Context, is_fresh: bool = True
) -> tuple[InstanceState, tuple[Event, ...]]:
    """The state after the news that is due, and that news.

    `is_fresh`: the instance was seen as it is of late. Of one that was not, nobody can say that it is stuck, or has no
    new image.
    """
    rules, events = context.rules, list[Event]()
    if _is_due(_calm_at(state, rules), now):
        # What began to fire meanwhile was held back with the change that began it, and is told now.
        firing = {name: severity for name, severity in _firing(state).items() if name != FLAPPING}
        state, event = _say(state, EventKind.FLAPPING, firing, now=now, context=context, changes=state.flaps)
        state = replace(state, flaps=0)
        events.append(event)
    if is_fresh and _is_due(_unconfirmed_at(state, rules), now):
        firing = {**_firing(state), BUILD_FAILED: rules.build_failed}
        flaps = is_firing(FLAPPING, state.alerts)  # held back like the change that it follows
        state, event = _say(
            state, EventKind.BUILD_FAILED, firing, now=now, context=context, restate=False, flapping=flaps
        )
        state = unexplained(state, event)
        events.append(event)
    if is_fresh and _is_due(_stuck_at(state, rules, context.lessons), now):
        firing = {**_firing(state), STUCK: rules.stuck}
        state, event = _say(state, EventKind.STUCK, firing, now=now, context=context, restate=False)
        events.append(event)
    if _is_due(_reminder_at(state, rules), now):
        state, event = _say(state, EventKind.REMINDER, _firing(state), now=now, context=context)
        events.append(event)
    return state, tuple(events)


def close(state: InstanceState, *, now: datetime, context: Context) -> tuple[InstanceState, Event]:
    """The instance is watched no more: its alerts are over. Watched again one day, it is seen for the first time."""
    reason = Reason(code=_UNWATCHED, message="it is no longer in the configuration", exact=True)
    gone = left_out(replace(state, presence=Presence.DELETED, changed_at=(), flaps=0, reason=None))
    return _say(gone, EventKind.RECOVERED, {}, now=now, context=context, reason=reason)


def _say(
    state: InstanceState,
    kind: EventKind,
    firing: Mapping[str, Severity],
    *,
    now: datetime,
    context: Context,
    restate: bool = True,
    flapping: bool = False,
    changes: int | None = None,
    reason: Reason | None = None,
) -> tuple[InstanceState, Event]:
    return tell(
        state,
        kind,
        now=now,
        context=context,
        from_status=state.status,
        to_status=state.status if state.presence is Presence.PRESENT else None,
        firing=firing,
        restate=restate,
        flapping=flapping,
        changes=changes,
        reason=reason or state.reason,
    )


def _calm_at(state: InstanceState, rules: AlertRules) -> datetime | None:
    """When fewer than half as many changes as it takes to flap are within the window: else the alert itself flaps."""
    if not is_firing(FLAPPING, state.alerts):
        return None
    half = (rules.flapping_changes + 1) // 2
    last = state.changed_at[-half] if len(state.changed_at) >= half else state.since
    return last + timedelta(seconds=rules.flapping_within_s)


def _unconfirmed_at(state: InstanceState, rules: AlertRules) -> datetime | None:
    """When a build that neither its image nor its job confirms has failed."""
    if state.unconfirmed_at is None or state.status != Status.BUILT or state.presence is not Presence.PRESENT:
        return None
    return state.unconfirmed_at + timedelta(seconds=rules.build_failed_after_s)


def _stuck_at(state: InstanceState, rules: AlertRules, lessons: Lessons) -> datetime | None:
    after_s = rules.stuck_after_s.get(state.status or "")
    if not after_s or state.presence is not Presence.PRESENT or is_firing(STUCK, state.alerts):
        return None
    expected = lessons.expectation(state.image_source, state.status) if rules.learned else None
    if expected is not None and is_changing(state.status):
        after_s = min(after_s, far_longer_s(expected, resolution_s=rules.resolution_s))
    return state.since + timedelta(seconds=after_s)


def _reminder_at(state: InstanceState, rules: AlertRules) -> datetime | None:
    if not state.alerts or not rules.repeat_interval_s:
        return None
    told_at = state.told_at or max(alert.starts_at for alert in state.alerts)  # of an earlier version: not known
    return told_at + timedelta(seconds=rules.repeat_interval_s)


def _is_due(moment: datetime | None, now: datetime) -> bool:
    return moment is not None and moment <= now


def _firing(state: InstanceState) -> dict[str, Severity]:
    return {alert.name: alert.severity for alert in state.alerts}
