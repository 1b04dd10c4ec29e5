"""All that is known of a run."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tests.fakes.model_store import ModelStore
from tests.fakes.values import START
from tests.simulation.daemon import Setup
from tests.simulation.faults import Faults
from tests.simulation.inbox import Inbox
from tests.simulation.operators import Operators
from tests.simulation.world import Biography, SimulatedCloud
from watcher.core.model import Event


@dataclass(slots=True)
class Story:
    """All that is known of a run when it is over."""

    seed: int
    setup: Setup
    world: dict[str, Biography]
    faults: Faults
    store: ModelStore
    clouds: dict[str, SimulatedCloud]
    inboxes: list[Inbox]
    operators: Operators
    busy_s: float
    lives: list[tuple[float, float]] = field(default_factory=list)
    in_flight: set[tuple[str, str]] = field(default_factory=set)
    requeued: set[int] = field(default_factory=set)
    explained: dict[str, datetime] = field(default_factory=dict)
    found: list[tuple[float, Event]] = field(default_factory=list)
    trace: list[tuple[object, ...]] = field(default_factory=list)
    ended_s: float = 0.0
    settled: bool = False
    failure: Exception | None = None

    served: dict[str, list[tuple[int, float, int]]] = field(default_factory=dict)
    """Where replicas share the work: of each lease, by which token, from when on, and by which of their lives."""
    wrong: list[str] = field(default_factory=list)
    """What was seen at once not to be allowed."""

    def served_since(self, lease: str, at_s: float) -> tuple[float, int | None]:
        """Since when, at that moment, a source was polled or a receiver served, and by which life if there are several
        at a time.
        """
        if self.served:
            latest = max((each for each in self.served.get(lease, ()) if each[1] <= at_s), default=(0, 0.0, None))
            return latest[1:]
        return max((began_s for began_s, _ in self.lives if began_s <= at_s), default=0.0), None

    def digest(self) -> str:
        """The same for the same course of events."""
        return hashlib.sha256("\n".join(self.lines()).encode()).hexdigest()

    def lines(self) -> Iterator[str]:
        """The course of events, for people."""
        for at_s, *what in self.trace:
            yield f"{at_s:10.3f}  {' '.join(map(str, what))}"


def seconds_of(event: Event) -> float:
    """When an event was observed, in seconds since the beginning."""
    return (event.observed_at - START) / timedelta(seconds=1)
