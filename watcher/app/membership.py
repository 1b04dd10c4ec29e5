"""Being one of several replicas: heard of, taking up what nobody holds, giving away what others are to have."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable
from datetime import datetime
from math import ceil
from typing import Protocol

from watcher.core.clock import Clock
from watcher.core.errors import StoreError
from watcher.core.facts import (
    LeasesGiven,
    LeasesLost,
    LeasesTaken,
    Observer,
    ReplicaJoined,
    ReplicasLost,
    StoreFailed,
    StoreRecovered,
)
from watcher.core.sharing import RECEIVER, Lease, Replica, Roster, Wish, kind_of, moves

_LASTS = 0.8  # of `lease_ttl`: in what is left others find out and take over
_BEATS = 10  # in `lease_ttl`
_ANSWERS = 3  # beats may go unanswered before the replica is taken to be dead
_OVERDUE_BEATS = 3
_UNFIT_BEATS = 3
_NEGLECTED = 2
_HANDED_OVER_IN = 32
_WHO = "replicas"


class RosterStore(Protocol):
    """What is kept of replicas and leases. Every method raises StoreError."""

    async def join(self, replica: Replica, *, lasts_s: float) -> None:
        """A new replica, which lives for so long unless it beats."""
        ...

    async def beat(self, replica: Replica, *, lasts_s: float, buries: bool) -> Roster | None:
        """It lives for so long from now on. Who is there and holds what; None when it was taken to be dead."""
        ...

    async def take(self, replica_id: str, wish: Wish) -> list[Lease]:
        """Hold at most so many of these, whichever nobody holds."""
        ...

    async def release(self, held: Collection[Lease]) -> None:
        """Give these away."""
        ...

    async def leave(self, replica_id: str) -> None:
        """It is there no more, and holds and claims nothing."""
        ...


class Shares(Protocol):
    """What a replica does for what it holds."""

    def configured(self) -> frozenset[str]:
        """The leases that the configuration names."""
        ...

    async def take(self, lease: Lease) -> None:
        """Begin to poll the source, or to serve the receiver; raises StoreError."""
        ...

    async def give(self, lease: Lease) -> None:
        """End that. Raises StoreError when what was seen cannot be written down, and then goes on."""
        ...

    async def drop(self) -> None:
        """End everything at once: it is others' by now."""
        ...

    def changed(self) -> None:
        """What is held is another than before."""
        ...


