"""Whether the work really gets on: what a dead man's switch must know, and nobody else needs to ask."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from datetime import datetime

from watcher.core.clock import Clock
from watcher.core.facts import (
    CycleFinished,
    Delivered,
    DeliveryFailed,
    Fact,
    SourceFailed,
    SourceRecovered,
)

_CYCLES = 3
_BEATS_WITHOUT_POLL = 2
_BEATS_PENDING = 5
_PENDING_AT_LEAST_S = 60.0


class Progress:
    """An observer of facts that can say why the watcher is not well.

    A source that does not answer is told of by its alert, so it does not count, unless no other one answers either:
    then the watcher is blind. A source that is not asked at all counts.
    """

    def __init__(self, *, clock: Clock) -> None:
        self._clock = clock
        self._beat_s = 0.0
        self._steady_s: dict[str, float] = {}
        self._good_until_s: dict[str, float] = {}
        self._unwell: set[str] = set()
        self._refusing: set[str] = set()

    def watch(self, *, steady_intervals_s: Mapping[str, float], receivers: Collection[str], beat_s: float) -> None:
        """These are the sources and receivers from now on. A source that is new among others has time to be polled.

        `steady_intervals_s` is by source; `beat_s` is how often somebody wants to know.
        """
        until_s = self._clock.monotonic() + _BEATS_WITHOUT_POLL * beat_s
        new = steady_intervals_s.keys() - self._steady_s.keys() if self._steady_s else ()
        self._good_until_s |= {source: until_s + _CYCLES * steady_intervals_s[source] for source in new}
        self._steady_s, self._beat_s = dict(steady_intervals_s), beat_s
        self._unwell &= self._steady_s.keys()
        self._refusing &= set(receivers)

    def __call__(self, fact: Fact) -> None:
        """Note what happened."""
        match fact:
            case CycleFinished(source, ok=True) if source in self._steady_s:
                allowed_s = max(_BEATS_WITHOUT_POLL * self._beat_s, _CYCLES * self._steady_s[source] * fact.stretch)
                self._good_until_s[source] = self._clock.monotonic() + allowed_s
            case SourceFailed(source):
                self._unwell.add(source)
            case SourceRecovered(source):
                self._unwell.discard(source)
            case Delivered(receiver):
                self._refusing.discard(receiver)
            case DeliveryFailed(receiver, retry_in_s=None):
                self._refusing.add(receiver)
            case _:
                pass

    def why_not(self, *, oldest_pending_at: datetime | None) -> str | None:
        """Why the watcher is not well, in a few words; None when it is."""
        now_s = self._clock.monotonic()
        late = {source for source in self._steady_s if self._good_until_s.get(source, -math.inf) < now_s}
        if late - self._unwell:
            return f"not polled: {', '.join(sorted(late - self._unwell))}"
        if late and late == set(self._steady_s):
            return "no source answers"
        if self._refusing:
            return f"notifications are refused: {', '.join(sorted(self._refusing))}"
        pending_s = (self._clock.now() - oldest_pending_at).total_seconds() if oldest_pending_at is not None else 0.0
        if pending_s > max(_BEATS_PENDING * self._beat_s, _PENDING_AT_LEAST_S):
            return f"a notification has been pending for {pending_s:.0f} s"
        return None
