"""What the API shows, as JSON: values of core as the shapes want them."""

from __future__ import annotations

import heapq
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, TypeVar

from watcher.core.alerts import MISSING
from watcher.core.event_json import (
    alert_to_json,
    expectation_to_json,
    format_time,
    optional_time_to_json,
    reason_to_json,
)
from watcher.core.model import Alert, DeliveryState, InstanceState, Presence
from watcher.core.ports import Background, DeliveryReport, InstanceView
from watcher.core.quiet import Acknowledgement, Silence
from watcher.core.routing import matcher_to_json
from watcher.core.timeline import Span
from watcher.ops.api.requests import PageQuery, cursor_of

_T = TypeVar("_T")
Key = tuple[str, ...]


class Pages(Protocol):
    """Where people go on reading."""

    @property
    def runbooks(self) -> Mapping[str, str]:
        """What to do, by the name of the alert."""
        ...

    def console(self, source: str, *, instance_id: str = "", instance_name: str = "") -> str | None:
        """The page of an instance, or of the source, in the cloud's console."""
        ...


def page_of(
    items: Iterable[_T], query: PageQuery, *, key: Callable[[_T], Key], show: Callable[[_T], Mapping[str, Any]]
) -> dict[str, Any]:
    """One page of a list in the order of its keys."""
    after = query.after
    rest = items if after is None else (item for item in items if key(item) > after)
    found = heapq.nsmallest(query.limit + 1, rest, key=key)
    shown = found[: query.limit]
    return listed(map(show, shown), after=cursor_of(key(shown[-1])) if len(found) > query.limit else None)


def listed(items: Iterable[Mapping[str, Any]], *, after: str | None = None) -> dict[str, Any]:
    """A page of a list; `after` is what the next one is asked for with, when there is more behind it."""
    return {"items": list(items), "next": after}


def silence_state(silence: Silence, *, now: datetime) -> str:
    """`pending`, `active` or `expired`."""
    if silence.ends_at <= now:
        return "expired"
    return "active" if silence.is_active(now) else "pending"


