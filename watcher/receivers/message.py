"""The message that tells people of an event or a digest, the same for every receiver; each shows it its own way."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from watcher.core.event_json import format_time
from watcher.core.model import Event, Notification, Status
from watcher.core.timers import is_unwatched
from watcher.receivers.digest import Group, alert_counts, chosen, counted, grouped, worst_of
from watcher.receivers.links import Links
from watcher.receivers.tone import Tone, tone_of
from watcher.receivers.words import (
    alerts,
    emoji,
    format_length,
    group_label,
    group_words,
    name_of,
    news,
    plain,
    summary,
)

REASON, LIKELY_REASON = "Reason", "Likely reason"
_GROUPS = 8
_IN_TITLE = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """An event or a digest in words, each text one line of printable characters. Nothing is escaped yet.

    `fields` are (label, value) in order, `groups` those of a digest: (label, whom). `seen` is when it was observed,
    `links` are (text, URL). `body` are the lines of a template, to be shown in place of summary, fields and groups.
    """

    tone: Tone
    emoji: str
    title: str
    summary: str
    fields: tuple[tuple[str, str], ...]
    seen: str
    groups: tuple[tuple[str, str], ...] = ()
    links: tuple[tuple[str, str], ...] = ()
    body: tuple[str, ...] | None = None

    @property
    def headline(self) -> str:
        """All that matters most in one line, for who sees no more at first: on a telephone, at night."""
        if self.body is not None:
            return self.title
        why = [f"{label.lower()}: {value}" for label, value in self.fields if label in (REASON, LIKELY_REASON)]
        return f"{self.title}: {'; '.join([self.summary, *why])}"

    @property
    def lines(self) -> tuple[str, ...]:
        """All but the title, a line each: for who shows plain text."""
        if self.body is not None:
            return self.body
        pairs = (*self.groups, *self.fields, ("Seen", self.seen))
        return self.summary, *(f"{label}: {value}" for label, value in pairs)


def describe(notification: Notification, *, links: Links) -> Message:
    """What happened, from → to, how long, why; of a digest, what matters most and how much of it."""
    urls = links.of(notification.events)
    mark = "[TEST] " if notification.test else ""
    if notification.is_digest:
        return _digest(notification, mark, urls)
    event = notification.event
    return Message(
        tone=tone_of(notification.events),
        emoji=emoji(event),
        title=f"{mark}{name_of(event)} {news(event)}",
        summary=summary(event),
        fields=tuple(_fields(event, notification.held_by)),
        seen=format_time(event.observed_at),
        links=urls,
    )


def _fields(event: Event, held_by: str | None) -> list[tuple[str, str]]:
    fields = [("Severity", event.severity.value)]
    if event.alerts:
        fields.append(("Alerts", alerts(event)))
    fields.append(("Source", event.source))
    if event.instance_id:
        fields.append(("Instance", plain(event.instance_id)))
    if event.reason is not None and not is_unwatched(event):
        label = REASON if event.reason.exact else LIKELY_REASON
        fields.append((label, plain(f"{event.reason.code} {event.reason.message}")))
    if event.inferred:
        fields.append(("Passed unseen", ", ".join(event.inferred)))
    image_id = json.loads(event.record).get("image_id")
    if event.to_status == Status.BUILT and image_id:
        fields.append(("Image", plain(str(image_id))))
    if held_by is not None:
        fields.append(("Held back", plain(held_by)))
    fields += [(plain(label), plain(value)) for label, value in event.labels.items()]
    return fields


def _digest(notification: Notification, mark: str, links: tuple[tuple[str, str], ...]) -> Message:
    events = notification.events
    groups = grouped(events, by=group_label)
    fields = [("Severity", worst_of(events).value)]
    if counts := alert_counts(events):
        fields.append(("Alerts", counts))
    if notification.held_by is not None:
        fields.append(("Held back", plain(notification.held_by)))
    return Message(
        tone=tone_of(events),
        emoji=emoji(groups[0].first),
        title=f"{mark}{counted(len(events), 'event')}: {_counts(events)}",
        summary=_extent(events),
        fields=tuple(fields),
        seen=format_time(max(event.observed_at for event in events)),
        groups=tuple(_listed(groups)),
        links=links,
    )


def _counts(events: Sequence[Event]) -> str:
    groups = grouped(events, by=group_words)
    shown = chosen(groups, _IN_TITLE)
    others = len(events) - sum(len(group.events) for group in shown)
    named = [f"{len(group.events)} {group_words(group.first)}" for group in shown]
    return ", ".join([*named, counted(others, "other")] if others else named)


def _extent(events: Sequence[Event]) -> str:
    instances = len({event.key for event in events if event.instance_id})
    sources = len({event.source for event in events if not event.instance_id})
    whose = [counted(instances, "instance")] if instances else []
    whose += [counted(sources, "source")] if sources else []
    first, last = (extreme(event.observed_at for event in events) for extreme in (min, max))
    when = f"at {format_time(first)}"
    if (last - first).total_seconds() >= 1:
        within = format_length((last - first).total_seconds())
        when = f"within {within}, from {format_time(first)} to {format_time(last)}"
    return f"{counted(len(events), 'event')} of {' and '.join(whose)} {when}"


def _listed(groups: Sequence[Group]) -> list[tuple[str, str]]:
    shown = chosen(groups, _GROUPS)
    listed = [(f"{emoji(group.first)} {group_label(group.first)}", group.listed()) for group in shown]
    if len(groups) > len(shown):
        count = sum(len(group.events) for group in groups) - sum(len(group.events) for group in shown)
        listed.append(("… and more", f"{counted(count, 'event')} in {counted(len(groups) - len(shown), 'group')}"))
    return listed
