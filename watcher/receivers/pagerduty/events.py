"""Notifications as requests of PagerDuty's Events API v2, within its limits.

Alert events: https://developer.pagerduty.com/docs/send-alert-event; change events, which page nobody:
https://developer.pagerduty.com/docs/send-change-event; size: https://developer.pagerduty.com/docs/events-api-v2-overview
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from watcher.core.event_json import format_time
from watcher.core.model import Alert, AlertStatus, Event, Notification, Severity
from watcher.receivers.base import Describer
from watcher.receivers.message import Message
from watcher.receivers.words import name_of, plain, shortened

ALERT_PATH, CHANGE_PATH = "/v2/enqueue", "/v2/change/enqueue"
_SUMMARY_CHARS = 1024  # characters, not bytes: "Description is too long (maximum is 1024 characters)"
_KEY_CHARS = 255
_REQUEST_BYTES = 512_000  # "512 KB", and Alertmanager takes it for this, the smaller of what it may mean
# Ours, where PagerDuty names no limit.
_NAME_CHARS = 255
_VALUE_CHARS = 10_000
_URL_CHARS = 2000
_LEFT_OUT = "Left out"
_SEVERITIES = {Severity.CRITICAL: "critical", Severity.WARNING: "warning", Severity.INFO: "info"}


@dataclass(frozen=True, slots=True)
class Request:
    """One request, the same at every try: its path, and its body without the routing key."""

    path: str
    body: Mapping[str, Any]

    @property
    def action(self) -> str:
        """`trigger`, `acknowledge`, `resolve` or `change`."""
        return str(self.body.get("event_action", "change"))

    @property
    def identity(self) -> tuple[str, str]:
        """What tells it from the other requests of its notification."""
        return self.action, str(self.body.get("dedup_key", ""))

    def encoded(self, routing_key: str) -> bytes:
        """The whole body as JSON; of details that are too many, those that fit."""
        body = {"routing_key": routing_key, **self.body}
        text = _json(body)
        if len(text) <= _REQUEST_BYTES or "payload" not in body:
            return text
        payload = body["payload"]
        bare = {**body, "payload": {**payload, "custom_details": {_LEFT_OUT: f"{len(payload['custom_details'])} more"}}}
        kept = dict(_fitting(payload["custom_details"], _REQUEST_BYTES - len(_json(bare))))
        kept[_LEFT_OUT] = f"{len(payload['custom_details']) - len(kept)} more"
        return _json({**body, "payload": {**payload, "custom_details": kept}})


def chains(
    notification: Notification, *, describe: Describer, client_url: str | None, informational: bool
) -> list[tuple[Request, ...]]:
    """What has to be sent, each chain in its order and the chains in any; what matters most first.

    One chain for each alert: of all that is told of it the last counts. One that is over is only resolved, never
    triggered: it must not page, and what has no incident is resolved in vain. One that is over and fires again is
    resolved first, or the new trigger would be part of the old incident, which may be acknowledged and page nobody.
    With `informational`, one change event tells of the events without alerts.
    """
    told: dict[str, list[tuple[Event, Alert]]] = {}
    for event in notification.events:
        for alert in sorted(event.alerts, key=lambda alert: alert.starts_at):
            told.setdefault(alert.fingerprint, []).append((event, alert))
    found = []
    for event, alert in sorted((each[-1] for each in told.values()), key=_weight, reverse=True):
        was_over = any(each.status is AlertStatus.RESOLVED for _, each in told[alert.fingerprint])
        chain = [resolve(alert)] if was_over else []
        if alert.status is AlertStatus.FIRING:
            alone = replace(event, alerts=(alert,), severity=alert.severity)
            message = describe(Notification(id=event.id, events=(alone,), held_by=notification.held_by))
            chain.append(_trigger(event, alert, message, client_url))
        found.append(tuple(chain))
    news = tuple(event for event in notification.events if not event.alerts)
    if informational and news:
        message = describe(replace(notification, events=news, is_digest=len(news) > 1))
        found.append((_change(news, message),))
    return found


def trial(notification: Notification, *, describe: Describer, client_url: str | None) -> tuple[Request, Request]:
    """A trigger that says it is a test, and its end; they have an incident of their own."""
    event, message = notification.event, describe(notification)
    alert = Alert(
        name="test",
        fingerprint=f"test {notification.id}"[:_KEY_CHARS],
        status=AlertStatus.FIRING,
        severity=Severity.INFO,
        starts_at=event.observed_at,
    )
    marked = message if message.title.startswith("[TEST]") else replace(message, title=f"[TEST] {message.title}")
    return _trigger(event, alert, marked, client_url), resolve(alert)


def resolve(alert: Alert) -> Request:
    """The end of an alert's incident."""
    return Request(ALERT_PATH, {"event_action": "resolve", "dedup_key": alert.fingerprint})


