"""One life of one replica: membership and receivers as they are, joined as `watcher.app.daemon` joins them."""

from __future__ import annotations

import asyncio
import io
import random
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from contextvars import Context, copy_context
from typing import Any, Literal, cast

from pydantic import SkipValidation

from tests.simulation.daemon import Setup
from tests.simulation.inbox import Inbox
from tests.simulation.pollers import Pollers
from tests.simulation.shared_store import Line, SharedStore, elsewhere
from tests.simulation.world import SimulatedCloud
from watcher.app.membership import Membership
from watcher.app.receivers import Receivers
from watcher.core.clock import Clock
from watcher.core.errors import StoreError
from watcher.core.facts import Committed, Fact, LeasesGiven, LeasesLost, ReplicaJoined, ReplicasLost
from watcher.core.model import Event, Notification
from watcher.core.sharing import RECEIVER, SOURCE, Lease, kind_of, lease_name, subject_of
from watcher.delivery import DeliveryPolicy, QuietKeeper
from watcher.fields import Rate
from watcher.receivers.base import ReceiverSettings, ReceiverTools
from watcher.settings import Settings
from watcher.store import Store

_TIMEOUT_S = 10.0 - 0.001
_POLLS_DEADLINE_S, _DELIVERIES_DEADLINE_S = 5.0, 15.0

Wrong = Callable[[str], None]


class Outlet:
    """A receiver as one replica reaches it; nobody may begin a try who may have been taken to be dead."""

    def __init__(
        self,
        inbox: Inbox,
        line: Line,
        *,
        is_alive: Callable[[], bool],
        may_give_up: Callable[[float], bool],
        on_try: Callable[[], None],
        wrong: Wrong,
    ) -> None:
        """`is_alive`: whether nobody can take it to be dead, as the store has it. `on_try` is called at each try.

        `may_give_up`: whether a try that began then may be ended by now, whatever comes of it.
        """
        self._may_give_up = may_give_up
        self._on_try = on_try
        self.name = inbox.name
        self.type = inbox.type
        self.digest_bytes = inbox.digest_bytes
        self._inbox = inbox
        self._line = line
        self._is_alive = is_alive
        self._wrong = wrong

    async def send(self, notification: Notification) -> str:
        """Have it sent."""
        if not self._is_alive():
            self._wrong(f"{self._line.name} sends to {self.name}, and others may have taken over: {notification.id}")
        self._line.open_tries |= {(self.name, event.id) for event in notification.events}
        self._on_try()
        began_s = self._inbox.clock.monotonic()
        try:
            return await elsewhere(self._inbox.send(notification))
        except asyncio.CancelledError:
            if not self._may_give_up(began_s):
                self._wrong(f"{self._line.name} gives up a try that is under way to {self.name}: {notification.id}")
            raise

    async def reach(self) -> None:
        pass

    async def close(self) -> None:
        pass


class OutletSettings(ReceiverSettings):
    """The section of a receiver that is simulated."""

    type: Literal["simulated"] = "simulated"
    outlet: SkipValidation[Any]

    def build(self, tools: ReceiverTools) -> Outlet:
        """The receiver."""
        return cast("Outlet", self.outlet)


