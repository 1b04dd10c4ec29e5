"""What the API answers, as models: every answer is made by them, and the OpenAPI document is made of them."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from watcher.core.model import AlertStatus, DeliveryState, EventKind, Presence, Severity

Time = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]
"""ISO-8601 in UTC with milliseconds, as `core/event_json` writes it."""

_PASSING: dict[str, Any] = {"items": {"__all__": {"left_s"}}}


class Shape(BaseModel):
    """What is answered. `passing` is what changes with time alone, and makes no other ETag."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    has_etag: ClassVar[bool] = False
    passing: ClassVar[dict[str, Any] | None] = None


class ListShape(Shape):
    """A page of a list: `next` is what `after` is to be for what follows, null at the end."""

    has_etag: ClassVar[bool] = True
    next: str | None


class ReasonShape(Shape):
    """Why the cloud says something failed; not `exact`: the likely reason."""

    code: str
    message: str
    exact: bool


class ExpectationShape(Shape):
    """How long a status usually lasts, learned from so many earlier times that went well."""

    median_s: float
    p95_s: float
    samples: int


class AlertShape(Shape):
    """A problem with a beginning and an end, recognised by `fingerprint`."""

    name: str
    fingerprint: str
    status: AlertStatus
    severity: Severity
    starts_at: Time
    ends_at: Time | None
    labels: dict[str, str]


class AcknowledgedShape(Shape):
    """Who has taken on an alert."""

    author: str
    comment: str
    created_at: Time


class FiringShape(AlertShape):
    """An alert that fires, and of what; `instance_id` is empty where it is of the source as a whole."""

    source: str
    instance_id: str
    instance_name: str
    instance_status: str | None
    acknowledged: AcknowledgedShape | None
    silenced_by: str | None
    """What keeps its notifications back at present."""
    reason: ReasonShape | None
    runbook_url: str | None
    console_url: str | None


class AlertList(ListShape):
    """Alerts that fire."""

    items: list[FiringShape]


class InstanceShape(Shape):
    """An instance as it was last seen; `status` null: never."""

    source: str
    id: str
    name: str
    status: str | None
    presence: Presence
    since: Time
    observed_at: Time
    sequence: int
    image_id: str
    labels: dict[str, str]
    alerts: list[AlertShape]
    expected: ExpectationShape | None
    left_s: float | None
    reason: ReasonShape | None
    console_url: str | None


class InstanceList(ListShape):
    """Instances."""

    passing: ClassVar[dict[str, Any] | None] = _PASSING
    items: list[InstanceShape]


class InstanceDetail(InstanceShape):
    """An instance, with the cloud's own record of it."""

    instance: Any


class SpanShape(Shape):
    """A time in one status (null: it was missing); `ended_at` null: it lasts."""

    status: str | None
    began_at: Time
    ended_at: Time | None
    duration_s: float
    event_id: str | None
    expected: ExpectationShape | None
    inferred: list[str]
    reason: ReasonShape | None


class Timeline(Shape):
    """What an instance was when, oldest first."""

    now: Time
    items: list[SpanShape]
    next: None


class EventShape(Shape):
    """Something worth telling, as receivers get it."""

    id: str
    kind: EventKind
    source: str
    instance_id: str
    instance_name: str
    from_status: str | None = Field(alias="from")
    to_status: str | None = Field(alias="to")
    inferred: list[str]
    severity: Severity
    observed_at: Time
    previous_observed_at: Time | None
    sequence: int
    duration_s: float | None
    labels: dict[str, str]
    reason: ReasonShape | None
    alerts: list[AlertShape]
    expected: ExpectationShape | None
    flapping: bool
    changes: int | None
    instance: Any


class EventList(ListShape):
    """Events."""

    items: list[EventShape]


class DeliveredEvent(Shape):
    """What tells the event of a delivery from others."""

    id: str
    kind: EventKind
    source: str
    instance_id: str
    instance_name: str
    from_status: str | None = Field(alias="from")
    to_status: str | None = Field(alias="to")
    severity: Severity
    observed_at: Time


class DeliveryShape(Shape):
    """One event for one receiver; `reason` and `answer` say why it is not delivered, or was not at first."""

    id: int
    receiver: str
    receiver_type: str | None
    """Null: the receiver is no longer in the configuration."""
    state: DeliveryState
    attempts: int
    created_at: Time
    next_attempt_at: Time | None
    finished_at: Time | None
    reason: str | None
    answer: str | None
    held_by: str | None
    digest_id: str | None
    event: DeliveredEvent


class DeliveryList(ListShape):
    """Deliveries, newest first."""

    items: list[DeliveryShape]


class Retried(Shape):
    """How many dead letters are pending again."""

    retried: int


class MatchShape(Shape):
    """Which events are meant: all that is given must hold, of a list one must."""

    kind: list[EventKind] | None = None
    from_status: list[str] | None = Field(None, alias="from")
    to_status: list[str] | None = Field(None, alias="to")
    source: list[str] | None = None
    instance_id: list[str] | None = None
    name: list[str] | None = None
    severity: list[Severity] | None = None
    labels: dict[str, str] | None = None


class SilenceShape(Shape):
    """What somebody asked not to be told for a while."""

    id: str
    match: MatchShape
    starts_at: Time
    ends_at: Time
    author: str
    comment: str
    created_at: Time
    state: Literal["pending", "active", "expired"]


class SilenceList(ListShape):
    """Silences, the first made first."""

    items: list[SilenceShape]


class PollShape(Shape):
    """How a source is polled."""

    interval_s: float
    steady_interval_s: float
    mode: str


class SourceShape(Shape):
    """How a source is; `stale` counts the instances that were not observed when they should have been.

    `pace` is the fraction of the configured rate that is in use, `stretch` what the intervals are multiplied by.
    """

    name: str
    region: str | None
    project_id: str | None
    state: Literal["up", "down", "untried"]
    last_success_at: Time | None
    failing_since: Time | None
    error: str | None
    retry_at: Time | None
    last_cycle_at: Time | None
    cycle_duration_s: float | None
    lag_s: float | None
    pace: float
    stretch: float
    stale: int
    replica: str | None
    """The id of the replica that polls it; None while none does."""
    instances: int
    by_status: dict[str, int]
    poll: PollShape
    console_url: str | None
    alerts: list[AlertShape]


class SourceList(ListShape):
    """Sources, in the order of the configuration."""

    items: list[SourceShape]


class ReplicaShape(Shape):
    """One of the watchers that share the work; alone on its store it does all of it."""

    id: str
    """Another one after each start."""
    name: str
    """That of its machine or pod."""
    version: str
    started_at: Time
    seen_at: Time
    """When it was last heard of, by the store's clock."""
    draining: bool
    is_self: bool
    """Whether it is the one that answers."""
    unwell: str | None
    """Why it cannot do its work; None when it can."""
    sources: list[str]
    receivers: list[str]


class ReplicaList(ListShape):
    """Replicas by id."""

    items: list[ReplicaShape]


class ProblemPlace(Shape):
    """Where in the request something is wrong: a JSON pointer into the body, or a parameter."""

    pointer: str | None = None
    parameter: str | None = None
    detail: str


class ProblemShape(Shape):
    """What is wrong with a request (RFC 9457)."""

    type: Literal["about:blank"]
    title: str
    status: int
    detail: str
    errors: list[ProblemPlace] | None = None
