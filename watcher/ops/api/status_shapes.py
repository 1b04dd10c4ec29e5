"""What `/status` answers."""

from __future__ import annotations

from watcher.ops.api.shapes import Shape, Time


class InstanceCounts(Shape):
    """How many instances are what: by status, or by `missing`, `deleted` and `unseen` where that is what they are."""

    total: int
    by_status: dict[str, int]


class DeliveryCounts(Shape):
    """How many deliveries wait, and how many were given up."""

    pending: int
    dead: int


class ReceiverShape(DeliveryCounts):
    """A receiver, and what there is for it."""

    name: str
    type: str


class SourceCounts(Shape):
    """How many sources there are, and how many do not answer."""

    total: int
    down: int


class ConfigurationShape(Shape):
    """Whether the configuration file is what applies."""

    refused: list[str]
    """Why it is not, a line each: what applied before goes on."""
    waiting: list[str]
    """The keys that wait for a restart."""


class AlertCounts(Shape):
    """How many alerts fire, by severity."""

    critical: int
    warning: int
    info: int


class Status(Shape):
    """The whole at one glance."""

    version: str
    started_at: Time
    now: Time
    ready: bool
    why_not_ready: str | None
    healthy: bool
    why_unhealthy: str | None
    can_write: bool
    why_read_only: str | None
    external_url: str | None
    configuration: ConfigurationShape
    instances: InstanceCounts
    alerts: AlertCounts
    acknowledged: int
    deliveries: DeliveryCounts
    receivers: list[ReceiverShape]
    silences: int
    """How many are active."""
    sources: SourceCounts
    replica: str
    """The id of the replica that answers."""
    replicas: int
    """How many share the work."""
    why_unwell: str | None
    """Why all of them together do not do it all; None when they do."""
