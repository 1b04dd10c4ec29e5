"""What an instance was when: its events as spans of time, each in one status."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from watcher.core.model import Event, EventKind, Expectation, Reason
from watcher.core.timers import is_unwatched

_MOVES = frozenset({EventKind.DISCOVERED, EventKind.TRANSITION, EventKind.DELETED, EventKind.MISSING})


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A time in one status (None: the instance was missing); `ended_at` None: it lasts.

    `expected` is how long the status was known to last usually when it began, `inferred` what was passed unseen just
    before, `reason` why it failed, where it did and that is known. `event_id` is the event that it began with; None: of
    that nothing is known any more but the time.
    """

    status: str | None
    began_at: datetime
    ended_at: datetime | None = None
    event_id: str | None = None
    expected: Expectation | None = None
    inferred: tuple[str, ...] = ()
    reason: Reason | None = None

    def duration_s(self, now: datetime) -> float:
        """How long it lasted, or has lasted so far."""
        return max(0.0, ((self.ended_at or now) - self.began_at).total_seconds())


def spans_of(events: Iterable[Event]) -> tuple[Span, ...]:
    """The spans that one instance's events, in their order, tell of; from deletion to rediscovery none."""
    spans: list[Span] = []
    for event in events:
        last = spans[-1] if spans else None
        if last is None and event.from_status is not None and event.duration_s is not None:
            began_at = event.observed_at - timedelta(seconds=event.duration_s)
            last = Span(status=event.from_status, began_at=began_at)
            spans.append(last)
        if event.kind is EventKind.BUILD_FAILED and last is not None:
            spans[-1] = replace(last, reason=event.reason)
        if not _moves(event, last):
            continue
        if last is not None and last.ended_at is None:
            spans[-1] = replace(last, ended_at=event.observed_at)
        if not _ends_all(event):
            spans.append(_begun_by(event))
    return tuple(spans)


def _ends_all(event: Event) -> bool:
    """Whether nothing is known of what comes after."""
    return event.kind is EventKind.DELETED or is_unwatched(event)


def _moves(event: Event, last: Span | None) -> bool:
    """Whether the last span is over; an alert that begins or ends is no span."""
    if event.kind is EventKind.RECOVERED and not is_unwatched(event):
        return last is None or last.ended_at is not None or last.status != event.to_status
    return event.kind in _MOVES or is_unwatched(event)


def _begun_by(event: Event) -> Span:
    return Span(
        status=event.to_status,
        began_at=event.observed_at,
        event_id=event.id,
        expected=event.expected,
        inferred=event.inferred,
        reason=event.reason,
    )
