"""Whether a source as a whole answers, and how long to leave it alone when it does not."""

from __future__ import annotations

import random

from watcher.core.backoff import Backoff
from watcher.core.errors import CloudAuthError, CloudError, CloudThrottledError

_AUTH_PAUSE_S = 360.0  # the cloud locks a key for 5 minutes after 5 refusals; asking within the lock prolongs it
_THROTTLED_S = (2.0, 5.0)  # the vendor's advice after a 429
_AT_LEAST_S = 0.1  # whatever Retry-After says


class SourceHealth:
    """Judges a source by its answers.

    A refused credential or a 429 concerns the whole source at once. Any other failure concerns what was asked for (an
    instance, a page), until as many different ones as are asked at once failed with no good answer in between. A
    source that is not `well` (nor was ever asked) is to be probed with one request.
    """

    def __init__(self, *, backoff: Backoff, rng: random.Random, concurrency: int) -> None:
        self._backoff = backoff
        self._rng = rng
        self._concurrency = concurrency
        self._suspects: set[str] = set()
        self._failures = 0
        self._well: bool | None = None
        self.tried = False
        self.paused_until_s = 0.0
        self.error: CloudError | None = None
        self.failed_since_s: float | None = None

    def follow(self, before: SourceHealth, *, same_connection: bool) -> None:
        """Go on from another judge of the same source; one that is reached in another way is to be probed at once."""
        self._failures = before._failures
        self._well = before._well
        self.tried = before.tried
        self.error = before.error
        self.failed_since_s = before.failed_since_s
        if same_connection:
            self._suspects = before._suspects
            self.paused_until_s = before.paused_until_s
        elif self._well:
            self._well = None

    @property
    def well(self) -> bool:
        """Whether the latest answers were good ones."""
        return self._well is True

    @property
    def refused(self) -> bool:
        """Whether it is the credential that was refused: a new one is worth trying before the pause is over."""
        return isinstance(self.error, CloudAuthError)

    def answered(self, *, now_s: float) -> bool:
        """A good answer came; True when the source had been unwell."""
        if now_s < self.paused_until_s:
            return False  # asked before the pause began: it says nothing of what the pause is for
        recovered = self._well is False
        self._well = self.tried = True
        self._failures = 0
        self._suspects.clear()
        self.error = self.failed_since_s = None
        return recovered

    def failed(self, what: str, error: CloudError, *, of: int) -> bool:
        """An answer was bad; True when that means the source as a whole is unwell. `of`: how many there are to ask."""
        if isinstance(error, CloudAuthError | CloudThrottledError):
            return True
        self._suspects.add(what)
        return not self.well or len(self._suspects) >= min(self._concurrency, of)

    def pause(self, error: CloudError, *, now_s: float) -> tuple[float, bool]:
        """Leave the source alone for a while: `(seconds, whether it was well until now or never asked)`."""
        first = self._well is not False
        self._well, self.tried = False, True
        self._failures += 1
        self.error = error
        if self.failed_since_s is None:
            self.failed_since_s = now_s
        wait_s = self._backoff.delay_s(self._failures, rng=self._rng, retry_after_s=error.retry_after_s)
        if isinstance(error, CloudAuthError):
            wait_s = max(wait_s, _AUTH_PAUSE_S)
        elif isinstance(error, CloudThrottledError):
            least_s, most_s = _THROTTLED_S
            wait_s = max(wait_s, self._rng.uniform(least_s, most_s if error.retry_after_s is None else least_s))
        wait_s = max(wait_s, _AT_LEAST_S)
        self.paused_until_s = now_s + wait_s
        return wait_s, first

    def end_pause(self) -> None:
        """What the pause was for has changed: the source may be probed now."""
        self.paused_until_s = 0.0
