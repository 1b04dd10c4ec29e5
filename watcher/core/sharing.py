"""How replicas share the work: who is there, who holds what, and what each is to take up or give away next.

A pure state machine: each replica looks at the same roster and moves only what is its own. What keeps it right is not
here but in the store, where a lease has one holder; this only makes the shares even.

Invariants: nobody takes what another holds; nobody gives away what nobody else could take; when the roster stays as it
is, everything is held after a few looks and no two replicas of the same configuration differ by more than one lease of
a kind; a replica that joins or leaves moves only what the shares differ by.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from math import ceil, floor

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
    for kind in (SOURCE, RECEIVER):
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
        self.names = sorted(lease for lease in me.configured if kind_of(lease) == kind)
        self._sharers = {lease: [each.id for each in active if lease in each.configured] for lease in self.names}
        self._counts = {each.id: 0 for each in active if any(each.id in ids for ids in self._sharers.values())}
        self._counts.setdefault(me.id, 0)
        for lease, holder in roster.holders.items():
            if lease in self._sharers and holder in self._counts:
                self._counts[holder] += 1
        share = sum((Fraction(1, len(ids)) for ids in self._sharers.values()), Fraction())
        self._least, self._most = floor(share), ceil(share)

    def wanted(self, free: Sequence[str]) -> int:
        """How many of the free ones to take: what others lack of their shares is left to them."""
        mine = self._counts[self._me]
        lacking = sum(max(0, self._least - count) for other, count in self._counts.items() if other != self._me)
        spare = max(0, len(free) - lacking)
        return max(0, min(self._most - mine, max(self._least - mine, spare), len(free)))

    def surplus(self, mine: Sequence[str]) -> list[str]:
        """What of mine others are to have, when all is held by somebody."""
        others = {other: count for other, count in self._counts.items() if other != self._me}
        surplus = len(mine) - self._most
        if surplus <= 0 and len(mine) > self._least and any(count < self._least for count in others.values()):
            as_rich = sorted(other for other, count in self._counts.items() if count >= len(mine))
            surplus = 1 if as_rich[0] == self._me else 0
        poorer = {other for other, count in others.items() if count < len(mine) - 1}
        wanted = [lease for lease in mine if poorer.intersection(self._sharers[lease])]
        return wanted[: max(0, min(surplus, max(1, len(mine) // _AT_ONCE)))]
