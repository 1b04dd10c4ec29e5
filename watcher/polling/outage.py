"""When a source's silence becomes an alert, and when that is over."""

from __future__ import annotations

from datetime import timedelta

from watcher.core.alerts import AlertRules
from watcher.core.clock import Clock
from watcher.core.lessons import Lessons
from watcher.core.model import Alert, Event, InstanceState
from watcher.core.news import Context
from watcher.core.outage import begin_outage, end_outage
from watcher.core.timers import due_at, ring
from watcher.polling.health import SourceHealth

_NOTHING_LEARNED = Lessons()


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
    def state(self) -> InstanceState | None:
        """The source's own state; None: there never was an alert of it."""
        return self._state

    @property
    def alerts(self) -> tuple[Alert, ...]:
        """What fires for the source as a whole."""
        return self._state.alerts if self._state is not None else ()

    @property
    def due_s(self) -> float | None:
        """When there will be news unless the source answers before, in monotonic seconds."""
        failed_since_s = self._health.failed_since_s
        if failed_since_s is None:
            return None
        if self._state is None or not self.alerts:
            return failed_since_s + self._rules.unreachable_after_s
        reminder_at = due_at(self._state, self._rules, _NOTHING_LEARNED)
        if reminder_at is None:
            return None
        return self._clock.monotonic() + (reminder_at - self._clock.now()).total_seconds()

    def look(self) -> tuple[InstanceState, Event] | None:
        """What there is to tell now."""
        now, now_s = self._clock.now(), self._clock.monotonic()
        if self._health.well and self._state is not None and self.alerts:
            self._state, event = end_outage(self._state, now=now, rules=self._rules)
            return self._state, event
        due_s, error = self.due_s, self._health.error
        if due_s is None or error is None or now_s < due_s:
            return None
        if self._state is not None and self.alerts:
            self._state, events = ring(self._state, now=now, context=Context(rules=self._rules))
            return (self._state, events[0]) if events else None
        since = now - timedelta(seconds=now_s - due_s + self._rules.unreachable_after_s)
        self._state, event = begin_outage(
            self._state, source=self._source, since=since, now=now, rules=self._rules, error=error
        )
        return self._state, event
