"""What runs for the receivers that are configured: a worker each, and a refresher for those that keep alerts."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TextIO

from watcher.core.clock import Clock
from watcher.core.facts import Observer
from watcher.core.ports import Receiver, StandingReceiver
from watcher.delivery import DeliveryWorker, QuietKeeper, Refresher
from watcher.policies import delivery_policy, links
from watcher.receivers import AnyReceiverSettings
from watcher.receivers.base import ReceiverTools
from watcher.receivers.links import Links
from watcher.settings import Settings
from watcher.store import Store

Spawn = Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None]]
"""Has something run for as long as the daemon does, under this name."""


@dataclass(slots=True)
class _Served:
    """A receiver as it is configured, and what runs for it."""

    section: AnyReceiverSettings
    links: Links
    receiver: Receiver
    worker: DeliveryWorker
    working: asyncio.Task[None]
    refresher: Refresher | None = None
    refreshing: asyncio.Task[None] | None = None


@dataclass(slots=True)
class ReceiversChange:
    """The receivers that are new or others than before, built, and the links that all are built with."""

    sections: dict[str, AnyReceiverSettings]
    links: Links
    built: dict[str, Receiver] = field(default_factory=dict)


class Receivers:
    """The receivers that run, by name. They change in two steps: `prepare`, which may fail, and `swap`."""

    def __init__(
        self,
        *,
        store: Store,
        quiet: QuietKeeper,
        output: TextIO,
        clock: Clock,
        rng: random.Random,
        observer: Observer,
        spawn: Spawn,
    ) -> None:
        self._store = store
        self._quiet = quiet
        self._output = output
        self._clock = clock
        self._rng = rng
        self._observer = observer
        self._spawn = spawn
        self._served: dict[str, _Served] = {}
        self._ending: list[Receiver] = []
        self._leaving: set[asyncio.Task[None]] = set()
        self._open: list[Receiver] = []

    def prepare(self, settings: Settings) -> ReceiversChange:
        """Build what is new; raises ConfigurationError, nothing changed."""
        sections = {section.name: section for section in settings.receivers}
        change = ReceiversChange(sections=sections, links=links(settings))
        tools = ReceiverTools(
            clock=self._clock, output=self._output, links=change.links, notebook=self._store, observer=self._observer
        )
        for name, section in sections.items():
            served = self._served.get(name)
            if served is None or (served.section, served.links) != (section, change.links):
                change.built[name] = section.build(tools)
                self._open.append(change.built[name])
        return change

    def swap(self, change: ReceiversChange) -> None:
        """What is prepared is served from now on. Tries under way end as they began."""
        for name in self._served.keys() - change.sections.keys():
            self._leave(self._served.pop(name))
        for name, receiver in change.built.items():
            self._serve(change.sections[name], change.links, receiver)
        self._served = {name: self._served[name] for name in change.sections}

    async def tidy(self) -> None:
        """Close what was built and is not served after all."""
        used = [*(served.receiver for served in self._served.values()), *self._ending]
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

    def _serve(self, section: AnyReceiverSettings, links: Links, receiver: Receiver) -> None:
        policy, served = delivery_policy(section), self._served.get(section.name)
        if served is None:
            worker = DeliveryWorker(
                receiver=receiver,
                store=self._store,
                quiet=self._quiet,
                policy=policy,
                clock=self._clock,
                rng=self._rng,
                observer=self._observer,
            )
            working = self._spawn(worker.run(), f"deliveries to {section.name}")
            served = self._served[section.name] = _Served(section, links, receiver, worker, working)
        else:
            under_way = served.worker.serve(receiver, policy)
            self._close_after(under_way, served)
            served.section, served.links, served.receiver = section, links, receiver
        served.refresher = served.refreshing = None
        if isinstance(receiver, StandingReceiver):
            served.refresher = Refresher(
                receiver=receiver,
                store=self._store,
                send_resolved=policy.send_resolved,
                timeout_s=policy.timeout_s,
                clock=self._clock,
                observer=self._observer,
            )
            served.refreshing = self._spawn(served.refresher.run(), f"refreshing {section.name}")

    def _leave(self, served: _Served) -> None:
        served.worker.leave()
        self._leaving.add(served.working)
        served.working.add_done_callback(self._leaving.discard)
        self._close_after(served.working, served)

    def _close_after(self, work: asyncio.Future[Any], served: _Served) -> None:
        """Close a receiver that is asked for nothing new, when what it has under way has ended."""
        receiver, refreshing = served.receiver, served.refreshing
        self._ending.append(receiver)
        if refreshing is not None:
            refreshing.cancel()

        async def close() -> None:
            try:
                await asyncio.wait([work, *([refreshing] if refreshing is not None else [])])
            finally:
                self._ending.remove(receiver)
                await self._close(receiver)

        closing = self._spawn(close(), f"closing {receiver.name}")
        self._leaving.add(closing)
        closing.add_done_callback(self._leaving.discard)
