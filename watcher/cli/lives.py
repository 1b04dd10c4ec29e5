"""What each instance was in a time: its spans, worst first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from watcher.cli.history import Known
from watcher.core.model import Event, InstanceKey, Status
from watcher.core.timeline import Span, spans_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """An instance in a time; all its `spans` are within it and have an end."""

    key: InstanceKey
    name: str
    spans: tuple[Span, ...]

    def seconds_in(self, status: str | None) -> float:
        """How long it was in a status (None: missing)."""
        return sum(_length_s(span) for span in self.spans if span.status == status)

    @property
    def trouble_s(self) -> float:
        """How long it was in ERROR, or missing."""
        return self.seconds_in(Status.ERROR) + self.seconds_in(None)


def lives_of(
    events: Iterable[Event], known: Iterable[Known] = (), *, begins_at: datetime, ends_at: datetime
) -> list[Life]:
    """The instances that these events are of, and those known to have been there without any: worst first, then the
    most active, then by name.
    """
    by_key: dict[InstanceKey, list[Event]] = {}
    for event in events:
        if event.instance_id:
            by_key.setdefault(event.key, []).append(event)
    lives = [
        Life(
            key=key,
            name=theirs[-1].instance_name,
            spans=_within(spans_of(theirs), begins_at=begins_at, ends_at=ends_at),
        )
        for key, theirs in by_key.items()
    ]
    lives += [
        Life(
            key=each.key,
            name=each.name,
            spans=_within([Span(status=each.status, began_at=each.since)], begins_at=begins_at, ends_at=ends_at),
        )
        for each in known
        if each.key not in by_key
    ]
    lives = [life for life in lives if life.spans]
    return sorted(lives, key=lambda life: (-life.trouble_s, -len(life.spans), life.name, life.key))


def _within(spans: Iterable[Span], *, begins_at: datetime, ends_at: datetime) -> tuple[Span, ...]:
    """The parts of spans that are in this time."""
    cut = (
        replace(span, began_at=max(span.began_at, begins_at), ended_at=min(span.ended_at or ends_at, ends_at))
        for span in spans
    )
    return tuple(span for span in cut if _length_s(span) > 0)


def _length_s(span: Span) -> float:
    return (span.ended_at - span.began_at).total_seconds() if span.ended_at is not None else 0.0


def shown_status(spans: Sequence[Span], begins_at: datetime, ends_at: datetime) -> tuple[str | None, bool]:
    """The status to show for a small part of a life, and whether it was there at all.

    The one that lasted longest in it, but for ERROR and missing: those are shown however short they were.
    """
    lasted: dict[str | None, float] = {}
    for span in spans:
        if span.ended_at is None or span.began_at >= ends_at or span.ended_at <= begins_at:
            continue
        length = min(span.ended_at, ends_at) - max(span.began_at, begins_at)
        lasted[span.status] = lasted.get(span.status, 0.0) + length.total_seconds()
    if not lasted:
        return None, False
    for worst in (Status.ERROR, None):
        if worst in lasted:
            return worst, True
    return max(lasted, key=lambda status: lasted[status]), True
