"""How a source answers, as whoever polls it tells the other replicas."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from watcher.core.event_json import format_time, parse_time

_TIMES = ("last_success_at", "failing_since", "retry_at", "last_cycle_at")


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceReport:
    """How a source answered last. None is what was never seen; times of a cycle are in seconds.

    `stale` counts the instances that were not observed when they last should have been.
    """

    last_success_at: datetime | None = None
    failing_since: datetime | None = None
    retry_at: datetime | None = None
    error: str | None = None
    last_cycle_at: datetime | None = None
    cycle_duration_s: float | None = None
    lag_s: float | None = None
    pace: float = 1.0
    stretch: float = 1.0
    stale: int = 0

    @property
    def state(self) -> str:
        """`up`, `down` or `untried`."""
        if self.error is not None:
            return "down"
        return "up" if self.last_success_at is not None else "untried"


def report_to_json(report: SourceReport) -> dict[str, Any]:
    """As it is kept."""
    told = {field.name: getattr(report, field.name) for field in fields(report)}
    return told | {name: format_time(told[name]) for name in _TIMES if told[name] is not None}


def report_from_json(told: Mapping[str, Any]) -> SourceReport:
    """The reverse; what another version says beside it is left out."""
    known = {field.name: told[field.name] for field in fields(SourceReport) if field.name in told}
    return SourceReport(**known | {name: parse_time(known[name]) for name in _TIMES if known.get(name) is not None})
