"""People: they silence, end silences, acknowledge, and have dead letters sent again."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta
from typing import Protocol

from tests.fakes.model_store import ModelStore
from watcher.core.clock import Clock
from watcher.core.errors import StoreError
from watcher.core.model import DeliveryState
from watcher.core.quiet import Acknowledgement, Silence
from watcher.core.routing import Matcher
from watcher.delivery import QuietKeeper

_MATCHERS = (
    Matcher(),
    Matcher(instance_id=("0", "1")),
    Matcher(to_status=("ERROR",)),
    Matcher(severity=("critical", "warning")),
    Matcher(kind=("transition",)),
)


class Place(Protocol):
    """A watcher that somebody may turn to."""

    quiet: QuietKeeper

    @property
    def is_up(self) -> bool:
        """Whether it answers."""
        ...


class Operators:
    """What they did is remembered, so that it can explain why somebody was not told."""

    def __init__(self, rng: random.Random, store: ModelStore, clock: Clock, *, tell: Callable[..., None]) -> None:
        self._rng = rng
        self._store = store
        self._clock = clock
        self._tell = tell
        self._is_busy = rng.random() < 0.5
        self.silences: dict[str, Silence] = {}
        self.retried: set[int] = set()

    async def work(self, daemon: Callable[[], Place | None], *, until_s: float) -> None:
        """Do this and that, every few minutes."""
        rng = self._rng
        while self._is_busy and self._clock.monotonic() < until_s:
            await self._clock.sleep(rng.uniform(30, 600))
            now_on = daemon()
            if now_on is None or not now_on.is_up or self._clock.monotonic() >= until_s:
                continue
            chosen = rng.random()
            try:
                if chosen < 0.4:
                    await self._silence(now_on)
                elif chosen < 0.6:
                    await self._end_silence(now_on)
                elif chosen < 0.8:
                    await self._acknowledge()
                else:
                    await self._retry()
            except (StoreError, AssertionError):
                self._tell("operator", "is told that it did not work")

    async def lift_silences(self, daemon: Place | None) -> None:
        """End all that is silenced still; all is well, so that this works."""
        now = self._clock.now()
        for silence in await self._store.silences():
            if daemon is not None and daemon.is_up and silence.ends_at > now:
                self._tell("operator", "lifts", silence.id)
                await daemon.quiet.expire(silence.id)

    async def _silence(self, daemon: Place) -> None:
        now, rng = self._clock.now(), self._rng
        silence = Silence(
            id=f"s{len(self.silences)}",
            match=rng.choice(_MATCHERS),
            starts_at=now,
            ends_at=now + timedelta(seconds=rng.choice([rng.uniform(30, 300), rng.uniform(300, 2000)])),
            author="anna",
            comment="maintenance",
            created_at=now,
        )
        self.silences[silence.id] = silence
        self._tell("operator", "silences", silence.id, silence.match)
        await daemon.quiet.add(silence)

    async def _end_silence(self, daemon: Place) -> None:
        if self.silences:
            chosen = self._rng.choice(sorted(self.silences))
            self._tell("operator", "lifts", chosen)
            await daemon.quiet.expire(chosen)

    async def _acknowledge(self) -> None:
        firing = [alert for state in self._store.states.values() for alert in state.alerts]
        if firing:
            alert = self._rng.choice(firing)
            self._tell("operator", "acknowledges", alert.name, alert.fingerprint)
            taken = Acknowledgement(
                fingerprint=alert.fingerprint,
                starts_at=alert.starts_at,
                author="anna",
                comment="on it",
                created_at=self._clock.now(),
            )
            await self._store.acknowledge(taken)

    async def _retry(self) -> None:
        before = {key: row.state for key, row in self._store.rows.items()}
        if await self._store.retry(None, now=self._clock.now()):
            self._tell("operator", "retries")
        self.retried |= {
            key
            for key, row in self._store.rows.items()
            if row.state is DeliveryState.PENDING and before[key] is not DeliveryState.PENDING
        }
