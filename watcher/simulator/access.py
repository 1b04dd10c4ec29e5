"""Keys, tokens, lock-outs and throttling. All of it runs on *real* time, given as `now`: clients count it, too."""

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

WINDOW_S = 60
Now = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class AccessKey:
    """An access key; a temporary one has a `security_token` and an end."""

    access: str
    secret: str
    security_token: str = ""
    expires_at: datetime | None = None


class Keyring:
    """The valid access keys. `ttl` is how long a temporary key issued from now on lives; it may be set at any time."""

    def __init__(self, *, now: Now, permanent: AccessKey) -> None:
        self.ttl = timedelta(hours=24)
        self._now = now
        self._keys = {permanent.access: permanent}
        self._issued = 0

    def issue(self) -> AccessKey:
        """A new temporary key that works until `ttl` from now."""
        self._issued += 1
        digest = hashlib.sha512(f"temporary key {self._issued}".encode()).hexdigest()
        key = AccessKey(
            access=f"HSTA{digest[:16].upper()}",
            secret=digest[16:56],
            security_token=f"ggpjbi{digest * 4}",
            expires_at=self._now() + self.ttl,
        )
        self._keys[key.access] = key
        return key

    def find(self, access: str) -> AccessKey | None:
        """The key of that name, expired or not, or None."""
        return self._keys.get(access)


class Tokens:
    """The IAM tokens. `ttl` is how long a token issued from now on lives; it may be set at any time."""

    def __init__(self, *, now: Now) -> None:
        self.ttl = timedelta(hours=24)
        self._now = now
        self._expiry: dict[str, datetime] = {}
        self._issued = 0

    def issue(self) -> tuple[str, datetime]:
        """A new token, as long as real ones are, and its end."""
        self._issued += 1
        token = "MIIS" + hashlib.sha512(f"token {self._issued}".encode()).hexdigest() * 12
        self._expiry[token] = self._now() + self.ttl
        return token, self._expiry[token]

    def valid(self, token: str) -> bool:
        """Whether the token was issued here and has not ended."""
        expires_at = self._expiry.get(token)
        return expires_at is not None and self._now() < expires_at

    def expire_all(self) -> None:
        """Ends every token issued so far."""
        self._expiry.clear()


class Lockout:
    """Locks a name for `window` after more than `limit` failures in a row."""

    def __init__(self, *, now: Now, limit: int = 5, window: timedelta = timedelta(minutes=5)) -> None:
        self._now = now
        self._limit = limit
        self._window = window
        self._failures: dict[str, int] = {}
        self._until: dict[str, datetime] = {}

    def locked(self, name: str) -> bool:
        """Whether the name is locked now; afterwards it starts anew."""
        until = self._until.get(name)
        if until is not None and self._now() >= until:
            self.succeeded(name)
        return name in self._until

    def failed(self, name: str) -> None:
        """Counts a failure."""
        self._failures[name] = self._failures.get(name, 0) + 1
        if self._failures[name] > self._limit:
            self._until[name] = self._now() + self._window

    def succeeded(self, name: str) -> None:
        """Forgets the failures."""
        self._failures.pop(name, None)
        self._until.pop(name, None)


class Throttle:
    """At most `requests_per_minute` (None: any number) in each minute, for the one project there is.

    With `retry_after` the refusal says how long to wait. Both may be set at any time.
    """

    def __init__(self, *, now: Now, requests_per_minute: int | None = None, retry_after: bool = False) -> None:
        self.requests_per_minute = requests_per_minute
        self.retry_after = retry_after
        self._now = now
        self._window_start = now()
        self._spent = 0

    def spend(self) -> int | None:
        """Takes one request; None if it may pass, else the seconds until the next window, rounded up."""
        now = self._now()
        passed = (now - self._window_start).total_seconds()
        if not 0 <= passed < WINDOW_S:
            self._window_start, self._spent, passed = now, 0, 0.0
        if self.requests_per_minute is not None and self._spent >= self.requests_per_minute:
            return math.ceil(WINDOW_S - passed)
        self._spent += 1
        return None
