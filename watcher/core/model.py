"""The product's words as values: instance, observation, state, event, alert, notification."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple


class Status(StrEnum):
    """The statuses the cloud documents (its page "Querying Specified Image Instances").

    Everywhere else a status is a plain `str`, because a word the cloud adds tomorrow is kept as it came.
    """

    CREATING = "CREATING"
    ACTIVE = "ACTIVE"
    BUILDING = "BUILDING"
    BUILT = "BUILT"
    ERROR = "ERROR"
    DELETING = "DELETING"
    NULL = "NULL"


class Severity(StrEnum):
    """How much an event matters, least first."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """0 for info, 1 for warning, 2 for critical."""
        return list(Severity).index(self)


class Presence(StrEnum):
    """Whether the cloud still knows the instance."""

    PRESENT = "present"
    MISSING = "missing"
    DELETED = "deleted"


class EventKind(StrEnum):
    """What an event tells."""

    DISCOVERED = "discovered"
    TRANSITION = "transition"
    BUILD_FAILED = "build_failed"
    DELETED = "deleted"
    MISSING = "missing"
    STUCK = "stuck"
    FLAPPING = "flapping"
    REMINDER = "reminder"
    UNREACHABLE = "unreachable"
    RECOVERED = "recovered"


class AlertStatus(StrEnum):
    """An alert begins firing and ends resolved."""

    FIRING = "firing"
    RESOLVED = "resolved"


class DeliveryState(StrEnum):
    """Where a notification for one receiver stands."""

    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"
    SUPPRESSED = "suppressed"


class InstanceKey(NamedTuple):
    """Names one instance: the configured source and the cloud's `id`."""

    source: str
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """What the cloud said of one image server (ShowImageServer, ListImageServers).

    `status` has the five spellings of "not set" folded to `NULL`; unknown words are kept.
    `record` is the whole answer as compact JSON with sorted keys, so equal records are equal strings.
    """

    id: str
    name: str
    status: str
    image_id: str = ""
    updated_at: str = ""
    image_source: str = ""
    record: str = "{}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What one successful answer said of one instance; `instance` is None when it said "no such instance"."""

    key: InstanceKey
    observed_at: datetime
    instance: Instance | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SubJob:
    """One step of a cloud job (ListImageSubJobs); times are None while unset or unreadable."""

    id: str
    job_id: str
    job_type: str
    status: str
    resource_id: str = ""
    resource_name: str = ""
    begin_at: datetime | None = None
    end_at: datetime | None = None
    error_code: str = ""
    error_message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One cloud job (ListImageJobs, ShowImageJob) and, where asked for, its steps."""

    id: str
    job_type: str
    status: str
    begin_at: datetime | None = None
    end_at: datetime | None = None
    sub_jobs: tuple[SubJob, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why the cloud says something failed; `exact` is False when the job was matched by time, not by id."""

    code: str
    message: str
    exact: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """Where to look for the job that tells what became of an instance: of which type, ended from when on.

    `event_id` is the event that told of the failure without a reason, `until` when to give up; None before that event.
    """

    job_type: str
    since: datetime
    event_id: str | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """A problem with a beginning and an end, recognised by `fingerprint`.

    `labels` are those of its instance when it began, with `instance_name` and `status`: who recognises alerts by their
    labels, as Alertmanager does, is told of the end with the same ones.
    """

    name: str
    fingerprint: str
    status: AlertStatus
    severity: Severity
    starts_at: datetime
    ends_at: datetime | None = None
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """How long a status usually lasts, learned from so many earlier times that went well."""

    median_s: float
    p95_s: float
    samples: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One passage through a status that went well, to learn from: how long, and what the instance is made from."""

    source: str
    image_source: str
    status: str
    duration_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceState:
    """All the watcher remembers of one instance.

    `status` is the last one seen, None if the cloud has never known the instance. `sequence` is that of its latest
    event, 0 before the first. `since` is when the present status was first observed, `observed_at` when the last
    *recorded* observation was made: an unchanged observation is not recorded. `absences` counts the "no such
    instance" answers in a row (in memory only). `alerts` holds only those firing, `told_at` is when an event last said
    that they do. `changed_at` are the latest changes of status, as many as flapping asks for; `flaps` counts all of
    them while the instance flaps.

    `image_before` is the image of before the build that is under way or in doubt (see `core/builds.py`; None: there is
    none), `unconfirmed_at` since when it is BUILT without anything saying that this went well. `reason` is why the
    present problem is, None where there is none or it is not known; `search` is where that is looked for.
    """

    key: InstanceKey
    name: str
    status: str | None
    image_id: str
    updated_at: str
    record: str
    sequence: int
    since: datetime
    observed_at: datetime
    image_source: str = ""
    presence: Presence = Presence.PRESENT
    absences: int = 0
    alerts: tuple[Alert, ...] = ()
    told_at: datetime | None = None
    changed_at: tuple[datetime, ...] = ()
    flaps: int = 0
    image_before: str | None = None
    unconfirmed_at: datetime | None = None
    reason: Reason | None = None
    search: Search | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something worth telling. `from_status` and `to_status` are the contract's `from` and `to` (None: not there).

    `record` is the cloud's record as last seen, as JSON text; `duration_s` is how long `from_status` lasted.
    `expected` is how long `to_status` usually lasts, where it will end by itself. `flapping` says that receivers are
    told of the alert only and not of this single change; `changes` is how many there were, where that is the news.
    """

    id: str
    kind: EventKind
    source: str
    instance_id: str
    instance_name: str
    from_status: str | None
    to_status: str | None
    severity: Severity
    observed_at: datetime
    previous_observed_at: datetime | None
    sequence: int
    duration_s: float | None
    inferred: tuple[str, ...] = ()
    labels: dict[str, str] = field(default_factory=dict)
    reason: Reason | None = None
    alerts: tuple[Alert, ...] = ()
    expected: Expectation | None = None
    flapping: bool = False
    changes: int | None = None
    record: str = "{}"

    @property
    def key(self) -> InstanceKey:
        """The instance this event is about."""
        return InstanceKey(self.source, self.instance_id)


