"""Alerts of one instance: which problems its state is, what began and what ended with a change."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from watcher.core.model import Alert, AlertStatus, InstanceKey, Presence, Severity, Status

ERROR = "error"
BUILD_FAILED = "build_failed"
STUCK = "stuck"
MISSING = "missing"
UNREACHABLE = "unreachable"
FLAPPING = "flapping"


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRules:
    """How severe each problem is, and when it is one (`alerts` in the configuration); times in seconds.

    `stuck_after_s` is by status, 0 for never; with `learned`, far longer than ever before is stuck, too, but never by
    less than `resolution_s`, because no duration is known better than that. A build that nothing says went well has
    failed after `build_failed_after_s`. `repeat_interval_s` 0 reminds nobody.
    """

    error: Severity = Severity.CRITICAL
    build_failed: Severity = Severity.CRITICAL
    build_failed_after_s: float = 120.0
    stuck: Severity = Severity.WARNING
    stuck_after_s: Mapping[str, float] = field(
        default_factory=lambda: {Status.CREATING: 1800.0, Status.BUILDING: 7200.0, Status.DELETING: 1800.0}
    )
    learned: bool = True
    resolution_s: float = 30.0
    missing: Severity = Severity.WARNING
    unreachable: Severity = Severity.CRITICAL
    unreachable_after_s: float = 300.0
    flapping: Severity = Severity.WARNING
    flapping_changes: int = 6
    flapping_within_s: float = 1800.0
    repeat_interval_s: float = 14400.0

    @property
    def by_name(self) -> dict[str, Severity]:
        """How severe each alert is."""
        return {
            ERROR: self.error,
            BUILD_FAILED: self.build_failed,
            STUCK: self.stuck,
            MISSING: self.missing,
            UNREACHABLE: self.unreachable,
            FLAPPING: self.flapping,
        }


def fingerprint(name: str, key: InstanceKey) -> str:
    """16 hex digits that recognise one alert of one instance, today and after any restart."""
    return hashlib.sha256("\x1f".join((name, key.source, key.id)).encode()).hexdigest()[:16]


def problems(status: str | None, presence: Presence) -> set[str]:
    """The names of the alerts that an instance in this state should have firing, whatever came before."""
    if presence is Presence.DELETED:
        return set()
    found = set[str]()
    if status == Status.ERROR:
        found.add(ERROR)
    if presence is Presence.MISSING:
        found.add(MISSING)
    return found


def is_firing(name: str, alerts: Iterable[Alert]) -> bool:
    """Whether an alert of this name is among them."""
    return any(alert.name == name for alert in alerts)


def reconcile(
    firing: tuple[Alert, ...],
    wanted: Mapping[str, Severity],
    *,
    key: InstanceKey,
    labels: Mapping[str, str],
    now: datetime,
) -> tuple[tuple[Alert, ...], tuple[Alert, ...]]:
    """Compare what fires with what should: `(firing from now on, alerts that began or ended)`.

    `labels` are those of the alerts that begin.
    """
    still = tuple(alert for alert in firing if alert.name in wanted)
    ended = tuple(
        replace(alert, status=AlertStatus.RESOLVED, ends_at=now) for alert in firing if alert.name not in wanted
    )
    began = tuple(
        Alert(
            name=name,
            fingerprint=fingerprint(name, key),
            status=AlertStatus.FIRING,
            severity=severity,
            starts_at=now,
            labels=labels,
        )
        for name, severity in wanted.items()
        if not is_firing(name, still)
    )
    return still + began, began + ended


def worst(alerts: Iterable[Alert]) -> Severity:
    """The greatest of their severities; info when there are none."""
    return max((alert.severity for alert in alerts), key=_rank, default=Severity.INFO)


def _rank(severity: Severity) -> int:
    return severity.rank
