"""The product's words as values: instance, observation, state, event, alert, notification."""

from __future__ import annotations

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
class Alert:
    """A problem with a beginning and an end, recognised by `fingerprint`."""

    name: str
    fingerprint: str
    status: AlertStatus
    severity: Severity
    starts_at: datetime
    ends_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceState:
    """All the watcher remembers of one instance.

    `status` is the last one seen, None if the cloud has never known the instance. `sequence` is that of its latest
    event, 0 before the first. `since` is when the present status was first observed, `observed_at` when the last
    *recorded* observation was made: an unchanged observation is not recorded. `absences` counts the "no such
    instance" answers in a row (in memory only). `alerts` holds only those firing.
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
    presence: Presence = Presence.PRESENT
    absences: int = 0
    alerts: tuple[Alert, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something worth telling. `from_status` and `to_status` are the contract's `from` and `to` (None: not there).

    `record` is the cloud's record as last seen, as JSON text; `duration_s` is how long `from_status` lasted.
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
    record: str = "{}"

    @property
    def key(self) -> InstanceKey:
        """The instance this event is about."""
        return InstanceKey(self.source, self.instance_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One event for one receiver, as the store keeps it until it is accepted, dead or suppressed."""

    id: int
    receiver: str
    event: Event
    attempts: int
    created_at: datetime
    next_attempt_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """What a receiver is asked to say. `id` is the same on every retry; `test` marks one sent by `test-receiver`."""

    id: str
    event: Event
    test: bool = False