class Replica:
    """Pollers and workers for what it holds, on a store that it shares."""

    def __init__(
        self,
        setup: Setup,
        *,
        number: int,
        store: Callable[[Callable[[], str]], SharedStore],
        line: Line,
        clouds: Mapping[str, SimulatedCloud],
        inboxes: Sequence[Inbox],
        clock: Clock,
        rng: random.Random,
        on_event: Callable[[Event], None],
        on_served: Callable[[Lease, int], None],
        on_try: Callable[[], None],
        tell: Callable[..., None],
        wrong: Wrong,
    ) -> None:
        """`store` makes the store of whoever has an id."""
        self.line = line
        self.context: Context
        self._setup = setup
        self._number = number
        self._clock = clock
        self._on_event = on_event
        self._on_served = on_served
        self._tell = tell
        self._stop = asyncio.Event()
        self._stopped_s = float("inf")
        self._ids = 0
        self.is_up = False
        self._tasks: asyncio.TaskGroup
        self._store = store(lambda: self.membership.replica_id)
        self.quiet = QuietKeeper(store=self._store, clock=clock, on_change=self._look_again)
        self.membership = Membership(
            store=self._store,
            shares=self,
            name=line.name,
            version="1",
            started_at=clock.now(),
            lease_ttl_s=setup.lease_ttl_s,
            new_id=self._new_id,
            clock=clock,
            observer=self._observe,
        )
        self._pollers = Pollers(
            sources={watched.source: watched for watched in setup.sources},
            clouds=clouds,
            store_for=lambda name: self._store_for(lease_name(SOURCE, name)),
            may_act=self.membership.may_act,
            receivers_for=self._receivers_for,
            spawn=self._spawn,
            clock=clock,
            rng=rng,
            observer=self._observe,
        )
        self._receivers = Receivers(
            store=cast("Store", self._store),
            store_for=lambda name: cast("Store | None", self._store_for(lease_name(RECEIVER, name))),
            may_act=self.membership.may_act,
            quiet=self.quiet,
            output=io.StringIO(),
            clock=clock,
            rng=rng,
            observer=self._observe,
            spawn=self._spawn,
        )
        self.quiet.set_windows(setup.windows)
        outlets = [
            Outlet(inbox, line, is_alive=self._is_alive, may_give_up=self._may_give_up, on_try=on_try, wrong=wrong)
            for inbox in inboxes
        ]
        self._settings = Settings.model_construct(
            sources=(), receivers=cast("Any", [_section(each, setup.policies[each.name]) for each in outlets])
        )

    async def run(self) -> None:
        """Work until stopped or cancelled."""
        self.context = copy_context()
        async with asyncio.TaskGroup() as self._tasks:
            self._receivers.swap(self._receivers.prepare(self._settings))
            sharing = self._tasks.create_task(self.membership.run())
            self.is_up = True
            await self._stop.wait()
            self.is_up = False
            await self.membership.hand_over(deadline_s=_POLLS_DEADLINE_S)
            await self._pollers.stop(deadline_s=_POLLS_DEADLINE_S)
            await self._receivers.drain(deadline_s=_DELIVERIES_DEADLINE_S)
            await self.membership.leave()
            sharing.cancel()

    def stop(self) -> None:
        """Hand over, finish what is under way, and leave."""
        self._stopped_s = min(self._stopped_s, self._clock.monotonic())
        self._stop.set()

    # -- what it holds, as `watcher.app.sharing` has it ------------------------------------------------------------

    def configured(self) -> frozenset[str]:
        sources = [lease_name(SOURCE, watched.source) for watched in self._setup.sources]
        return frozenset([*sources, *(lease_name(RECEIVER, name) for name in self._setup.policies)])

    async def take(self, lease: Lease) -> None:
        self._on_served(lease, self._number)
        if kind_of(lease.name) == SOURCE:
            await self._pollers.take(subject_of(lease.name))
        else:
            self._receivers.take(subject_of(lease.name))

    async def give(self, lease: Lease) -> None:
        if kind_of(lease.name) == SOURCE:
            await self._pollers.give(subject_of(lease.name))
        else:
            self._receivers.give(subject_of(lease.name))

    async def drop(self) -> None:
        await self._pollers.drop()
        await self._receivers.drop()

    def changed(self) -> None:
        """Nobody is shown it."""

    def _may_give_up(self, began_s: float) -> bool:
        now_s = self._clock.monotonic()
        is_late = now_s >= began_s + _TIMEOUT_S or now_s >= self._stopped_s + _DELIVERIES_DEADLINE_S
        return is_late or self.line.is_dead or not self._is_alive()

    def _is_alive(self) -> bool:
        return self._store.is_alive(self.membership.replica_id)

    def _store_for(self, name: str) -> SharedStore | None:
        lease = self.membership.lease(name)
        return self._store.under(lease) if lease is not None else None

    # -- what it is told -------------------------------------------------------------------------------------------

    def signalled(self, topic: str) -> None:
        """A replica, perhaps this one, says so."""
        match topic:
            case "deliveries":
                self._receivers.wake()
            case "quiet" if self.is_up:
                self._look_at_quiet()
            case "roster":
                self.membership.notify()
            case _:
                pass

    def _look_at_quiet(self) -> None:
        async def look() -> None:
            with suppress(StoreError):
                await self.quiet.refresh()

        work: Coroutine[Any, Any, None] = look()
        self.context.copy().run(self._tasks.create_task, work)

    def _receivers_for(self, event: Event) -> tuple[str, ...]:
        self._on_event(event)
        return self._setup.table.receivers_for(event)

    def _observe(self, fact: Fact) -> None:
        match fact:
            case Committed():
                self._receivers.wake()
            case LeasesLost() | ReplicaJoined() | ReplicasLost() | LeasesGiven():
                self._tell(self.line.name, fact)
            case _:
                pass

    def _look_again(self) -> None:
        self._receivers.look_again()

    def _spawn(self, work: Coroutine[Any, Any, None], name: str | None = None) -> asyncio.Task[None]:
        try:
            return self._tasks.create_task(work, name=name)
        except RuntimeError:  # it is being killed
            work.close()
            raise

    def _new_id(self) -> str:
        self._ids += 1
        return f"{self.line.name}.{self._ids}"


def _section(outlet: Outlet, policy: DeliveryPolicy) -> OutletSettings:
    rate = Rate(requests=policy.rate[0], per_s=policy.rate[1]) if policy.rate is not None else None
    return OutletSettings(
        name=outlet.name,
        send_resolved=policy.send_resolved,
        digest_over=policy.digest_over,
        max_age=policy.max_age,
        rate_limit=rate,
        outlet=outlet,
    )
