"""Which problems raise an alert and how much each matters: `alerts`."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from pydantic import Field, field_validator

from watcher.core.model import Severity, Status
from watcher.fields import Duration, PositiveDuration, Section

AlertName = Literal["error", "build_failed", "stuck", "missing", "unreachable", "flapping"]
"""The name of an alert."""

_STUCK_AFTER: dict[str, timedelta] = {
    Status.CREATING.value: timedelta(minutes=30),
    Status.BUILDING.value: timedelta(hours=2),
    Status.DELETING.value: timedelta(minutes=30),
}


class CriticalAlert(Section):
    """An alert that is critical unless said otherwise."""

    severity: Severity = Severity.CRITICAL
    """How much it matters."""


class WarningAlert(Section):
    """An alert that is a warning unless said otherwise."""

    severity: Severity = Severity.WARNING
    """How much it matters."""


class BuildFailedAlert(CriticalAlert):
    """An image build that ended, but not well."""

    after: Duration = timedelta(minutes=2)
    """How long a new image may take to appear when the job does not tell how it ended; 0: no time at all."""


class StuckAlert(WarningAlert):
    """An instance that stays too long in a status it should pass through."""

    after: dict[str, Duration] = Field(default_factory=lambda: dict(_STUCK_AFTER))
    """How long is too long, by status; a status not given keeps its default, and 0 is never."""
    learned: bool = True
    """Learn from builds that went well how long is too long."""

    @field_validator("after")
    @classmethod
    def _keep_defaults(cls, value: dict[str, timedelta]) -> dict[str, timedelta]:
        return {**_STUCK_AFTER, **value}


class UnreachableAlert(CriticalAlert):
    """A whole source that does not answer: one alert, never one for each instance."""

    after: Duration = timedelta(minutes=5)
    """How long it must be silent."""


class FlappingAlert(WarningAlert):
    """An instance that changes to and fro."""

    changes: int = Field(6, ge=2)
    """So many changes ..."""
    within: PositiveDuration = timedelta(minutes=30)
    """... in so long a time."""


class AlertsSettings(Section):
    """Which problems raise an alert and how much each matters."""

    error: CriticalAlert = CriticalAlert()
    """The status is ERROR."""
    build_failed: BuildFailedAlert = BuildFailedAlert()
    """The status is BUILT, but the job failed or no new product image came."""
    stuck: StuckAlert = StuckAlert()
    """Too long in one status."""
    missing: WarningAlert = WarningAlert()
    """The cloud knows the instance no more, without a DELETING before."""
    unreachable: UnreachableAlert = UnreachableAlert()
    """A whole source does not answer."""
    flapping: FlappingAlert = FlappingAlert()
    """Too many changes."""
    repeat_interval: Duration = timedelta(hours=4)
    """How often an alert that goes on firing is told again; 0: never."""