def acknowledge(alert: Alert) -> Request:
    """Somebody is at it: the incident does not page any more."""
    return Request(ALERT_PATH, {"event_action": "acknowledge", "dedup_key": alert.fingerprint})


def _weight(told: tuple[Event, Alert]) -> tuple[bool, int]:
    _, alert = told
    return alert.status is AlertStatus.FIRING, alert.severity.rank


def _trigger(event: Event, alert: Alert, message: Message, client_url: str | None) -> Request:
    component = {"component": shortened(name_of(event), _NAME_CHARS)} if event.instance_id else {}
    payload = {
        "summary": _summary(message),
        "source": _place(event),
        "severity": _SEVERITIES[alert.severity],
        "timestamp": format_time(event.observed_at),
        **component,
        "group": event.source,
        "class": alert.name,
        "custom_details": _details(
            message, [("Alert", alert.name), ("Firing since", format_time(alert.starts_at)), ("Event", event.id)]
        ),
    }
    known = {"client_url": client_url} if client_url is not None else {}
    body = {
        "event_action": "trigger",
        "dedup_key": alert.fingerprint,
        "payload": payload,
        **_links(message),
        "client": "watcher",
        **known,
    }
    return Request(ALERT_PATH, body)


def _change(events: Sequence[Event], message: Message) -> Request:
    sources = dict.fromkeys(event.source for event in events)
    payload = {
        "summary": _summary(message),
        "source": _place(events[0]) if len(events) == 1 else shortened(", ".join(sources), _NAME_CHARS),
        "timestamp": format_time(max(event.observed_at for event in events)),
        "custom_details": _details(message, [("Event", events[0].id)] if len(events) == 1 else []),
    }
    return Request(CHANGE_PATH, {"payload": payload, **_links(message)})


def _summary(message: Message) -> str:
    return shortened(message.headline, _SUMMARY_CHARS)


def _place(event: Event) -> str:
    """What there is only one of: names of instances may come twice."""
    instance_id = plain(event.instance_id)
    return shortened(f"{event.source}/{instance_id}" if instance_id else event.source, _NAME_CHARS)


def _details(message: Message, more: Iterable[tuple[str, str]]) -> dict[str, str]:
    """`more` comes first and keeps its names: what has the same name, as a label may, is marked with `'`."""
    if message.body is not None:
        facts = [("Text", "\n".join(message.body))]
    else:
        facts = [*message.groups, *message.fields, ("Seen", message.seen)]
    own = dict(more)
    details: dict[str, str] = {}
    for label, value in facts:
        name = shortened(label, _NAME_CHARS) or "-"
        while name in details or name in own or name == _LEFT_OUT:
            name += "'"
        details[name] = shortened(value, _VALUE_CHARS)
    return {**own, **details}


def _links(message: Message) -> dict[str, Any]:
    links = [{"href": url, "text": text} for text, url in message.links if len(url) <= _URL_CHARS]
    return {"links": links} if links else {}


def _fitting(details: Mapping[str, str], room: int) -> Iterator[tuple[str, str]]:
    for name, value in details.items():
        size = len(_json({name: value})) - 1  # a comma in place of the braces
        if size <= room:
            room -= size
            yield name, value


def _json(body: Mapping[str, Any]) -> bytes:
    # Half a surrogate pair cannot be sent.
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode(errors="replace")
