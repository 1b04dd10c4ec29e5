"""How replicas share the work: who is there, who holds what, and what each is to take up or give away next.

A pure state machine: each replica looks at the same roster and moves only what is its own. What keeps it right is not
here but in the store, where a lease has one holder; this only makes the shares even.

Invariants: nobody takes what another holds; nobody gives away what nobody else would take; when the roster stays as it
is, everything is held after a few looks and no two replicas of the same configuration differ by more than one lease of
a kind; a replica that joins or leaves moves only what the shares differ by. They come to rest whatever each has in its
configuration, because a lease moves only from one who has too much to one who has more than one less of his own share:
the sum of the squares of what each has too much becomes smaller with each move.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from math import lcm

_AT_ONCE = 10  # a tenth of what one holds is given away at a time: not everything moves at once

SOURCE, RECEIVER = "source", "receiver"


def lease_name(kind: str, name: str) -> str:
    """The lease of a source (`source/prod`) or of a receiver (`receiver/chat`)."""
    return f"{kind}/{name}"


def kind_of(lease: str) -> str:
    """`source` or `receiver`."""
    return lease.partition("/")[0]


def subject_of(lease: str) -> str:
    """The name of the source or receiver."""
    return lease.partition("/")[2]


@dataclass(frozen=True, slots=True)
class Lease:
    """What a replica holds. `token` is another each time that the lease is taken: a fencing token."""

    name: str
    holder: str
    token: int

    @property
    def claimant(self) -> str:
        """Who claims deliveries under it."""
        return f"{self.holder}/{self.token}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Replica:
    """One of the watchers on a store. `configured` are the leases that its configuration names, held or not.

    `unwell` is why it cannot do its work, None when it can.

    `name` is that of the machine or pod, `id` is this replica's alone, also after a restart.
    """

    id: str
    name: str
    version: str
    started_at: datetime
    seen_at: datetime
    is_draining: bool = False
    configured: frozenset[str] = frozenset()
    unwell: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Roster:
    """The replicas that live, and of each lease that is held the holder's id and the token."""

    replicas: Sequence[Replica] = ()
    holders: Mapping[str, str] = field(default_factory=dict)
    tokens: Mapping[str, int] = field(default_factory=dict)

    def held_by(self, replica_id: str) -> list[str]:
        """The leases that a replica holds, in order."""
        return sorted(lease for lease, holder in self.holders.items() if holder == replica_id)

    @property
    def configured(self) -> frozenset[str]:
        """The leases that any replica's configuration names."""
        return frozenset(name for replica in self.replicas for name in replica.configured)


@dataclass(frozen=True, slots=True)
class Wish:
    """At most so many of these leases, whichever can be had."""

    names: Sequence[str]
    most: int


@dataclass(frozen=True, slots=True)
class Moves:
    """What a replica is to do next: leases to `take`, as far as nobody else has, and to `give` away."""

    take: Sequence[Wish] = ()
    give: Sequence[str] = ()


def moves(roster: Roster, replica_id: str, *, overdue: Collection[str] = ()) -> Moves:
    """What this replica is to take up, of what nobody holds, and to give away, so that the shares become even.

    What is no longer in its configuration is given away at once. What is `overdue` was left to others that did not take
    it: anybody takes it, even is even.
    """
    me = next((replica for replica in roster.replicas if replica.id == replica_id), None)
    held = roster.held_by(replica_id)
    if me is None or me.is_draining:
        return Moves(give=held)
    take, give = list[Wish](), [lease for lease in held if lease not in me.configured]
    for kind in (RECEIVER, SOURCE):  # a receiver is served at once; of sources first all that is known is loaded
        kept = [lease for lease in held if lease in me.configured and kind_of(lease) == kind]
        sharing = _Sharing(roster, me, kind)
        free = [lease for lease in sharing.names if lease not in roster.holders]
        if free:
            late = [lease for lease in free if lease in overdue]
            take += [Wish(names, most) for names, most in ((late, len(late)), (free, sharing.wanted(free))) if most]
        else:
            give += sharing.surplus(kept)
    return Moves(take, give)


class _Sharing:
    """The leases of one kind among those who can hold them, as one replica sees it."""

    def __init__(self, roster: Roster, me: Replica, kind: str) -> None:
        active = [replica for replica in roster.replicas if not replica.is_draining]
        self._me = me.id
        self._named = {each.id: {lease for lease in each.configured if kind_of(lease) == kind} for each in active}
        self.names = sorted(self._named[me.id])
        self._held: dict[str, list[str]] = {each.id: [] for each in active}
        for lease, holder in roster.holders.items():
            if lease in self._named.get(holder, ()):
                self._held[holder].append(lease)
        sharers = Counter(lease for names in self._named.values() for lease in names)
        self._whole = lcm(*range(1, len(active) + 1))  # a lease in so many parts can be shared evenly by any number
        self._shares = {
            each: sum(self._whole // sharers[lease] for lease in names) for each, names in self._named.items()
        }

    def wanted(self, free: Sequence[str]) -> int:
        """How many of the free ones to take: what others lack of their shares is left to them."""
        mine, least, most = len(self._held[self._me]), self._least(self._me), self._most(self._me)
        others = self._named.keys() - {self._me}
        lacking = sum(min(self._lacks(other), len(self._named[other].intersection(free))) for other in others)
        return max(0, min(most - mine, max(least - mine, len(free) - lacking), len(free)))

    def surplus(self, mine: Sequence[str]) -> list[str]:
        """What of mine others are to have, when all is held by somebody."""
        takers = [other for other in self._named if self._would_take(other) and self._helps(self._me, other)]
        wanted = [lease for lease in mine if any(lease in self._named[other] for other in takers)]
        surplus = len(mine) - self._most(self._me)
        if surplus <= 0:
            surplus = 1 if self._is_first_to_help() else 0
        return wanted[: min(surplus, max(1, len(mine) // _AT_ONCE))]

    def _is_first_to_help(self) -> bool:
        """Whether some lack what is theirs, and of those who could give it this one has the most."""
        poor = [other for other in self._named if self._lacks(other)]
        rich = [
            (-self._excess(each), each)
            for each, held in self._held.items()
            if any(self._helps(each, other) and not self._named[other].isdisjoint(held) for other in poor)
        ]
        return bool(rich) and min(rich)[1] == self._me

    def _least(self, replica_id: str) -> int:
        return self._shares[replica_id] // self._whole

    def _most(self, replica_id: str) -> int:
        return -(-self._shares[replica_id] // self._whole)

    def _excess(self, replica_id: str) -> int:
        """What it has too much, in parts of a lease."""
        return len(self._held[replica_id]) * self._whole - self._shares[replica_id]

    def _lacks(self, replica_id: str) -> int:
        return max(0, self._least(replica_id) - len(self._held[replica_id]))

    def _would_take(self, replica_id: str) -> bool:
        return len(self._held[replica_id]) < self._most(replica_id)

    def _helps(self, giver: str, taker: str) -> bool:
        """Whether both are nearer to their shares when the one gives a lease to the other."""
        return self._excess(giver) - self._excess(taker) > self._whole
