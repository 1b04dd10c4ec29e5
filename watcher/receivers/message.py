"""The facts of an event in words, the same for every receiver that talks to people; each shows them its own way."""

from __future__ import annotations

import json
from dataclasses import dataclass

from watcher.core.event_json import format_time
from watcher.core.model import AlertStatus, Event, EventKind, Notification, Status

_EMOJI = {
    Status.CREATING: "🆕",
    Status.ACTIVE: "🟢",
    Status.BUILDING: "🔨",
    Status.BUILT: "✅",
    Status.ERROR: "🔴",
    Status.DELETING: "🗑️",
}
_SOURCE_EMOJI = {EventKind.UNREACHABLE: "🔴", EventKind.RECOVERED: "🟢"}
_NO_EMOJI = "⚪"
_WORDS = {
    EventKind.DELETED: "is deleted",
    EventKind.MISSING: "is missing: the cloud does not know it, and no deletion was seen",
    EventKind.UNREACHABLE: "cannot be reached",
    EventKind.RECOVERED: "is back",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """An event in words. `fields` are (label, value) in order; `links` are (text, URL). Nothing is escaped yet."""

    emoji: str
    title: str
    summary: str
    fields: tuple[tuple[str, str], ...]
    links: tuple[tuple[str, str], ...] = ()


def describe(notification: Notification, *, external_url: str | None = None) -> Message:
    """The message that tells the event: what, from → to, how long, why."""
    event = notification.event
    name = event.instance_name or event.instance_id or f"source {event.source}"
    title = f"[TEST] {_title(event, name)}" if notification.test else _title(event, name)
    return Message(
        emoji=_EMOJI.get(_word(event.to_status), _SOURCE_EMOJI.get(event.kind, _NO_EMOJI)),
        title=title,
        summary=_summary(event),
        fields=tuple(_fields(event)),
        links=(("Watcher", external_url),) if external_url else (),
    )


def _word(status: str | None) -> Status:
    return Status(status) if status in list(Status) else Status.NULL


def _title(event: Event, name: str) -> str:
    words = _WORDS.get(event.kind, f"is {event.to_status}")
    if event.kind is EventKind.DISCOVERED:
        words = f"is in {event.to_status}"
    elif event.kind is EventKind.RECOVERED and not event.instance_id:
        words = "answers again"
    elif event.kind is EventKind.TRANSITION and event.from_status == event.to_status:
        words = "was built again"
    return f"{name} {words}"


def _summary(event: Event) -> str:
    parts = [_steps(event)]
    if event.duration_s is not None:
        length = format_length(event.duration_s)
        if not event.instance_id:
            parts = [f"no answer for {length}" if event.kind is EventKind.UNREACHABLE else f"after {length}"]
        elif event.from_status is not None and event.to_status is not None:
            parts = [f"{parts[0]} after {length}"]
    parts += [f"alert {alert.name} {_began_or_ended(alert.status)}" for alert in event.alerts]
    return ", ".join(part for part in parts if part)


def _steps(event: Event) -> str:
    if event.to_status is None:
        return f"last seen {event.from_status}" if event.from_status is not None else ""
    steps = [event.from_status, *(f"({step})" for step in event.inferred), event.to_status]
    return " → ".join(step for step in steps if step is not None)


def _began_or_ended(status: AlertStatus) -> str:
    return "fires" if status is AlertStatus.FIRING else "is over"


def _fields(event: Event) -> list[tuple[str, str]]:
    fields = [("Severity", event.severity.value), ("Source", event.source)]
    if event.instance_id:
        fields.append(("Instance", event.instance_id))
    if event.reason is not None:
        label = "Reason" if event.reason.exact else "Likely reason"
        fields.append((label, f"{event.reason.code} {event.reason.message}".strip()))
    if event.inferred:
        fields.append(("Passed unseen", ", ".join(event.inferred)))
    image_id = json.loads(event.record).get("image_id")
    if event.to_status == Status.BUILT and image_id:
        fields.append(("Image", str(image_id)))
    fields += [(label, value) for label, value in event.labels.items()]
    fields.append(("Seen", format_time(event.observed_at)))
    return fields


def format_length(seconds: float) -> str:
    """A length of time for people, two units at most: `23 min 32 s`, `1 h 5 min`, `3 d 2 h`."""
    whole = round(seconds)
    units = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
    parts: list[str] = []
    for unit, size in units:
        count, whole = divmod(whole, size)
        if count or (unit == "s" and not parts):
            parts.append(f"{count} {unit}")
        elif parts:
            break
    return " ".join(parts[:2])
