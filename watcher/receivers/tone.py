"""How news is meant: bad, good or neither; receivers show it as a colour."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from watcher.core.model import AlertStatus, Event, EventKind, Severity, Status


class Tone(StrEnum):
    """From bad to good."""

    FAILURE = "failure"
    WARNING = "warning"
    INFO = "info"
    SUCCESS = "success"

    @property
    def colour(self) -> str:
        """As in HTML: `#d50200`."""
        return _COLOURS[self]


_COLOURS = {Tone.FAILURE: "#d50200", Tone.WARNING: "#daa038", Tone.INFO: "#8d9096", Tone.SUCCESS: "#2eb67d"}
_OF_SEVERITY = {Severity.CRITICAL: Tone.FAILURE, Severity.WARNING: Tone.WARNING, Severity.INFO: Tone.INFO}


def tone_of(events: Sequence[Event]) -> Tone:
    """The worst of what fires in the end; good when something is over or built and nothing fires."""
    latest = {alert.fingerprint: alert for event in events for alert in event.alerts}
    firing = [alert.severity for alert in latest.values() if alert.status is AlertStatus.FIRING]
    if firing:
        return _OF_SEVERITY[max(firing, key=lambda severity: severity.rank)]
    return Tone.SUCCESS if latest or all(map(_is_good, events)) else Tone.INFO


def _is_good(event: Event) -> bool:
    return event.kind is EventKind.TRANSITION and event.to_status == Status.BUILT and event.reason is None