class Suppression(StrEnum):
    """Why a notification was not sent: the values of `reason` in `watcher_notifications_suppressed_total`."""

    SILENCE = "silence"
    MAINTENANCE = "maintenance"
    ACKNOWLEDGED = "acknowledged"
    FLAPPING = "flapping"
    NEVER_FIRED = "neverFired"
    SEND_RESOLVED = "sendResolved"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One event for one receiver, as the store keeps it until it is accepted, dead or suppressed.

    `queued_at` is when it last became pending: its age counts from there. `digest_id` names the digest it is part of.
    `held_by` says what kept it back for a while. One that is not `is_routed` is there only because the receiver was
    told of an alert that the event ends: `owed` are the fingerprints of these. `acknowledged` are those of the alerts
    that it reminds of and somebody has taken on. One that `is_late` was dead or kept back: what it tells may be over.
    """

    id: int
    receiver: str
    event: Event
    attempts: int
    queued_at: datetime
    next_attempt_at: datetime
    digest_id: str | None = None
    held_by: str | None = None
    is_routed: bool = True
    is_late: bool = False
    owed: frozenset[str] = frozenset()
    acknowledged: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """What a receiver is asked to say: one event, or a digest of many.

    `id` is the same on every retry: that of the event, or of the digest. `held_by` names what kept it back for a while;
    `test` marks one sent by `test-receiver`.
    """

    id: str
    events: tuple[Event, ...]
    is_digest: bool = False
    held_by: str | None = None
    test: bool = False

    @property
    def event(self) -> Event:
        """The event, of a notification that is no digest."""
        return self.events[0]
