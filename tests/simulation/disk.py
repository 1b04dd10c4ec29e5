"""A store that is slow, fails, or does what it is asked and loses the answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

from tests.fakes.model_store import ModelStore
from tests.simulation.faults import Faults
from watcher.core.clock import Clock
from watcher.core.errors import StoreError
from watcher.core.model import Delivery, InstanceKey, InstanceState, Step
from watcher.core.ports import Attempt, Change, Waiting
from watcher.core.quiet import Silence

T = TypeVar("T")


class UnreliableStore:
    """The store as one life of the daemon sees it; nobody may use it when that is over."""

    def __init__(self, store: ModelStore, faults: Faults, clock: Clock, *, tell: Callable[..., None]) -> None:
        self._store = store
        self._faults = faults
        self._clock = clock
        self._tell = tell
        self.is_over = False
        self.requeued: set[int] = set()
        self.explained: dict[str, datetime] = {}

    async def _do(self, what: str, work: Callable[[], Awaitable[T]], *, writes: bool = True) -> T:
        faults = self._faults
        await self._pause()
        is_ill = faults.met(faults.store, self._clock.monotonic()) is not None
        if is_ill or faults.draw(faults.store_fails):
            self._tell("store", what, "fails")
            raise StoreError(f"cannot {what}: disk full")
        faults.point()
        result = await work()
        if writes:
            await self._pause()
            if faults.draw(faults.store_loses_answer):
                self._tell("store", what, "is done, and the answer lost")
                raise StoreError(f"cannot {what}: connection lost")
        faults.point()
        return result

    async def _pause(self) -> None:
        assert not self.is_over, "the store is used by a daemon that is no more"
        faults = self._faults
        chosen = faults.rng.random()
        if faults.on and chosen < faults.slow_store:
            await asyncio.sleep(faults.rng.uniform(0.5, 5.0))  # noqa: TID251 - virtual time
        elif faults.on and chosen < 0.3:
            await asyncio.sleep(faults.rng.uniform(0.001, 0.1))  # noqa: TID251 - virtual time

    # -- polling ---------------------------------------------------------------------------------------------------

    async def load(self, source: str) -> dict[InstanceKey, InstanceState]:
        return await self._do("load", lambda: self._store.load(source), writes=False)

    async def steps(self, source: str) -> list[Step]:
        return await self._do("steps", lambda: self._store.steps(source), writes=False)

    async def alerting_beyond(self, sources: Collection[str]) -> list[InstanceState]:
        return await self._do("orphans", lambda: self._store.alerting_beyond(sources), writes=False)

    async def commit(self, changes: Sequence[Change], *, now: datetime) -> None:
        self.explained |= {change.explained.event_id: now for change in changes if change.explained is not None}
        await self._do("commit", lambda: self._store.commit(changes, now=now))
        for change in changes:
            if change.explained is not None:
                self._tell("explain", change.state.key.id, change.explained.event_id[:12])
            for event, receivers in change.events:
                self._tell("commit", event.instance_id, event.sequence, event.kind.value, event.to_status, *receivers)

    # -- delivery --------------------------------------------------------------------------------------------------

    async def waiting(self, receiver: str, *, now: datetime, limit: int) -> Sequence[Waiting]:
        return await self._do("wait", lambda: self._store.waiting(receiver, now=now, limit=limit), writes=False)

    async def claim(self, ids: Collection[int]) -> Collection[int]:
        return await self._do("claim", lambda: self._store.claim(ids))

    async def unclaim(self, ids: Collection[int] | None = None) -> None:
        await self._do("unclaim", lambda: self._store.unclaim(ids))

    async def deliveries_of(self, ids: Collection[int]) -> Sequence[Delivery]:
        return await self._do("deliveries", lambda: self._store.deliveries_of(ids), writes=False)

    async def digest(self, receiver: str, digest_id: str) -> Sequence[Delivery]:
        return await self._do("digest", lambda: self._store.digest(receiver, digest_id), writes=False)

    async def form_digest(self, digest_id: str | None, ids: Collection[int]) -> None:
        await self._do("form digest", lambda: self._store.form_digest(digest_id, ids))
        self._tell("digest", digest_id, *ids)

    async def next_due_at(self, receiver: str, *, now: datetime) -> datetime | None:
        return await self._do("next", lambda: self._store.next_due_at(receiver, now=now), writes=False)

    async def record(self, attempts: Sequence[Attempt]) -> None:
        await self._do("record", lambda: self._store.record(attempts))
        for attempt in attempts:
            event, why = attempt.delivery.event, attempt.suppression or attempt.error or "delivered"
            self._tell("record", attempt.delivery.receiver, event.instance_id, event.sequence, str(why))

    async def make_due(self, receiver: str, *, now: datetime, beyond: timedelta = timedelta()) -> None:
        await self._do("make due", lambda: self._store.make_due(receiver, now=now, beyond=beyond))
        self._tell("make due", receiver)

    async def aged(self, receiver: str, *, before: datetime, limit: int) -> Sequence[Delivery]:
        return await self._do("aged", lambda: self._store.aged(receiver, before=before, limit=limit), writes=False)

    async def held(self, receiver: str) -> Sequence[Delivery]:
        return await self._do("held", lambda: self._store.held(receiver), writes=False)

    async def requeue(self, ids: Collection[int], *, now: datetime, digest_id: str | None = None) -> None:
        self.requeued.update(ids)
        self._tell("requeue", *ids)
        await self._do("requeue", lambda: self._store.requeue(ids, now=now, digest_id=digest_id))

    async def bury(self, *, receivers: Collection[str], now: datetime) -> int:
        return await self._do("bury", lambda: self._store.bury(receivers=receivers, now=now))

    # -- quiet -----------------------------------------------------------------------------------------------------

    async def silences(self) -> list[Silence]:
        return await self._do("silences", self._store.silences, writes=False)

    async def add_silence(self, silence: Silence) -> None:
        await self._do("add silence", lambda: self._store.add_silence(silence))

    async def expire_silence(self, silence_id: str, *, now: datetime) -> bool:
        return await self._do("expire silence", lambda: self._store.expire_silence(silence_id, now=now))
