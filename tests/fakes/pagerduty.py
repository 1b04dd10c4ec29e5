"""PagerDuty's Events API v2, stricter than it is: it refuses whatever is not documented, and keeps incidents.

Alert events: https://developer.pagerduty.com/docs/send-alert-event, with what becomes of incidents; change events:
https://developer.pagerduty.com/docs/send-change-event; answers and sizes:
https://developer.pagerduty.com/docs/events-api-v2-overview
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from tests.fakes.sink import Reply, Sink

KEY = "0123456789abcdef0123456789abcdef"
LARGEST = 512_000
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII)
_SEVERITIES = {"critical", "error", "warning", "info"}
_ACTIONS = {"trigger", "acknowledge", "resolve"}
_ALERT_TEXTS = {"component", "group", "class"}

Json = dict[str, Any]


@dataclass
class Incident:
    """What a `dedup_key` stands for: `triggered`, `acknowledged` or `resolved`, and the actions that made it so."""

    dedup_key: str
    trigger: Json
    status: str = "triggered"
    log: list[str] = field(default_factory=list)


class FakePagerDuty(Sink):
    """Answers as PagerDuty does; scripted replies come first, and what they answer is not taken.

    `refused` are the errors of what was not valid. `dropped` are acknowledge and resolve for what is not open.
    `answer_lost` says of which requests the answer is lost though they are taken; after `patience` requests that were
    taken nobody is answered any more. While `gate` is closed nobody is; `under_way` are those who wait.
    """

    def __init__(self, *replies: Reply, key: str = KEY) -> None:
        super().__init__(*replies)
        self.key = key
        self.incidents: list[Incident] = []
        self.changes: list[Json] = []
        self.taken: list[tuple[str, str]] = []
        self.dropped: list[tuple[str, str]] = []
        self.refused: list[list[str]] = []
        self.answer_lost: Callable[[Json], bool] = lambda _: False
        self.patience: int | None = None
        self.most_under_way = 0
        self.under_way = 0
        self.gate = asyncio.Event()
        self.gate.set()

    def status(self) -> dict[str, list[str]]:
        """The statuses of all incidents there were, by `dedup_key`."""
        found: dict[str, list[str]] = {}
        for incident in self.incidents:
            found.setdefault(incident.dedup_key, []).append(incident.status)
        return found

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if request.method != "POST":
            return await super()._handle(request)
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            raw = await request.read()
            await self.gate.wait()
            if not self.replies:
                self.replies.append(self._reply(request, raw))
            return await super()._handle(request)
        finally:
            self.under_way -= 1

    def _reply(self, request: web.Request, raw: bytes) -> Reply:
        if self.patience is not None and len(self.taken) >= self.patience:
            return Reply(hang=True)
        if len(raw) > LARGEST:
            self.refused.append(["too large"])
            return Reply(status=413)
        body, errors = _read(request, raw)
        if not errors and body["routing_key"] != self.key:
            errors = ["Invalid routing key"]
        if errors:
            self.refused.append(errors)
            refusal = {"status": "invalid event", "message": "Event object is invalid", "errors": errors}
            return Reply(status=400, body=json.dumps(refusal))
        message = "Event processed" if request.path == "/v2/enqueue" else "Change event processed"
        answer = {"status": "success", "message": message}
        if request.path == "/v2/enqueue":
            answer["dedup_key"] = body["dedup_key"]
            self._take(body)
        else:
            self.taken.append(("change", ""))
            self.changes.append(body)
        return Reply(reset=True) if self.answer_lost(body) else Reply(status=202, body=json.dumps(answer))

    def _take(self, body: Json) -> None:
        key, action = body["dedup_key"], body["event_action"]
        self.taken.append((action, key))
        unresolved = (each for each in self.incidents if each.dedup_key == key and each.status != "resolved")
        incident = next(unresolved, None)
        if incident is None and action == "trigger":
            incident = Incident(key, body)
            self.incidents.append(incident)
        if incident is None:
            self.dropped.append((action, key))
            return
        incident.log.append(action)
        if action != "trigger":
            incident.status = f"{action}d"


def _read(request: web.Request, raw: bytes) -> tuple[Json, list[str]]:
    if request.content_type != "application/json":
        return {}, [f"a body of {request.content_type}"]
    try:
        body = json.loads(raw)
        json.dumps(body, ensure_ascii=False).encode()
    except ValueError as error:
        return {}, [f"JSON parse error: {error}"]
    if not isinstance(body, dict):
        return {}, ["not an object"]
    if request.path == "/v2/enqueue":
        return body, list(alert_errors(body))
    if request.path == "/v2/change/enqueue":
        return body, list(change_errors(body))
    return body, [f"no such endpoint: {request.path}"]


def alert_errors(body: Json) -> Iterator[str]:
    """What is wrong with an alert event."""
    yield from _unknown(body, {"routing_key", "event_action", "dedup_key", "payload", "links", "client", "client_url"})
    yield from _routing_key(body)
    action = body.get("event_action")
    if action not in _ACTIONS:
        yield "'event_action' is not trigger, acknowledge or resolve"
    yield from _text(body, "dedup_key", most=255)
    if action == "trigger":
        yield from _text(body, "client", required=False)
        if "client_url" in body and not _is_url(body["client_url"]):
            yield "'client_url' is no URL"
        yield from _links(body)
        yield from _payload(body, _ALERT_TEXTS | {"severity"}, required={"source"})
        if isinstance(body.get("payload"), dict) and body["payload"].get("severity") not in _SEVERITIES:
            yield "'payload.severity' is invalid"
    elif set(body) != {"routing_key", "event_action", "dedup_key"}:
        yield f"{sorted(body)} are too much for {action}"


def change_errors(body: Json) -> Iterator[str]:
    """What is wrong with a change event."""
    yield from _unknown(body, {"routing_key", "payload", "links"})
    yield from _routing_key(body)
    yield from _links(body)
    yield from _payload(body, set(), required=set())


def _payload(body: Json, more: set[str], *, required: set[str]) -> Iterator[str]:
    payload = body.get("payload")
    if not isinstance(payload, dict):
        yield "'payload' is missing"
        return
    yield from _unknown(payload, {"summary", "source", "timestamp", "custom_details"} | more)
    yield from _text(payload, "summary", most=1024)
    yield from _text(payload, "source", required="source" in required)
    for name in more & _ALERT_TEXTS:
        yield from _text(payload, name, required=False)
    timestamp = payload.get("timestamp", "2026-01-01T00:00:00Z")
    if not isinstance(timestamp, str) or not _RFC3339.fullmatch(timestamp):
        yield f"'payload.timestamp' is no time: {timestamp}"
    if not isinstance(payload.get("custom_details", {}), dict):
        yield "'payload.custom_details' is no object"


def _routing_key(body: Json) -> Iterator[str]:
    key = body.get("routing_key")
    if not isinstance(key, str) or len(key) != 32:
        yield "Length of 'routing_key' is incorrect (should be 32 characters)"
    elif not key.isalnum():
        yield "'routing_key' cannot contain non-alphanumeric characters."


def _links(body: Json) -> Iterator[str]:
    links = body.get("links", [])
    if not isinstance(links, list):
        yield "'links' is no list"
        return
    for link in links:
        if not isinstance(link, dict) or not set(link) <= {"href", "text"}:
            yield f"no link: {link}"
        elif not _is_url(link.get("href")) or not isinstance(link.get("text", ""), str):
            yield f"a link without URL or text: {link}"


def _text(of: Mapping[str, Any], name: str, *, most: int | None = None, required: bool = True) -> Iterator[str]:
    if name not in of:
        if required:
            yield f"'{name}' is missing or blank"
        return
    value = of[name]
    if not isinstance(value, str) or not value.strip():
        yield f"'{name}' is missing or blank"
    elif most is not None and len(value) > most:
        yield f"'{name}' is too long (maximum is {most} characters)"


def _unknown(of: Mapping[str, Any], known: set[str]) -> Iterator[str]:
    for name in set(of) - known:
        yield f"'{name}' is unknown"


def _is_url(text: object) -> bool:
    return isinstance(text, str) and urlsplit(text).scheme in ("http", "https") and " " not in text
