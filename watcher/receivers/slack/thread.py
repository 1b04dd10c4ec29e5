"""One thread of a Slack channel: what was told in it, what fires, when it is over; a note that outlasts the process."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from watcher.core.model import AlertStatus, Event, EventKind, InstanceKey, Severity, Status
from watcher.core.timers import is_unwatched
from watcher.receivers.slack.api import Posted
from watcher.receivers.tone import Tone, tone_of

_KEY_CHARS = 300
_TOLD = 20
_QUIET_FOR = timedelta(days=1)
_TONES = {Severity.CRITICAL: Tone.FAILURE, Severity.WARNING: Tone.WARNING, Severity.INFO: Tone.INFO}


class _Noted(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")


class Firing(_Noted):
    """An alert that was told of and goes on."""

    name: str
    severity: Severity


class Reply(_Noted):
    """What was told of one event: the reply's `ts`, the `mark` of what it says, and whether the event has an alert."""

    ts: str
    mark: str
    fires: bool


class Thread(_Noted):
    """A parent message and its replies.

    `asked` is the channel as it was configured, `channel` its id. `opened_by` is the event that the parent was posted
    for, `since` when that was observed, `at` when the newest was. `shown` is the mark of what the parent says. `lost`:
    somebody deleted the parent. `firing` is by fingerprint, `told` by event id.
    """

    v: Literal[1] = 1
    asked: str
    channel: str
    ts: str
    opened_by: str
    since: AwareDatetime
    at: AwareDatetime
    shown: str
    ended: bool = False
    lost: bool = False
    firing: dict[str, Firing] = {}
    last: str = ""
    told: dict[str, Reply] = {}

    @property
    def parent(self) -> Posted:
        """Where the parent is."""
        return Posted(channel=self.channel, ts=self.ts)

    @property
    def note(self) -> str:
        """As it is written down."""
        return self.model_dump_json()

    def changed(self, **values: Any) -> Thread:
        """The same with these in place."""
        return self.model_copy(update=values)

    def tells(self, event: Event) -> bool:
        """Whether the event belongs into this thread: told in it already, or news of its run."""
        if event.id in self.told:
            return True
        if not self.firing and event.observed_at - self.at > _QUIET_FOR:
            return False  # how that run ended was not told here, as with a `min_severity`
        return not self.lost and (not self.ended or event.observed_at <= self.at)

    def after(self, event: Event) -> Thread:
        """The thread when the event is told; one that is older than what was told changes nothing."""
        if event.observed_at < self.at:
            return self
        firing = dict(self.firing)
        for alert in event.alerts:
            if alert.status is AlertStatus.FIRING:
                firing[alert.fingerprint] = Firing(name=alert.name, severity=alert.severity)
            else:
                firing.pop(alert.fingerprint, None)
        if _is_gone(event):
            firing = {}
        return self.changed(firing=firing, ended=not firing and _is_at_rest(event), at=event.observed_at)

    def with_reply(self, event: Event, reply: Reply) -> Thread:
        """The thread with what was told of the event; of the earlier ones those are kept whose reason may come late."""
        told = {event_id: each for event_id, each in self.told.items() if each.fires and event_id != event.id}
        last = event.id if event.observed_at >= self.at else self.last
        if last in self.told:
            told[last] = self.told[last]
        told[event.id] = reply
        return self.changed(told=dict(list(told.items())[-_TOLD:]), last=last)

    def with_mark(self, event: Event, mark: str) -> Thread:
        """The thread when what was told of the event says something else."""
        return self.changed(told={**self.told, event.id: self.told[event.id].model_copy(update={"mark": mark})})

    def tone(self, event: Event) -> Tone:
        """How the present status is meant."""
        if self.firing:
            return _TONES[max((alert.severity for alert in self.firing.values()), key=lambda severity: severity.rank)]
        return tone_of([event])


def read_thread(text: str | None, *, asked: str) -> Thread | None:
    """What a note says of a thread in this channel; None when it says nothing of the sort."""
    try:
        thread = Thread.model_validate_json(text or "", strict=True)
    except ValidationError:
        return None
    return thread if thread.asked == asked else None


def thread_key(key: InstanceKey) -> str:
    """What the thread of an instance, or of a source as a whole, is noted under."""
    name = f"thread/{key.source}/{key.id}"
    if len(name) <= _KEY_CHARS and name.isascii() and name.isprintable():
        return name
    return "thread/" + hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()


def mark_of(content: Mapping[str, Any]) -> str:
    """The same for the same content."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def opened(event: Event, *, before: Thread | None, asked: str) -> Thread:
    """A thread that begins with the event and is not posted yet; what fired in the one before fires in this one."""
    at: datetime = event.observed_at
    return Thread(
        asked=asked,
        channel="",
        ts="",
        opened_by=event.id,
        since=at,
        at=at,
        shown="",
        firing=before.firing if before is not None else {},
        told=before.told if before is not None else {},
        last=before.last if before is not None else "",
    )


def _is_gone(event: Event) -> bool:
    return event.kind is EventKind.DELETED or is_unwatched(event)


def _is_at_rest(event: Event) -> bool:
    if not event.instance_id:
        return event.kind is EventKind.RECOVERED
    return _is_gone(event) or event.to_status == Status.BUILT
