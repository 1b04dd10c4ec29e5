"""What runs for the receivers that are configured: a worker each, and a refresher for those that keep alerts."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Collection, Coroutine
from dataclasses import dataclass, field
from typing import Any, TextIO

from watcher.core.clock import Clock
from watcher.core.errors import LeaseLostError, StoreError
from watcher.core.facts import Observer
from watcher.core.ports import Receiver, StandingReceiver
from watcher.delivery import DeliveryWorker, QuietKeeper, Refresher
from watcher.policies import delivery_policy, links
from watcher.receivers import AnyReceiverSettings
from watcher.receivers.base import ReceiverTools
from watcher.receivers.links import Links
from watcher.settings import Settings
from watcher.store import Store

_STORE_AGAIN_S = 1.0

Spawn = Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None]]
"""Has something run for as long as the daemon does, under this name."""


@dataclass(frozen=True, slots=True)
class _Known:
    """A receiver as it is configured, and built."""

    section: AnyReceiverSettings
    links: Links
    receiver: Receiver


@dataclass(slots=True)
class _Served:
    """What runs for a receiver."""

    worker: DeliveryWorker
    working: asyncio.Task[None]
    store: Store
    refresher: Refresher | None = None
    refreshing: asyncio.Task[None] | None = None


@dataclass(slots=True)
class ReceiversChange:
    """The receivers that are new or others than before, built, and the links that all are built with."""

    sections: dict[str, AnyReceiverSettings]
    links: Links
    built: dict[str, Receiver] = field(default_factory=dict)


class Receivers:
    """The receivers by name: all that are configured are built, and those that this replica holds are served.

    The configuration changes in two steps: `prepare`, which may fail, and `swap`. In between, what is held changes by
    `take`, `give` and `drop`.
    """

    def __init__(
        self,
        *,
        store: Store,
        store_for: Callable[[str], Store | None],
        may_act: Callable[[], bool],
        quiet: QuietKeeper,
        output: TextIO,
        clock: Clock,
        rng: random.Random,
        observer: Observer,
        spawn: Spawn,
    ) -> None:
        """`store_for` is the store to take a receiver's deliveries from; None while another replica serves it.

        `may_act`: whether nobody else may have taken over what is held.
        """
        self._store = store
        self._store_for = store_for
        self._may_act = may_act
        self._quiet = quiet
        self._output = output
        self._clock = clock
        self._rng = rng
        self._observer = observer
        self._spawn = spawn
        self._known: dict[str, _Known] = {}
        self._served: dict[str, _Served] = {}
        self._ending: list[Receiver] = []
        self._leaving: dict[asyncio.Task[None], str] = {}
        self._open: list[Receiver] = []

    def prepare(self, settings: Settings) -> ReceiversChange:
        """Build what is new; raises ConfigurationError, nothing changed."""
        sections = {section.name: section for section in settings.receivers}
        change = ReceiversChange(sections=sections, links=links(settings))
        tools = ReceiverTools(
            clock=self._clock, output=self._output, links=change.links, notebook=self._store, observer=self._observer
        )
        for name, section in sections.items():
            known = self._known.get(name)
            if known is None or (known.section, known.links) != (section, change.links):
                change.built[name] = section.build(tools)
                self._open.append(change.built[name])
        return change

    def swap(self, change: ReceiversChange) -> None:
        """What is prepared is served from now on. Tries under way end as they began."""
        for name in self._known.keys() - change.sections.keys():
            before = self._known.pop(name)
            if name in self._served:
                served = self._served.pop(name)
                self._leave(name, served)
                self._close_after(served.working, before.receiver, served.refreshing)
        for name, receiver in change.built.items():
            self._swap_one(name, _Known(change.sections[name], change.links, receiver))
        self._known = {name: self._known[name] for name in change.sections}

    def _swap_one(self, name: str, known: _Known) -> None:
        before, self._known[name] = self._known.get(name), known
        served, store = self._served.get(name), self._store_for(name)
        if served is not None and before is not None:
            under_way = served.worker.serve(known.receiver, delivery_policy(known.section))
            self._close_after(under_way, before.receiver, served.refreshing)
            self._refresh_on(served, known)
        elif store is not None:
            self._serve(known, store)

    def take(self, name: str) -> None:
        """Serve a receiver that is held from now on."""
        known, store = self._known.get(name), self._store_for(name)
        if known is not None and store is not None and name not in self._served:
            self._serve(known, store)

    def give(self, name: str) -> None:
        """Serve a receiver no more. What is under way ends, and is recorded."""
        if name in self._served:
            self._leave(name, self._served.pop(name))

    async def drop(self) -> None:
        """Serve nothing any more, from now on, and record nothing."""
        ending = [*self._leaving, *(served.working for served in self._served.values())]
        for served in self._served.values():
            if served.refreshing is not None:
                served.refreshing.cancel()
        self._served.clear()
        for task in ending:
            task.cancel()
        if ending:
            await asyncio.wait(ending)

    async def tidy(self) -> None:
        """Close what was built and is not served after all."""
        used = [*(known.receiver for known in self._known.values()), *self._ending]
        for receiver in [receiver for receiver in self._open if receiver not in used]:
            await self._close(receiver)

    async def gone(self) -> None:
        """Wait for those that are served no more to end what they had under way."""
        if self._leaving:
            await asyncio.wait(self._leaving)

    async def drain(self, *, deadline_s: float) -> None:
        """Finish what is due, as far as there is time for it; what is not done stays in the store."""
        for served in self._served.values():
            served.worker.drain()
            if served.refreshing is not None:
                served.refreshing.cancel()
        working = [*self._leaving, *(served.working for served in self._served.values())]
        if working:
            await asyncio.wait(working, timeout=deadline_s)
        for task in working:
            task.cancel()

    async def close(self) -> None:
        """Close all receivers."""
        for receiver in tuple(self._open):
            await self._close(receiver)

    async def _close(self, receiver: Receiver) -> None:
        if receiver in self._open:
            self._open.remove(receiver)
            await receiver.close()

    def wake(self) -> None:
        """There may be something new to deliver."""
        for served in self._served.values():
            served.worker.notify()

    def look_again(self) -> None:
        """What is quiet has changed."""
        for served in self._served.values():
            served.worker.look_again()

    def refresh(self) -> None:
        """Somebody may have taken on an alert."""
        for served in self._served.values():
            if served.refresher is not None:
                served.refresher.notify()

    def why_stuck(self) -> str | None:
        """In words which does not get on though it should, None when all do."""
        whys = (served.worker.why_stuck() for served in self._served.values())
        return next((why for why in whys if why is not None), None)

    @property
    def held(self) -> list[str]:
        """Those that are served."""
        return list(self._served)

    def _serve(self, known: _Known, store: Store) -> None:
        name = known.section.name
        worker = DeliveryWorker(
            receiver=known.receiver,
            store=store,
            quiet=self._quiet,
            policy=delivery_policy(known.section),
            clock=self._clock,
            rng=self._rng,
            observer=self._observer,
            may_send=self._may_act,
        )
        before = [task for task, leaving in self._leaving.items() if leaving == name]
        working = self._spawn(self._work(worker, after=before), f"deliveries to {name}")
        self._served[name] = _Served(worker, working, store)
        self._refresh_on(self._served[name], known)

    async def _work(self, worker: DeliveryWorker, *, after: Collection[asyncio.Task[None]]) -> None:
        """One at a time works for a receiver: to another what is under way would look as if nobody sent it."""
        if after:
            await asyncio.wait(after)
        await worker.run()

    def _refresh_on(self, served: _Served, known: _Known) -> None:
        served.refresher = served.refreshing = None
        if isinstance(known.receiver, StandingReceiver):
            policy = delivery_policy(known.section)
            served.refresher = Refresher(
                receiver=known.receiver,
                store=self._store,
                send_resolved=policy.send_resolved,
                timeout_s=policy.timeout_s,
                clock=self._clock,
                observer=self._observer,
                may_send=self._may_act,
            )
            served.refreshing = self._spawn(served.refresher.run(), f"refreshing {known.section.name}")

    def _leave(self, name: str, served: _Served) -> None:
        """Have what is under way end, and then what was claimed and not sent be free for others."""
        served.worker.leave()
        if served.refreshing is not None:
            served.refreshing.cancel()

        async def leave() -> None:
            await asyncio.wait([served.working])
            while not await self._has_unclaimed(served.store):
                await self._clock.sleep(_STORE_AGAIN_S)

        for task in (served.working, self._spawn(leave(), "leaving")):
            self._until_done(task, name)

    def _until_done(self, task: asyncio.Task[None], name: str) -> None:
        self._leaving[task] = name
        task.add_done_callback(self._leaving.pop)

    async def _has_unclaimed(self, store: Store) -> bool:
        """Whether others may send what was claimed here: until then nobody would."""
        try:
            await store.unclaim()
        except LeaseLostError:
            return True
        except StoreError:
            return False
        return True

    def _close_after(
        self, work: asyncio.Future[Any], receiver: Receiver, refreshing: asyncio.Task[None] | None
    ) -> None:
        """Close a receiver that is asked for nothing new, when what it has under way has ended."""
        self._ending.append(receiver)
        if refreshing is not None:
            refreshing.cancel()

        async def close() -> None:
            try:
                await asyncio.wait([work, *([refreshing] if refreshing is not None else [])])
            finally:
                self._ending.remove(receiver)
                await self._close(receiver)

        self._until_done(self._spawn(close(), f"closing {receiver.name}"), receiver.name)
