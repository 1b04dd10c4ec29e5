"""Replicas on fake time: real memberships on the model store, each with a line that may fail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from tests.fakes.clock import FakeClock
from tests.fakes.model_store import ModelStore
from watcher.app.membership import Membership
from watcher.core.errors import StoreError
from watcher.core.facts import Fact
from watcher.core.sharing import Lease, Replica, Roster, Wish

T = TypeVar("T")

TTL_S = 10.0
BEAT_S = 1.0
LASTS_S = 8.0
NAMES = frozenset({"receiver/chat", "receiver/hooks", "source/prod", "source/test"})


class Line:
    """One replica's way to the store: it may be cut, and the answer to a call may be lost, or late."""

    def __init__(self, store: ModelStore, clock: FakeClock) -> None:
        self._store = store
        self._clock = clock
        self.is_cut = False
        self.loses: set[str] = set()
        self.fails: set[str] = set()
        self.before: dict[str, asyncio.Event] = {}
        self.after: dict[str, asyncio.Event] = {}
        self.takes_s: dict[str, float] = {}
        self.burying: list[bool] = []
        self.released: list[Collection[Lease]] = []

    async def join(self, replica: Replica, *, lasts_s: float) -> None:
        await self._do("join", lambda: self._store.join(replica, lasts_s=lasts_s))

    async def beat(self, replica: Replica, *, lasts_s: float, buries: bool) -> Roster | None:
        self.burying.append(buries)
        return await self._do("beat", lambda: self._store.beat(replica, lasts_s=lasts_s, buries=buries))

    async def take(self, replica_id: str, wish: Wish) -> list[Lease]:
        return await self._do("take", lambda: self._store.take(replica_id, wish))

    async def release(self, held: Collection[Lease]) -> None:
        self.released.append(held)
        await self._do("release", lambda: self._store.release(held))

    async def leave(self, replica_id: str) -> None:
        await self._do("leave", lambda: self._store.leave(replica_id))

    async def _do(self, what: str, work: Callable[[], Awaitable[T]]) -> T:
        if self.is_cut or what in self.fails:
            raise StoreError("no connection")
        if what in self.before:
            await self.before[what].wait()
        result = await work()
        if what in self.after:
            await self.after[what].wait()
        if self.takes_s.get(what):
            await self._clock.sleep(self.takes_s[what])
        if what in self.loses:
            self.loses.discard(what)
            raise StoreError("connection lost")
        return result


@dataclass(slots=True)
class Work:
    """What is done for leases that are held. What is `stuck` is under way until `ends` is set."""

    names: frozenset[str] = NAMES
    running: dict[str, Lease] = field(default_factory=dict)
    begun: list[Lease] = field(default_factory=list)
    unstartable: set[str] = field(default_factory=set)
    unwritable: set[str] = field(default_factory=set)
    stuck: set[str] = field(default_factory=set)
    ends: asyncio.Event = field(default_factory=asyncio.Event)
    changes: int = 0
    dropped: int = 0

    def configured(self) -> frozenset[str]:
        return self.names

    async def take(self, lease: Lease) -> None:
        if lease.name in self.unstartable:
            raise StoreError("cannot load")
        self.running[lease.name] = lease
        self.begun.append(lease)

    async def give(self, lease: Lease) -> None:
        if lease.name in self.stuck:
            await self.ends.wait()
        if lease.name in self.unwritable:
            raise StoreError("cannot write")
        self.running.pop(lease.name, None)

    async def drop(self) -> None:
        self.running.clear()
        self.dropped += 1

    def changed(self) -> None:
        self.changes += 1


class One:
    """A replica with its work and its way to the store."""

    def __init__(self, store: ModelStore, clock: FakeClock, name: str, *, ttl_s: float) -> None:
        self.line = Line(store, clock)
        self.work = Work()
        self.facts: list[Fact] = []
        self._ids = 0
        self._name = name
        self.member = Membership(
            store=self.line,
            shares=self.work,
            name=name,
            version="1",
            started_at=clock.now(),
            lease_ttl_s=ttl_s,
            new_id=self._new_id,
            clock=clock,
            observer=self.facts.append,
        )

    def seen(self, kind: type[T]) -> list[T]:
        return [fact for fact in self.facts if isinstance(fact, kind)]

    def _new_id(self) -> str:
        self._ids += 1
        return f"{self._name}.{self._ids}"


class Bench:
    """Replicas on one store."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.store = ModelStore(self.clock.monotonic)
        self.running: dict[str, asyncio.Task[None]] = {}

    def start(self, name: str, *, ttl_s: float = TTL_S) -> One:
        """One more."""
        one = One(self.store, self.clock, name, ttl_s=ttl_s)
        self.running[name] = asyncio.create_task(one.member.run())
        return one

    async def kill(self, name: str) -> None:
        self.running[name].cancel()
        await asyncio.wait([self.running[name]])

    def holders(self) -> dict[str, str | None]:
        return {name: row.holder for name, row in self.store.book.leases.items()}

    def assert_true(self, *ones: One) -> None:
        """What each runs is what the store says it holds."""
        for one in ones:
            held = {name for name, holder in self.holders().items() if holder == one.member.replica_id}
            assert one.work.running.keys() == held
            assert {name for name in one.work.names if one.member.lease(name)} == held
            for name, lease in one.work.running.items():
                assert self.store.is_held(lease), name


@asynccontextmanager
async def benched() -> AsyncIterator[Bench]:
    """Whoever runs still is ended."""
    bench = Bench()
    try:
        yield bench
    finally:
        for name in bench.running:
            await bench.kill(name)
