"""How long statuses usually last, learned from those that went well."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from statistics import median

from watcher.core.lifecycle import follows, is_changing
from watcher.core.model import Event, Expectation, InstanceState, Step

SAMPLES_KEPT = 50
_SAMPLES_NEEDED = 5
_FAR_LONGER = 1.5


class Lessons:
    """The latest durations of one source by what the instance is made from and its status.

    Fewer than 5 teach nothing: what took long twice may well do so again.
    """

    def __init__(self, steps: Iterable[Step] = ()) -> None:
        self._durations: dict[tuple[str, str], deque[float]] = {}
        self._known: dict[tuple[str, str], Expectation] = {}
        for step in steps:
            self.learn(step)

    def learn(self, step: Step) -> None:
        """One more step that went well."""
        key = (step.image_source, step.status)
        durations = self._durations.setdefault(key, deque(maxlen=SAMPLES_KEPT))
        durations.append(step.duration_s)
        self._known.pop(key, None)

    def expectation(self, image_source: str, status: str | None) -> Expectation | None:
        """How long this status usually lasts; None while too little is known."""
        key = (image_source, status or "")
        durations = self._durations.get(key, ())
        if len(durations) < _SAMPLES_NEEDED:
            return None
        if key not in self._known:
            self._known[key] = Expectation(median_s=median(durations), p95_s=p95(durations), samples=len(durations))
        return self._known[key]


def p95(values: Iterable[float]) -> float:
    """The 95th percentile by the nearest rank: a value that was really there. There must be one."""
    ordered = sorted(values)
    return ordered[math.ceil(0.95 * len(ordered)) - 1]


def lesson_of(before: InstanceState | None, event: Event, *, resolution_s: float) -> Step | None:
    """What an event teaches: how long the status before it lasted, if it went well and was seen to begin and end."""
    seen_at = event.previous_observed_at
    if before is None or before.sequence <= 1 or seen_at is None or event.duration_s is None:
        return None
    if event.reason is not None:
        return None  # BUILT, but the build failed
    if not is_changing(event.from_status) or not follows(event.from_status, event.to_status):
        return None
    unseen_s = (event.observed_at - seen_at).total_seconds()
    if unseen_s > max(resolution_s, event.duration_s / 10):
        return None
    return Step(
        source=event.source,
        image_source=before.image_source,
        status=before.status or "",
        duration_s=event.duration_s,
    )


def far_longer_s(expected: Expectation, *, resolution_s: float) -> float:
    """From how long on a status lasts far longer than it ever does, as well as `resolution_s` can tell."""
    return max(expected.p95_s * _FAR_LONGER, expected.p95_s + resolution_s)