class Membership:
    """One replica among others, for as long as the daemon runs; what it holds is always what the store says it holds.

    When it was not heard of for too long and others have taken over, it drops everything and joins again as another.
    """

    def __init__(
        self,
        *,
        store: RosterStore,
        shares: Shares,
        name: str,
        version: str,
        started_at: datetime,
        lease_ttl_s: float,
        new_id: Callable[[], str],
        why_unwell: Callable[[], str | None] = lambda: None,
        clock: Clock,
        observer: Observer,
    ) -> None:
        """`why_unwell` is what the others are told of how it is."""
        self._why_unwell = why_unwell
        self._store = store
        self._shares = shares
        self._name = name
        self._version = version
        self._started_at = started_at
        self._lasts_s = lease_ttl_s * _LASTS
        self._beat_s = lease_ttl_s / _BEATS
        self._new_id = new_id
        self._clock = clock
        self._observer = observer
        self._id = new_id()
        self._held: dict[str, Lease] = {}
        self._roster = Roster()
        self._acts_until_s = self._looked_s = self._moved_s = float("-inf")
        self._buries_from_s = float("-inf")
        self._free_since_s: dict[str, float] = {}
        self._unfit_s: dict[str, float] = {}
        self._ended: dict[str, int] = {}
        self._is_draining = self._has_looked = self._has_left = False
        self._failures = 0
        self._wake = asyncio.Event()
        self._news = asyncio.Event()
        self.moving = asyncio.Lock()
        """Held while leases are taken and given away: who has it sees what is held stay as it is."""

    @property
    def replica_id(self) -> str:
        """This replica's id: another one after it was taken to be dead."""
        return self._id

    @property
    def settled(self) -> bool:
        """Whether it has taken up what it could at least once."""
        return self._has_looked

    def roster(self) -> Roster:
        """Who was there, and held what, when last looked."""
        return self._roster

    def lease(self, name: str) -> Lease | None:
        """The lease of that name, while it is held."""
        return self._held.get(name)

    def may_act(self) -> bool:
        """Whether it was heard of so lately that nobody takes it to be dead."""
        return self._clock.monotonic() < self._acts_until_s

    def neglected(self) -> list[str]:
        """The leases that nobody has held for far longer than it takes to find a replica dead."""
        now_s, long_s = self._clock.monotonic(), _NEGLECTED * self._lasts_s
        return sorted(lease for lease, since_s in self._free_since_s.items() if now_s - since_s > long_s)

    def notify(self) -> None:
        """Say that something has changed: who is there, who holds what, or what is configured."""
        self._wake.set()

    async def run(self) -> None:
        """Live, and live again, until cancelled or gone."""
        while True:
            await self._live()
            if self._has_left:
                return
            self._acts_until_s = float("-inf")
            lost = sorted(self._held)
            self._held.clear()
            async with self.moving:
                await self._shares.drop()
                self._shares.changed()
            self._observer(LeasesLost(lost))
            self._id = self._new_id()

    async def hand_over(self, *, deadline_s: float) -> None:
        """Give everything away, as soon as it is no longer under way; receivers only where somebody is to have them."""
        self._is_draining = True
        self._wake.set()
        try:
            async with asyncio.timeout(deadline_s), self.moving:
                await asyncio.gather(*map(self._give, self._to_hand_over()), return_exceptions=True)
        except TimeoutError:
            return  # what is still under way is free when this replica leaves

    def _to_hand_over(self) -> list[list[str]]:
        """Few parts, because each release is a commit, so that few wait for the slowest cycle of all."""
        others = [each for each in self._roster.replicas if each.id != self._id and not each.is_draining]
        names = [name for name in self._held if others or kind_of(name) != RECEIVER]
        together = max(1, ceil(len(names) / _HANDED_OVER_IN))
        return [names[start : start + together] for start in range(0, len(names), together)]

    async def leave(self) -> None:
        """Be there no more; what is held and claimed still is free for others."""
        self._has_left = True
        try:
            await self._store.leave(self._id)
        except StoreError as error:
            self._failed(error)  # others will find it dead

    async def _live(self) -> None:
        """From joining to having been taken to be dead."""
        beating, moving = asyncio.create_task(self._beat_on()), asyncio.create_task(self._move_on())
        try:
            await asyncio.wait([beating, moving], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (beating, moving):
                task.cancel()
            ended = await asyncio.gather(beating, moving, return_exceptions=True)
        for each in ended:
            if isinstance(each, Exception):
                raise each

    # -- being heard of --------------------------------------------------------------------------------------------

    async def _beat_on(self) -> None:
        """Beat until it was taken to be dead."""
        has_joined = False
        while True:
            self._wake.clear()
            began_s = self._clock.monotonic()
            # Who was not heard of itself does not know whether anybody could be.
            buries = self._buries_from_s <= began_s < self._acts_until_s
            try:
                async with asyncio.timeout(self._lasts_s / _ANSWERS):
                    if not has_joined:
                        await self._store.join(self._me(), lasts_s=self._lasts_s)
                    roster = await self._store.beat(self._me(), lasts_s=self._lasts_s, buries=buries)
            except (StoreError, TimeoutError) as error:
                self._failed(error if isinstance(error, StoreError) else StoreError("the store does not answer"))
                await self._clock.sleep(self._beat_s)
                continue
            if roster is None:
                return
            if not has_joined:
                has_joined = True
                self._observer(ReplicaJoined(self._id))
            elif began_s >= self._acts_until_s:  # perhaps nobody else was heard of, either: they get the time to be
                self._buries_from_s = began_s + self._lasts_s
            self._acts_until_s = began_s + self._lasts_s
            self._take_up(roster, began_s=began_s)
            await self._clock.wait(self._wake, self._beat_s)

    def _me(self) -> Replica:
        return Replica(
            id=self._id,
            name=self._name,
            version=self._version,
            started_at=self._started_at,
            seen_at=self._clock.now(),
            is_draining=self._is_draining,
            configured=self._shares.configured(),
            unwell=self._why_unwell(),
        )

    def _take_up(self, roster: Roster, *, began_s: float) -> None:
        if self._failures:
            self._failures = 0
            self._observer(StoreRecovered(_WHO))
        there = {each.id for each in roster.replicas}
        gone = [each.name for each in self._roster.replicas if each.id not in there]
        self._roster, self._looked_s = roster, began_s
        self._unfit_s = {
            name: at_s for name, at_s in self._unfit_s.items() if roster.holders.get(name, self._id) == self._id
        }
        lacking = {lease for lease in self._shares.configured() if lease not in roster.holders}
        free = sorted(lacking | (self._unfit_s.keys() & self._shares.configured()))
        self._free_since_s = {lease: self._free_since_s.get(lease, began_s) for lease in free}
        self._news.set()
        if gone:
            self._observer(ReplicasLost(gone))

    def _failed(self, error: StoreError) -> None:
        self._failures += 1
        self._observer(StoreFailed(_WHO, error, first=self._failures == 1))

    # -- taking and giving -----------------------------------------------------------------------------------------

    async def _move_on(self) -> None:
        """Take up and give away what the roster says, until cancelled."""
        while True:
            await self._news.wait()
            self._news.clear()
            if self._is_draining:
                continue
            async with self.moving:
                try:
                    await self._move()
                except StoreError as error:
                    self._failed(error)  # the next beat looks again
            self._has_looked = True

    async def _move(self) -> None:
        roster, now_s = self._roster, self._looked_s
        if self._moved_s < self._looked_s:
            await self._put_right(roster)
        late_s = _OVERDUE_BEATS * self._beat_s
        overdue = [lease for lease, since_s in self._free_since_s.items() if now_s - since_s > late_s]
        plan = moves(roster, self._id, overdue=overdue)
        given = [name for name in plan.give if name in self._held]
        problem: StoreError | None = None
        try:
            if given:
                await self._give(given)
        except StoreError as error:  # one that fails again and again must not keep the others from being taken
            problem = error
        for wish in plan.take:
            try:
                await self._take_of(wish)
            except StoreError as error:
                problem = error
        if problem is not None:
            raise problem

    async def _take_of(self, wish: Wish) -> None:
        """Without what could not be begun just now: others may be able to, and nobody is to try all the time."""
        since_s = self._clock.monotonic() - _UNFIT_BEATS * self._beat_s
        names = [name for name in wish.names if self._unfit_s.get(name, float("-inf")) <= since_s]
        if names:
            await self._take(await self._store.take(self._id, Wish(names, wish.most)))

    async def _put_right(self, roster: Roster) -> None:
        """What the store says it holds it does hold: an answer may have been lost."""
        theirs = set(roster.held_by(self._id))
        for name in sorted(self._held.keys() - theirs):
            await self._shares.give(self._held[name])
            del self._held[name]
            self._shares.changed()
        unknown = [Lease(name, self._id, roster.tokens[name]) for name in sorted(theirs - self._held.keys())]
        # What was ended here is not begun again by the same token: what is claimed by it may be under way still.
        ended = [lease for lease in unknown if self._ended.get(lease.name) == lease.token]
        await self._take([lease for lease in unknown if lease not in ended])
        if ended:
            await self._end_move(release=ended, problems=())

    async def _take(self, leases: Collection[Lease]) -> None:
        if not leases:
            return
        if self._is_draining:  # the answer was late: what began now would not end with the rest
            await self._end_move(release=leases, problems=())
            return
        self._held |= {lease.name: lease for lease in leases}
        problems = dict(zip(leases, await _all(map(self._shares.take, leases)), strict=True))
        failed = [lease for lease, problem in problems.items() if problem is not None]
        self._unfit_s = {name: at_s for name, at_s in self._unfit_s.items() if name not in self._held}
        for lease in failed:
            del self._held[lease.name]
            self._unfit_s[lease.name] = self._clock.monotonic()
        if taken := [lease.name for lease in leases if lease not in failed]:
            self._observer(LeasesTaken(taken))
        await self._end_move(release=failed, problems=problems.values())

    async def _give(self, names: Collection[str]) -> None:
        leases = [self._held[name] for name in names]
        problems = dict(zip(leases, await _all(map(self._shares.give, leases)), strict=True))
        given = [self._held.pop(lease.name) for lease, problem in problems.items() if problem is None]
        self._ended |= {lease.name: lease.token for lease in given}
        if given:
            self._observer(LeasesGiven([lease.name for lease in given]))
        await self._end_move(release=given, problems=problems.values())

    async def _end_move(self, *, release: Collection[Lease], problems: Iterable[BaseException | None]) -> None:
        self._shares.changed()
        try:
            if release:
                await self._store.release(release)
        finally:
            self._moved_s = self._clock.monotonic()  # what was looked at before is not to be believed any more
            self._wake.set()
        for problem in problems:
            if problem is not None:
                raise problem


async def _all(work: Iterable[Awaitable[None]]) -> list[BaseException | None]:
    """Do all of it; what was raised, or None, of each."""
    return await asyncio.gather(*work, return_exceptions=True)
