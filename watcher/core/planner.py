"""When each instance is due, and what one cycle asks."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, field

from watcher.core.backoff import Backoff
from watcher.core.lifecycle import is_changing


@dataclass(frozen=True, slots=True, kw_only=True)
class PollPolicy:
    """How one source is polled (`poll` in the configuration); times in seconds, `jitter` a fraction of the interval."""

    interval_s: float = 15.0
    steady_interval_s: float = 60.0
    jitter: float = 0.1
    concurrency: int = 16
    backoff: Backoff = field(default_factory=Backoff)

    def interval_for(self, status: str | None, *, rng: random.Random) -> float:
        """Seconds until an instance in this status is due again."""
        base = self.interval_s if is_changing(status) else self.steady_interval_s
        return base * rng.uniform(1 - self.jitter, 1 + self.jitter)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What one cycle asks: a single `get` for each of these ids, most overdue first. `lag_s`: how late the first is."""

    gets: tuple[str, ...] = ()
    lag_s: float = 0.0


class Schedule:
    """When each instance of a source is due, in monotonic seconds."""

    def __init__(self) -> None:
        self._due_s: dict[str, float] = {}

    def set(self, instance_id: str, due_s: float) -> None:
        """Make an instance due at this moment."""
        self._due_s[instance_id] = due_s

    def spread(self, instance_ids: Iterable[str], *, now_s: float) -> None:
        """Make instances due now, as at a start."""
        for instance_id in instance_ids:
            self._due_s.setdefault(instance_id, now_s)

    def next_due_s(self) -> float | None:
        """When the first is due; None when there is none."""
        return min(self._due_s.values(), default=None)

    def plan(self, *, now_s: float, together_s: float) -> Plan:
        """What is due now, and what falls due within `together_s` from now and is asked with it."""
        due = sorted((at, key) for key, at in self._due_s.items() if at <= now_s + together_s)
        if not due or due[0][0] > now_s:
            return Plan()
        return Plan(gets=tuple(key for _, key in due), lag_s=now_s - due[0][0])
