"""Short ways to say an instance, a state, an event."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from watcher.core.alerts import AlertRules
from watcher.core.detector import detect
from watcher.core.errors import CloudUnavailableError
from watcher.core.model import Event, EventKind, Instance, InstanceKey, InstanceState, Observation, Severity, SubJob
from watcher.core.news import Context
from watcher.core.outage import begin_outage, end_outage

START = datetime(2026, 1, 1, tzinfo=UTC)
KEY = InstanceKey("prod", "697612196993040384")


def at(seconds: float) -> datetime:
    """So many seconds after the beginning."""
    return START + timedelta(seconds=seconds)


def instance(status: str, *, id: str = KEY.id, name: str = "office-2026", image_id: str = "", **more: Any) -> Instance:  # noqa: A002
    """What the cloud says of an instance in this status."""
    record = {"id": id, "name": name, "status": status, "image_id": image_id, **more}
    return Instance(
        id=id,
        name=name,
        status=status,
        image_id=image_id,
        updated_at=str(more.get("update_time", "")),
        record=json.dumps(record, separators=(",", ":"), sort_keys=True),
    )


def built(id: str = KEY.id, image_id: str = "img-new") -> Instance:  # noqa: A002
    """What the cloud says of an instance that has an image, new where it had none before."""
    return instance("BUILT", id=id, image_id=image_id)


def failed_step(**changes: Any) -> SubJob:
    """A step that failed, of any instance named as by default, whenever it was built."""
    given: dict[str, Any] = {
        "id": "sub-1",
        "job_id": "job-1",
        "job_type": "CREATE_SERVER_IMAGE",
        "status": "FAILED",
        "resource_id": "image-9",
        "resource_name": "office-2026",
        "begin_at": at(0),
        "end_at": at(10_000_000),
        "error_code": "WKS.0017",
        "error_message": "sysprep failed",
    }
    return SubJob(**{**given, **changes})


def observation(status: str | None, seconds: float = 0, *, key: InstanceKey = KEY, **more: Any) -> Observation:
    """The instance seen in this status, or not there (None)."""
    seen = instance(status, id=key.id, **more) if status is not None else None
    return Observation(key=key, observed_at=at(seconds), instance=seen)


def context(**more: Any) -> Context:
    """The default rules."""
    return Context(rules=AlertRules(), **more)


def history(*statuses: str | None, step_s: float = 15, key: InstanceKey = KEY) -> tuple[InstanceState, list[Event]]:
    """The state and all events after these observations, `step_s` apart."""
    state: InstanceState | None = None
    events: list[Event] = []
    for turn, status in enumerate(statuses):
        state, told = detect(state, observation(status, turn * step_s, key=key), context())
        events += told
    assert state is not None
    return state, events


def outage() -> tuple[Event, Event]:
    """A source that could not be reached for ten minutes, as it was told after five of them and in the end."""
    error = CloudUnavailableError("no answer within 10 s", http_status=503, code="WKS.00050902")
    rules = AlertRules()
    state, down = begin_outage(None, source=KEY.source, since=at(0), now=at(300), rules=rules, error=error)
    return down, end_outage(state, now=at(600), rules=rules)[1]


def event(**changes: Any) -> Event:
    """A transition BUILDING → BUILT, with changes."""
    given: dict[str, Any] = {
        "id": "evt_0123456789abcdef0123456789abcdef",
        "kind": EventKind.TRANSITION,
        "source": KEY.source,
        "instance_id": KEY.id,
        "instance_name": "office-2026",
        "from_status": "BUILDING",
        "to_status": "BUILT",
        "severity": Severity.INFO,
        "observed_at": at(15.123),
        "previous_observed_at": at(0.101),
        "sequence": 7,
        "duration_s": 1412.0,
        "labels": {"team": "vdi"},
        "record": instance("BUILT", image_id="img-2").record,
    }
    return Event(**{**given, **changes})
