"""When a source's silence becomes an alert, and when that is over."""

from __future__ import annotations

from datetime import timedelta

from watcher.core.alerts import AlertRules
from watcher.core.clock import Clock
from watcher.core.model import Alert, Event, InstanceState
from watcher.core.outage import begin_outage, end_outage
from watcher.polling.health import SourceHealth


class OutageWatch:
    """One source's own alert: `unreachable` fires once, when it has been unwell for as long as the rules say."""

    def __init__(self, *, source: str, rules: AlertRules, health: SourceHealth, clock: Clock) -> None:
        self._source = source
        self._rules = rules
        self._health = health
        self._clock = clock
        self._state: InstanceState | None = None

    def remember(self, state: InstanceState | None) -> None:
        """Go on from what an earlier run left."""
        self._state = state

    @property
    def alerts(self) -> tuple[Alert, ...]:
        """What fires for the source as a whole."""
        return self._state.alerts if self._state is not None else ()

    @property
    def due_s(self) -> float | None:
        """When the alert will fire unless the source answers before, in monotonic seconds."""
        failed_since_s = self._health.failed_since_s
        return None if failed_since_s is None or self.alerts else failed_since_s + self._rules.unreachable_after_s

    def look(self) -> tuple[InstanceState, Event] | None:
        """What there is to tell now."""
        now, now_s = self._clock.now(), self._clock.monotonic()
        if self._health.well and self._state is not None and self.alerts:
            self._state, event = end_outage(self._state, now=now)
            return self._state, event
        due_s, error = self.due_s, self._health.error
        if due_s is None or error is None or now_s < due_s:
            return None
        since = now - timedelta(seconds=now_s - due_s + self._rules.unreachable_after_s)
        severity = self._rules.unreachable
        self._state, event = begin_outage(
            self._state, source=self._source, since=since, now=now, severity=severity, error=error
        )
        return self._state, event
