"""How often and how fast the cloud is asked: `poll`, and what a source may change of it."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from pydantic import Field

from watcher.fields import PositiveDuration, Rate, RateLimit, Section

Mode = Literal["auto", "list", "get"]


class BackoffSettings(Section):
    """Waiting after failures: exponential with full jitter; the cloud's Retry-After wins."""

    initial: PositiveDuration = timedelta(seconds=1)
    """The longest first wait."""
    max: PositiveDuration = timedelta(minutes=5)
    """The longest wait of all."""


class PollSettings(Section):
    """How often and how fast a source is asked."""

    interval: PositiveDuration = timedelta(seconds=15)
    """Between two looks at an instance that is changing (CREATING, BUILDING, DELETING)."""
    steady_interval: PositiveDuration = timedelta(seconds=60)
    """Between two looks at an instance that is at rest."""
    jitter: float = Field(0.1, ge=0, le=1, allow_inf_nan=False)
    """The fraction of the interval by which it is moved at random."""
    mode: Mode = "auto"
    """How to ask: all instances by list, each by get, or whichever is cheaper."""
    concurrency: int = Field(16, ge=1, le=1000)
    """The most requests under way at once, by source."""
    rate_limit: RateLimit = Rate(180, 60.0)
    """The most requests a source may spend; the vendor allows 200 a minute."""
    timeout: PositiveDuration = timedelta(seconds=10)
    """How long one request may take."""
    backoff: BackoffSettings = BackoffSettings()
    """Waiting after failures."""


class BackoffOverrides(Section):
    """What a source changes of `poll.backoff`."""

    initial: PositiveDuration | None = None
    """In place of `poll.backoff.initial`."""
    max: PositiveDuration | None = None
    """In place of `poll.backoff.max`."""


class PollOverrides(Section):
    """What a source changes of the top-level `poll`; a key not given stays as it is there."""

    interval: PositiveDuration | None = None
    """In place of `poll.interval`."""
    steady_interval: PositiveDuration | None = None
    """In place of `poll.steady_interval`."""
    jitter: float | None = Field(None, ge=0, le=1, allow_inf_nan=False)
    """In place of `poll.jitter`."""
    mode: Mode | None = None
    """In place of `poll.mode`."""
    concurrency: int | None = Field(None, ge=1, le=1000)
    """In place of `poll.concurrency`."""
    rate_limit: RateLimit | None = None
    """In place of `poll.rate_limit`."""
    timeout: PositiveDuration | None = None
    """In place of `poll.timeout`."""
    backoff: BackoffOverrides = BackoffOverrides()
    """What is changed of `poll.backoff`."""

    def over(self, base: PollSettings) -> PollSettings:
        """`base` with what is given here in its place."""
        changes = {key: value for key, value in self if value is not None}
        changes["backoff"] = base.backoff.model_copy(
            update={key: value for key, value in self.backoff if value is not None}
        )
        return base.model_copy(update=changes)