def silence_to_json(silence: Silence, *, now: datetime) -> dict[str, Any]:
    """What somebody asked not to be told."""
    return {
        "id": silence.id,
        "match": matcher_to_json(silence.match),
        "starts_at": format_time(silence.starts_at),
        "ends_at": format_time(silence.ends_at),
        "author": silence.author,
        "comment": silence.comment,
        "created_at": format_time(silence.created_at),
        "state": silence_state(silence, now=now),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Firing:
    """An alert that fires, and of what; without `state` it is that of the source as a whole."""

    alert: Alert
    source: str
    state: InstanceState | None = None

    @property
    def key(self) -> Key:
        """Where it is in the list."""
        return (self.source, self.state.key.id if self.state is not None else "", self.alert.name)


def firing(view: InstanceView) -> list[Firing]:
    """All alerts that fire."""
    of_sources = [
        Firing(alert=alert, source=source) for source, seen in view.sources().items() for alert in seen.alerts
    ]
    of_instances = [
        Firing(alert=alert, source=source, state=state)
        for source, states in view.states().items()
        for state in states
        for alert in state.alerts
    ]
    return of_sources + of_instances


Taken = Mapping[tuple[str, str], Acknowledgement]
"""Who has taken on which alert, by fingerprint and beginning."""


def taken_of(acknowledgements: Iterable[Acknowledgement]) -> Taken:
    """Acknowledgements by the alert they are of."""
    return {(each.fingerprint, format_time(each.starts_at)): each for each in acknowledgements}


def taken_on(alert: Alert, taken: Taken) -> Acknowledgement | None:
    """Who has taken on this alert; the store keeps no more of its beginning than milliseconds."""
    return taken.get((alert.fingerprint, format_time(alert.starts_at)))


def firing_to_json(
    each: Firing, *, background: Background, taken: Taken, silenced_by: str | None, pages: Pages
) -> dict[str, Any]:
    """An alert, with what it is of and who has taken it on."""
    state, acknowledged = each.state, taken_on(each.alert, taken)
    instance_id, instance_name = (state.key.id, state.name) if state is not None else ("", "")
    return {
        **alert_to_json(each.alert),
        "source": each.source,
        "instance_id": instance_id,
        "instance_name": instance_name,
        "instance_status": state.status if state is not None else None,
        "labels": dict(background.labels),
        "acknowledged": {
            "author": acknowledged.author,
            "comment": acknowledged.comment,
            "created_at": format_time(acknowledged.created_at),
        }
        if acknowledged is not None
        else None,
        "silenced_by": silenced_by,
        "reason": reason_to_json(state.reason) if state is not None else None,
        "runbook_url": pages.runbooks.get(each.alert.name),
        "console_url": pages.console(each.source, instance_id=instance_id, instance_name=instance_name),
    }


def instance_to_json(state: InstanceState, background: Background, *, now: datetime, pages: Pages) -> dict[str, Any]:
    """An instance, without its record."""
    expected = background.expected
    left_s = None
    if expected is not None:
        left_s = round(max(0.0, expected.median_s - (now - state.since).total_seconds()), 3)
    return {
        "source": state.key.source,
        "id": state.key.id,
        "name": state.name,
        "status": state.status,
        "presence": state.presence.value,
        "since": format_time(_since(state)),
        "observed_at": format_time(background.seen_at or state.observed_at),
        "sequence": state.sequence,
        "image_id": state.image_id,
        "labels": dict(background.labels),
        "alerts": [alert_to_json(alert) for alert in state.alerts],
        "expected": expectation_to_json(expected),
        "left_s": left_s,
        "reason": reason_to_json(state.reason),
        "console_url": pages.console(state.key.source, instance_id=state.key.id, instance_name=state.name),
    }


def _since(state: InstanceState) -> datetime:
    """Since when it is as it is: in its status, or missing."""
    missing = (alert.starts_at for alert in state.alerts if alert.name == MISSING)
    return next(missing, state.since)


def record_of(state: InstanceState) -> Any:
    """What the cloud said last of an instance."""
    return json.loads(state.record)


def word_of(state: InstanceState) -> str:
    """What an instance is counted as: its status, unless it is not there or was never seen."""
    if state.presence is not Presence.PRESENT:
        return state.presence.value
    return state.status or "unseen"


def span_to_json(span: Span, *, now: datetime) -> dict[str, Any]:
    """A time in one status."""
    return {
        "status": span.status,
        "began_at": format_time(span.began_at),
        "ended_at": optional_time_to_json(span.ended_at),
        "duration_s": round(span.duration_s(now), 3),
        "event_id": span.event_id,
        "expected": expectation_to_json(span.expected),
        "inferred": list(span.inferred),
        "reason": reason_to_json(span.reason),
    }


def delivery_to_json(report: DeliveryReport, *, receiver_type: str | None) -> dict[str, Any]:
    """A delivery and what it is of; `reason` and `answer` say why it is not delivered, or was not at first."""
    delivery, event = report.delivery, report.delivery.event
    is_pending = report.state is DeliveryState.PENDING
    return {
        "id": delivery.id,
        "receiver": delivery.receiver,
        "receiver_type": receiver_type,
        "state": report.state.value,
        "attempts": delivery.attempts,
        "created_at": format_time(report.created_at),
        "next_attempt_at": format_time(delivery.next_attempt_at) if is_pending else None,
        "finished_at": optional_time_to_json(report.finished_at),
        "reason": report.reason,
        "answer": report.answer,
        "held_by": delivery.held_by,
        "digest_id": delivery.digest_id,
        "event": {
            "id": event.id,
            "kind": event.kind.value,
            "source": event.source,
            "instance_id": event.instance_id,
            "instance_name": event.instance_name,
            "from": event.from_status,
            "to": event.to_status,
            "severity": event.severity.value,
            "observed_at": format_time(event.observed_at),
        },
    }
