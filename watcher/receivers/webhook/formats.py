"""The bodies of webhooks: each format is a function of a notification, and gives the same text on every retry."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC
from typing import Any
from urllib.parse import quote

from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from watcher.core.event_json import format_time, to_json
from watcher.core.model import Event, Notification
from watcher.receivers.digest import NAMED, Group, grouped, worst_of
from watcher.receivers.message import Message
from watcher.receivers.words import plain

Describe = Callable[[Notification], Message]


@dataclass(frozen=True, slots=True)
class Format:
    """What a webhook posts of a notification, as JSON text; `render` gives None where there is nothing to say."""

    content_type: str
    render: Callable[[Notification], str | None]


def to_text(body: object) -> str:
    """The body as compact JSON."""
    text = json.dumps(body, separators=(",", ":"), ensure_ascii=False)
    return text.encode(errors="replace").decode()  # half a surrogate pair can be neither signed nor sent


def standard(notification: Notification, *, describe: Describe | None = None) -> str:
    """`{"type": "instance.<kind>", "timestamp": …, "data": …}`, as Standard Webhooks propose.

    With `describe`, `data` has `message: {title, body}`, the texts of a template.
    """
    latest = max(event.observed_at for event in notification.events)
    body = {"type": _type(notification), "timestamp": format_time(latest), "data": _data(notification, describe)}
    if notification.held_by is not None and not notification.is_digest:
        body["held_by"] = notification.held_by
    return to_text(body)


def cloudevents(notification: Notification, *, describe: Describe | None = None) -> str:
    """CloudEvents 1.0 in structured mode (https://github.com/cloudevents/spec), `data` as in the standard format.

    `heldby` is an extension: an attribute's name has no underscores.
    """
    events = notification.events
    sources = {event.source for event in events}
    attributes = {
        "specversion": "1.0",
        "id": notification.id,
        "source": "/watcher" + "".join(f"/{quote(source, safe='')}" for source in sources if len(sources) == 1),
        "type": f"watcher.{_type(notification)}",
        "time": max(event.observed_at for event in events).astimezone(UTC),
        "datacontenttype": "application/json",
    }
    # An attribute is a line of text, and not there in place of empty.
    subject = "" if notification.is_digest else plain(notification.event.instance_id)
    more = {"subject": subject, "heldby": plain(notification.held_by or "")}
    given = {**attributes, **{name: text for name, text in more.items() if text}}
    event = CloudEvent(given, _data(notification, describe))
    # The SDK escapes all that is not ASCII, which makes a digest up to twice as long.
    return to_text(json.loads(JSONFormat().write(event)))


def _type(notification: Notification) -> str:
    if notification.is_digest:
        return "instance.digest"
    return f"instance.{'test' if notification.test else notification.event.kind.value}"


def _data(notification: Notification, describe: Describe | None) -> dict[str, Any]:
    data = _digest(notification) if notification.is_digest else to_json(notification.event)
    if describe is None:
        return data
    message = describe(notification)
    return {**data, "message": {"title": message.title, "body": "\n".join(message.lines)}}


def _digest(notification: Notification) -> dict[str, Any]:
    events = notification.events
    return {
        "id": notification.id,
        "count": len(events),
        "severity": worst_of(events).value,
        "groups": [_group(group) for group in grouped(events, by=_sort)],
        "held_by": notification.held_by,
        "events": [to_json(event) for event in events],
    }


def _sort(event: Event) -> tuple[str, str, str | None]:
    return event.source, event.kind.value, event.to_status


def _group(group: Group) -> dict[str, Any]:
    source, kind, to_status = _sort(group.first)
    return {
        "source": source,
        "kind": kind,
        "to": to_status,
        "severity": group.severity.value,
        "count": len(group.events),
        "instances": [event.instance_name or event.instance_id for event in group.instances[:NAMED]],
    }
