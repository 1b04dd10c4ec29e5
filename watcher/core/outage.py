"""A source that does not answer, as news of its own: one alert for all its instances.

A source's state is an `InstanceState` with an empty instance id, so that it is kept, numbered and delivered in order
like any other. Its `since` is when the outage began.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from watcher.core.alerts import UNREACHABLE, AlertRules
from watcher.core.errors import CloudError
from watcher.core.event_json import format_time
from watcher.core.model import Event, EventKind, InstanceKey, InstanceState, Reason
from watcher.core.news import Context, never_seen, tell


def source_key(source: str) -> InstanceKey:
    """The key under which a source's own state is kept."""
    return InstanceKey(source, "")


def begin_outage(
    state: InstanceState | None, *, source: str, since: datetime, now: datetime, rules: AlertRules, error: CloudError
) -> tuple[InstanceState, Event]:
    """The source has not answered since `since`, for too long: the alert fires."""
    known = state or never_seen(source_key(source), at=now)
    reason = Reason(code=error.code, message=str(error.args[0]), exact=True)
    known = replace(known, since=since, updated_at=format_time(since), reason=reason)
    context = Context(rules=rules, previous_observed_at=known.observed_at)
    after, event = tell(
        known,
        EventKind.UNREACHABLE,
        now=now,
        context=context,
        from_status=None,
        to_status=None,
        firing={UNREACHABLE: rules.unreachable},
        reason=reason,
    )
    return replace(after, observed_at=now), event


def end_outage(state: InstanceState, *, now: datetime, rules: AlertRules) -> tuple[InstanceState, Event]:
    """The source answers again: the alert is over."""
    context = Context(rules=rules, previous_observed_at=state.observed_at)
    after, event = tell(
        state, EventKind.RECOVERED, now=now, context=context, from_status=None, to_status=None, firing={}
    )
    return replace(after, observed_at=now, reason=None), event
