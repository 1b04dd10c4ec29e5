"""Alerts of one instance: which problems its state is, what began and what ended with a change."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from watcher.core.model import Alert, AlertStatus, InstanceKey, Presence, Severity, Status


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRules:
    """How severe each problem is, and when it is one (`alerts` in the configuration)."""

    error: Severity = Severity.CRITICAL
    missing: Severity = Severity.WARNING
    unreachable: Severity = Severity.CRITICAL
    unreachable_after_s: float = 300.0


def fingerprint(name: str, key: InstanceKey) -> str:
    """16 hex digits that recognise one alert of one instance, today and after any restart."""
    return hashlib.sha256("\x1f".join((name, key.source, key.id)).encode()).hexdigest()[:16]


def problems(status: str | None, presence: Presence, rules: AlertRules) -> dict[str, Severity]:
    """The alerts that an instance in this state should have firing, by name."""
    if presence is Presence.DELETED:
        return {}
    found: dict[str, Severity] = {}
    if status == Status.ERROR:
        found["error"] = rules.error
    if presence is Presence.MISSING:
        found["missing"] = rules.missing
    return found


def reconcile(
    firing: tuple[Alert, ...], wanted: dict[str, Severity], *, key: InstanceKey, now: datetime
) -> tuple[tuple[Alert, ...], tuple[Alert, ...]]:
    """Compare what fires with what should: `(firing from now on, alerts that began or ended)`."""
    still = tuple(alert for alert in firing if alert.name in wanted)
    ended = tuple(
        replace(alert, status=AlertStatus.RESOLVED, ends_at=now) for alert in firing if alert.name not in wanted
    )
    known = {alert.name for alert in still}
    began = tuple(
        Alert(
            name=name,
            fingerprint=fingerprint(name, key),
            status=AlertStatus.FIRING,
            severity=severity,
            starts_at=now,
        )
        for name, severity in wanted.items()
        if name not in known
    )
    return still + began, began + ended


def worst(severities: Iterable[Severity]) -> Severity:
    """The greatest of them; info when there are none."""
    return max(severities, key=_rank, default=Severity.INFO)


def _rank(severity: Severity) -> int:
    return severity.rank
