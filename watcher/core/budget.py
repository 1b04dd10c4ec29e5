"""How many requests a source may spend, and how much less after the cloud said "too many"."""

from __future__ import annotations

from collections import deque

_SLOWEST = 1 / 32
_RECOVERY_PER_S = 0.1 / 60  # from half the pace to the whole in five minutes


class Budget:
    """At most so many requests in *any* stretch of `period_s`, whenever it begins: bursts included.

    Throttled, the pace is halved; it comes back slowly and steadily (additive increase, multiplicative decrease).
    A leaky bucket would not do: it lets a burst go and then the full rate, twice the limit in the first minute.
    """

    def __init__(self, *, requests: int, period_s: float) -> None:
        self._requests = requests
        self._period_s = period_s
        self._spent_s: deque[float] = deque()
        self._pace = 1.0
        self._paced_s = 0.0

    def resize(self, *, requests: int, period_s: float) -> None:
        """Another rate from now on; what was spent counts."""
        self._requests = requests
        self._period_s = period_s

    def pace(self, now_s: float) -> float:
        """The fraction of the configured rate that is used at present, 1 when all is well."""
        return min(1.0, self._pace + max(0.0, now_s - self._paced_s) * _RECOVERY_PER_S)

    def per_s(self, now_s: float) -> float:
        """Requests a second that may be spent in the long run."""
        return self._limit(now_s) / self._period_s

    def available(self, now_s: float) -> int:
        """How many requests may be made now."""
        while self._spent_s and self._spent_s[0] <= now_s - self._period_s:
            self._spent_s.popleft()
        return max(0, self._limit(now_s) - len(self._spent_s))

    def free_s(self, now_s: float) -> float:
        """When a request may be made, in monotonic seconds: `now_s` if at once."""
        if self.available(now_s):
            return now_s
        return self._spent_s[len(self._spent_s) - self._limit(now_s)] + self._period_s

    def spend(self, now_s: float) -> None:
        """A request is made. That it may be is for the caller to have asked: what is urgent may overdraw."""
        self._spent_s.append(now_s)

    def throttled(self, now_s: float) -> None:
        """The cloud said "too many": go on at half the pace."""
        self._pace = max(_SLOWEST, self.pace(now_s) / 2)
        self._paced_s = now_s

    def _limit(self, now_s: float) -> int:
        return max(1, int(self._requests * self.pace(now_s)))
