"""The events of a time, read from a watcher as values. What comes is not trusted: what is no event is counted."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from watcher.cli.client import Client, Item
from watcher.cli.follow import EVENTS
from watcher.cli.times import read_time
from watcher.core.event_json import alert_from_json, format_time, from_json
from watcher.core.model import Alert, AlertStatus, Event, EventKind, InstanceKey, Presence, Severity

MOST_EVENTS = 100_000
_MADE_FROM = "made_from"
_LONGEST_S = 100 * 365 * 86400.0


def _readable(value: str) -> str:
    if read_time(value) is None:
        raise ValueError("not a time")
    return value


_Time = Annotated[str, AfterValidator(_readable)]
_Seconds = Annotated[float, Field(ge=0, le=_LONGEST_S, allow_inf_nan=False)]


class _Body(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", hide_input_in_errors=True)


class _Reason(_Body):
    code: str
    message: str
    exact: bool


class _Expectation(_Body):
    median_s: _Seconds
    p95_s: _Seconds
    samples: int


class _Alert(_Body):
    name: str
    fingerprint: str
    status: Annotated[AlertStatus, Field(strict=False)]
    severity: Annotated[Severity, Field(strict=False)]
    starts_at: _Time
    ends_at: _Time | None = None
    labels: dict[str, str] = {}


class _Event(_Body):
    id: str
    kind: Annotated[EventKind, Field(strict=False)]
    source: str
    instance_id: str
    instance_name: str
    from_status: Annotated[str | None, Field(alias="from")]
    to_status: Annotated[str | None, Field(alias="to")]
    inferred: list[str] = []
    severity: Annotated[Severity, Field(strict=False)]
    observed_at: _Time
    previous_observed_at: _Time | None = None
    sequence: int
    duration_s: _Seconds | None = None
    labels: dict[str, str] = {}
    reason: _Reason | None = None
    alerts: list[_Alert] = []
    expected: _Expectation | None = None
    flapping: bool = False
    changes: int | None = None
    instance: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """The events of a time, oldest first, without the cloud's records but for what the instance is made from.

    `is_cut`: there were more, earlier ones. `unreadable` counts what was no event.
    """

    events: Sequence[Event]
    is_cut: bool = False
    unreadable: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """An instance that is watched now: its present status (None: missing, or never seen) and since when it has it."""

    key: InstanceKey
    name: str
    status: str | None
    since: datetime


async def load_history(
    client: Client,
    query: Mapping[str, Sequence[str]],
    *,
    since: datetime,
    until: datetime | None = None,
    most: int = MOST_EVENTS,
) -> History:
    """The latest `most` events of a time; raises ApiError."""
    given = {**query, "order": ["newest"], "since": [format_time(since)]}
    given |= {"until": [format_time(until)]} if until is not None else {}
    found: list[Event] = []
    unreadable = 0
    async for page in client.pages(EVENTS, given):
        for item in page:
            event = event_of(item)
            if event is None:
                unreadable += 1
            else:
                found.append(event)
        if len(found) + unreadable > most:
            return History(events=found[:most][::-1], is_cut=True, unreadable=unreadable)
    return History(events=found[::-1], unreadable=unreadable)


def event_of(item: Item) -> Event | None:
    """The event that a JSON object is; None when it is none, or of a kind that is not known here."""
    try:
        body = _Event.model_validate(item).model_dump(by_alias=True)
    except (ValidationError, RecursionError):
        return None
    return from_json({**body, "instance": {_MADE_FROM: _made_from(body["instance"])}})


def _made_from(record: object) -> str:
    reference = record.get("image_ref") if isinstance(record, dict) else None
    if not isinstance(reference, dict):
        return ""
    return ":".join(str(reference[key]) for key in ("image_type", "id") if isinstance(reference.get(key), str))


def image_source_of(event: Event) -> str:
    """What the instance is made from, such as `gold:img-1`, of an event that was read here; "" where not known."""
    return str(json.loads(event.record).get(_MADE_FROM, ""))


def known_of(items: Iterable[Item]) -> list[Known]:
    """The instances of a list that are there; what is none is left out."""
    found = []
    for item in items:
        source, instance_id, since = item.get("source"), item.get("id"), read_time(item.get("since"))
        if not (isinstance(source, str) and isinstance(instance_id, str)) or since is None:
            continue
        status, presence = item.get("status"), item.get("presence")
        if presence == Presence.DELETED.value or not isinstance(status, str | None):
            continue
        is_missing = presence == Presence.MISSING.value
        found.append(
            Known(
                key=InstanceKey(source, instance_id),
                name=str(item.get("name") or ""),
                status=None if is_missing else status,
                since=since,
            )
        )
    return found


def alerts_in(items: Iterable[Item]) -> list[Alert]:
    """The alerts of a list; what is none is left out."""
    found = []
    for item in items:
        try:
            body = _Alert.model_validate(item).model_dump()
        except (ValidationError, RecursionError):
            continue
        found.append(alert_from_json(body))
    return found
