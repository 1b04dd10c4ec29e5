"""Replicas, leases and claims of the model store: who is there, who holds what, and whose write is not to be taken."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from typing import Self

from watcher.core.errors import LeaseLostError
from watcher.core.sharing import Lease, Replica, Roster, Wish


@dataclass(slots=True)
class Living:
    """A replica that is not yet known to be dead, and until when it is not."""

    replica: Replica
    expires_s: float


@dataclass(slots=True)
class Held:
    """A lease: who holds it, by which token."""

    holder: str | None = None
    token: int = 0


@dataclass(slots=True)
class Book:
    """What is kept of replicas, the same for all who see the store under a lease.

    `seconds` is the server's clock, `up_since_s` when it was started last.
    """

    seconds: Callable[[], float]
    up_since_s: float = float("-inf")
    living: dict[str, Living] = field(default_factory=dict)
    leases: dict[str, Held] = field(default_factory=dict)
    on_signal: Callable[[str], None] = lambda _topic: None
    on_buried: Callable[[str], None] = lambda _replica_id: None


class ModelRoster:
    """Who is there and holds what. A write under a lease that is lost is refused, as a database does it."""

    def __init__(self, seconds: Callable[[], float] = lambda: 0.0) -> None:
        self.book = Book(seconds)
        self._lease: Lease | None = None

    def under(self, lease: Lease) -> Self:
        """The same store for whoever holds this lease."""
        bound = copy.copy(self)
        bound._lease = lease
        return bound

    async def join(self, replica: Replica, *, lasts_s: float) -> None:
        self.book.living.setdefault(replica.id, Living(replica, self.book.seconds() + lasts_s))
        self.tell("roster")

    async def beat(self, replica: Replica, *, lasts_s: float, buries: bool) -> Roster | None:
        book, now_s = self.book, self.book.seconds()
        if replica.id not in book.living:
            return None
        kept = replace(replica, started_at=book.living[replica.id].replica.started_at)
        book.living[replica.id] = Living(kept, now_s + lasts_s)
        if buries and now_s - book.up_since_s > lasts_s:
            for dead in [key for key, each in book.living.items() if each.expires_s < now_s]:
                self._forget(dead)
        held = {name: lease for name, lease in book.leases.items() if lease.holder is not None}
        return Roster(
            replicas=[book.living[key].replica for key in sorted(book.living)],
            holders={name: lease.holder for name, lease in held.items() if lease.holder is not None},
            tokens={name: lease.token for name, lease in held.items()},
        )

    async def take(self, replica_id: str, wish: Wish) -> list[Lease]:
        if replica_id not in self.book.living:
            return []
        rows = {name: self.book.leases.setdefault(name, Held()) for name in sorted(wish.names)}
        free = [name for name, row in rows.items() if row.holder is None][: wish.most]
        for name in free:
            rows[name].holder = replica_id
            rows[name].token += 1
        return [Lease(name, replica_id, rows[name].token) for name in free]

    async def release(self, held: Collection[Lease]) -> None:
        for lease in held:
            if self.is_held(lease):
                self.book.leases[lease.name].holder = None
        self.tell("roster")

    async def leave(self, replica_id: str) -> None:
        self._forget(replica_id)

    def is_held(self, lease: Lease) -> bool:
        """Whether it is, by this token."""
        row = self.book.leases.get(lease.name, Held())
        return (row.holder, row.token) == (lease.holder, lease.token)

    def tell(self, topic: str) -> None:
        """What PostgreSQL notifies the others of."""
        self.book.on_signal(topic)

    def free_claims(self, replica_id: str) -> bool:
        """Nobody sends what this replica has claimed; whether that was anything."""
        raise NotImplementedError

    def _check(self, *, is_record: bool = False) -> None:
        """Raise where a transaction would: the lease is lost or, for a record of what was done under it, the life."""
        if self._lease is None:
            return
        if is_record and self._lease.holder not in self.book.living:
            raise LeaseLostError(f"the replica {self._lease.holder} was taken to be dead")
        if not is_record and not self.is_held(self._lease):
            raise LeaseLostError(f"the lease {self._lease.name} is held no more")

    def _forget(self, replica_id: str) -> None:
        if self.book.living.pop(replica_id, None) is not None:
            self.book.on_buried(replica_id)
        for row in self.book.leases.values():
            row.holder = None if row.holder == replica_id else row.holder
        has_claimed = self.free_claims(replica_id)
        self.tell("roster")
        if has_claimed:
            self.tell("deliveries")
