"""What this replica holds of the work: all of it where it is alone on its store, else what it has leases for."""

from __future__ import annotations

import asyncio
import platform
import secrets
from collections.abc import Callable
from typing import Protocol

from watcher import __version__
from watcher.app.membership import Membership
from watcher.app.receivers import Receivers
from watcher.app.sources import Sources
from watcher.core.clock import Clock
from watcher.core.facts import Observer
from watcher.core.sharing import RECEIVER, SOURCE, Lease, Replica, Roster, kind_of, lease_name, subject_of
from watcher.store import Store

_NAME_CHARACTERS = 40


class Sharing(Protocol):
    """Which part of the work is this replica's."""

    moving: asyncio.Lock

    @property
    def replica_id(self) -> str:
        """This replica's id."""
        ...

    @property
    def settled(self) -> bool:
        """Whether it has taken up what it could at least once."""
        ...

    def roster(self) -> Roster:
        """Who is there and holds what."""
        ...

    def lease(self, name: str) -> Lease | None:
        """The lease of that name, while it is held; None also for one that needs none."""
        ...

    def may_act(self) -> bool:
        """Whether nobody else may have taken over what is held."""
        ...

    def neglected(self) -> list[str]:
        """The leases that nobody has held for long."""
        ...

    def notify(self) -> None:
        """Say that something has changed."""
        ...

    async def run(self) -> None:
        """Share until cancelled."""
        ...

    async def hand_over(self, *, deadline_s: float) -> None:
        """Give to others what they can have."""
        ...

    async def leave(self) -> None:
        """Be there no more."""
        ...


class Alone:
    """The only watcher on its store (SQLite): it holds everything, always."""

    settled = True

    def __init__(self, *, configured: Callable[[], frozenset[str]], clock: Clock) -> None:
        self._configured = configured
        self._clock = clock
        self._started_at = clock.now()
        self._name = platform.node()
        self.replica_id = new_id()
        self.moving = asyncio.Lock()

    def roster(self) -> Roster:
        """Itself, with everything."""
        configured = self._configured()
        me = Replica(
            id=self.replica_id,
            name=self._name,
            version=__version__,
            started_at=self._started_at,
            seen_at=self._clock.now(),
            configured=configured,
        )
        return Roster(replicas=[me], holders=dict.fromkeys(configured, self.replica_id))

    def lease(self, name: str) -> Lease | None:  # noqa: ARG002 - nothing is leased
        """None is needed."""
        return None

    def may_act(self) -> bool:
        """Always: the file is locked."""
        return True

    def neglected(self) -> list[str]:
        """None."""
        return []

    def notify(self) -> None:
        """Nobody else is interested."""

    async def run(self) -> None:
        """Nothing to be done, for ever."""
        await asyncio.Event().wait()

    async def hand_over(self, *, deadline_s: float) -> None:
        """There is nobody to give anything to."""

    async def leave(self) -> None:
        """Nobody is told."""


def share(
    *,
    store: Store,
    sources: Sources,
    receivers: Receivers,
    configured: Callable[[], frozenset[str]],
    on_change: Callable[[], None],
    why_unwell: Callable[[], str | None],
    lease_ttl_s: float,
    clock: Clock,
    observer: Observer,
) -> Sharing:
    """With others where the store may have others, else alone. `configured` are the leases that the settings name."""
    if not store.is_shared:
        return Alone(configured=configured, clock=clock)
    return Membership(
        store=store,
        shares=_Shares(sources=sources, receivers=receivers, configured=configured, on_change=on_change),
        name=platform.node(),
        version=__version__,
        started_at=clock.now(),
        lease_ttl_s=lease_ttl_s,
        new_id=new_id,
        why_unwell=why_unwell,
        clock=clock,
        observer=observer,
    )


class _Shares:
    """Sources that are polled and receivers that are served, as leases are taken and given away."""

    def __init__(
        self,
        *,
        sources: Sources,
        receivers: Receivers,
        configured: Callable[[], frozenset[str]],
        on_change: Callable[[], None],
    ) -> None:
        self._sources = sources
        self._receivers = receivers
        self.configured = configured
        self.changed = on_change

    async def take(self, lease: Lease) -> None:
        """Begin to poll the source, or to serve the receiver; raises StoreError."""
        name = subject_of(lease.name)
        if kind_of(lease.name) == SOURCE:
            await self._sources.take(name)
        else:
            self._receivers.take(name)

    async def give(self, lease: Lease) -> None:
        """End that; raises StoreError, and then it goes on."""
        name = subject_of(lease.name)
        if kind_of(lease.name) == SOURCE:
            await self._sources.give(name)
        else:
            self._receivers.give(name)

    async def drop(self) -> None:
        """End everything at once."""
        await self._sources.drop()
        await self._receivers.drop()


def new_id() -> str:
    """Another one at each start: where it runs, and what tells it from those that ran there before."""
    return f"{platform.node()[:_NAME_CHARACTERS]}-{secrets.token_hex(4)}"


def source_lease(name: str) -> str:
    """The lease of a source."""
    return lease_name(SOURCE, name)


def receiver_lease(name: str) -> str:
    """The lease of a receiver."""
    return lease_name(RECEIVER, name)
