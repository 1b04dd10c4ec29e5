"""Time for the simulated cloud: the only file of this room that reads a clock or sleeps.

Two clocks run side by side, and every part says which one it takes:

* *simulated time* (`SimulatedClock`) drives instances, jobs and scenario timelines. It runs `speed` times as fast as
  the wall and can be moved by hand.
* *real time* (`wall_now`) drives what a client counts in its own seconds: token and key expiry, clock skew, lock-outs
  and throttling windows.
"""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta


def wall_now() -> datetime:
    """The wall clock, in UTC."""
    return datetime.now(UTC)  # noqa: TID251 - this is the room's clock


async def pause(seconds: float) -> None:
    """Sleeps for `seconds` of real time; used by the latency fault alone."""
    await asyncio.sleep(seconds)  # noqa: TID251 - this is the room's clock


class SimulatedClock:
    """A clock that runs `speed` times as fast as the wall and can be moved forward by hand.

    `start` is the first simulated instant (UTC, default: now). `speed` is simulated seconds in one real second;
    0 stops the clock, so that only `advance` moves it. Raises ValueError on a negative speed.
    """

    def __init__(
        self,
        *,
        start: datetime | None = None,
        speed: float = 1.0,
        monotonic: Callable[[], float] = time.monotonic,  # noqa: TID251 - this is the room's clock
    ) -> None:
        if speed < 0:
            raise ValueError(f"speed must not be negative: {speed}")
        self.start = start or wall_now()
        self.speed = speed
        self._monotonic = monotonic
        self._begun = monotonic()
        self._jumped = timedelta()

    def __call__(self) -> datetime:
        """Simulated now, in UTC; never goes back."""
        elapsed = (self._monotonic() - self._begun) * self.speed
        return self.start + timedelta(seconds=elapsed) + self._jumped

    def advance(self, seconds: float) -> None:
        """Moves simulated time forward by `seconds`. Raises ValueError if that is negative."""
        if seconds < 0:
            raise ValueError(f"time cannot go back: {seconds}")
        self._jumped += timedelta(seconds=seconds)

    def shown(self, simulated: datetime) -> datetime:
        """The wall time at which `simulated` was or will be reached: what clients read in records and jobs.

        At speed 60 a build takes 24 real seconds. Records with simulated stamps would run ahead of the clock of the
        client by an hour a minute, and nothing in them could be matched with what the client saw and when.
        """
        if self.speed in (0, 1):
            return simulated
        return self.start + (simulated - self.start) / self.speed
