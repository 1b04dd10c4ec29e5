"""What would fill the log is told once a minute, with how often it happened."""

from __future__ import annotations

from watcher.core.clock import Clock

_EVERY_S = 60.0


class Tally:
    """Counts one kind of thing."""

    def __init__(self, *, clock: Clock) -> None:
        self._clock = clock
        self._untold = 0
        self._told_at_s: float | None = None

    def add(self) -> int:
        """One more: how many there were since the last telling if it is to be told now, else 0."""
        self._untold += 1
        now_s = self._clock.monotonic()
        if self._told_at_s is not None and now_s - self._told_at_s < _EVERY_S:
            return 0
        count, self._untold, self._told_at_s = self._untold, 0, now_s
        return count
