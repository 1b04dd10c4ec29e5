"""Whether a receiver takes notifications at all, and how long to leave it alone when it does not."""

from __future__ import annotations

import random

from watcher.core.backoff import Backoff
from watcher.core.errors import DeliveryError

_SUSPECTS = 3


class ReceiverHealth:
    """Judges a receiver by its answers.

    A failure concerns the notification, until as many different ones failed with no good answer in between; of a
    receiver that never answered, the first. One that is not `well` is to be tried with one notification at a time. A
    wish to be left alone is granted in any case.
    """

    def __init__(self, *, backoff: Backoff, rng: random.Random) -> None:
        self._backoff = backoff
        self._rng = rng
        self._suspects: set[str] = set()
        self._failures = 0
        self._well: bool | None = None
        self.paused_until_s = 0.0

    @property
    def well(self) -> bool:
        """Whether the latest answers were good ones."""
        return self._well is True

    @property
    def down(self) -> bool:
        """Whether it is known not to take anything."""
        return self._well is False

    def answered(self) -> bool:
        """It took a notification, or refused it for good; True when it had been down."""
        recovered = self.down
        self._well = True
        self._failures = 0
        self._suspects.clear()
        return recovered

    def failed(self, notification_id: str, error: DeliveryError, *, attempts: int, now_s: float) -> tuple[float, bool]:
        """The `attempts`-th try of a notification failed: in how many seconds to try again, whether that is news.

        It is news when the receiver is down from now on.
        """
        self._suspects.add(notification_id)
        first = not self.down and (self._well is None or len(self._suspects) >= _SUSPECTS)
        if first:
            self._well = False
        if error.retry_after_s is not None:
            wait_s = max(0.0, error.retry_after_s)
            self.paused_until_s = max(self.paused_until_s, now_s + wait_s)
            return wait_s, first
        if not self.down:
            return self._backoff.delay_s(attempts, rng=self._rng), first
        if now_s >= self.paused_until_s:  # those under way when a pause begins do not lengthen it
            self._failures += 1
            self.paused_until_s = now_s + self._backoff.delay_s(self._failures, rng=self._rng)
        return self.paused_until_s - now_s, first
