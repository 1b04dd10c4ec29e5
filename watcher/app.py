"""Builds the daemon from its settings and keeps it running: the only place that knows everybody."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import TextIO

from watcher.core.clock import Clock
from watcher.core.errors import StoreError
from watcher.core.facts import Committed, Fact, Observer, tell_all
from watcher.core.model import InstanceState
from watcher.core.ports import Background, CloudApi, Receiver, SourceView, StandingReceiver, StateStore
from watcher.delivery import DeliveryPolicy, DeliveryWorker, QuietKeeper, Refresher
from watcher.logging import LogObserver
from watcher.metrics import Metrics
from watcher.ops import Api, EventStream, Heartbeat, OpsServer, Progress, SourceLog, StoreHealth
from watcher.policies import (
    alert_rules,
    delivery_policy,
    guard,
    links,
    open_source,
    routing_table,
    source_infos,
    watched_of,
    windows,
)
from watcher.polling import PollScheduler, SourcePoller, close_orphans
from watcher.receivers.base import ReceiverTools
from watcher.settings import Settings, SourceSettings
from watcher.store import Store, keep_tidy, open_store

_POLLS_DEADLINE_S = 5.0
_DELIVERIES_DEADLINE_S = 15.0  # with the polls' 5 s well below the 30 s that Kubernetes waits before it kills


class Daemon:
    """One watcher process. `run` returns after a drain, or raises what went wrong."""

    def __init__(
        self, *, settings: Settings, environment: Mapping[str, str], clock: Clock, rng: random.Random, output: TextIO
    ) -> None:
        self._settings = settings
        self._environment = environment
        self._clock = clock
        self._rng = rng
        self._output = output
        self._pollers: list[SourcePoller] = []
        self._workers: list[DeliveryWorker] = []
        self._refreshers: list[Refresher] = []
        self._health = StoreHealth()
        self._draining = False

    async def run(self, stop: asyncio.Event, *, on_started: Callable[[str], None] = lambda _: None) -> None:
        """Work until `stop` is set, then drain. `on_started` is given the URL served.

        Raises ConfigurationError or StoreError when it cannot start.
        """
        async with AsyncExitStack() as stack:
            store = await open_store(self._settings.store.required_secret("url").reveal())
            stack.push_async_callback(store.close)
            metrics, progress = self._metrics(), self._progress()
            log, stream = SourceLog(clock=self._clock), EventStream(store=store, clock=self._clock)
            observer = tell_all(metrics, LogObserver(), self._health, progress, log, stream, self._wake_workers_of)
            quiet = QuietKeeper(
                store=store, windows=windows(self._settings), clock=self._clock, on_change=self._look_again
            )
            await quiet.refresh()
            receivers = await self._open_receivers(stack, store, observer)
            self._workers = [self._worker(receiver, store, quiet, observer) for receiver in receivers]
            self._refreshers = [
                self._refresher(receiver, store, observer)
                for receiver in receivers
                if isinstance(receiver, StandingReceiver)
            ]
            for source in self._settings.sources:
                api = open_source(
                    source, self._settings, environment=self._environment, clock=self._clock, observer=observer
                )
                stack.push_async_callback(api.close)
                self._pollers.append(self._poller(source, api, store, observer))
            server = self._server(metrics, store, quiet, log, stream)
            stack.push_async_callback(server.close)
            on_started(await server.start())
            metrics.config_loaded(at_s=self._clock.now().timestamp())
            now, sources = self._clock.now(), [source.name for source in self._settings.sources]
            await store.bury(receivers=[receiver.name for receiver in self._settings.receivers], now=now)
            await close_orphans(
                store,
                sources=sources,
                rules=alert_rules(self._settings),
                receivers_for=routing_table(self._settings).receivers_for,
                clock=self._clock,
            )
            for poller in self._pollers:
                await poller.start()
            endless = [
                keep_tidy(store, retention=self._settings.store.retention, clock=self._clock, observer=observer),
                stream.run(),
                *self._heartbeat(store, progress, observer),
                *(refresher.run() for refresher in self._refreshers),
            ]
            await self._supervise(stop, endless)

    async def _supervise(self, stop: asyncio.Event, endless: Sequence[Coroutine[None, None, None]]) -> None:
        scheduler = PollScheduler(clock=self._clock)
        for poller in self._pollers:
            scheduler.add(poller.source, poller.cycle)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._eternal("the scheduler", scheduler.run()), name="scheduler")
            workers = [
                group.create_task(self._eternal("a delivery worker", worker.run()), name="delivery")
                for worker in self._workers
            ]
            others = [group.create_task(self._eternal("a task", each)) for each in endless]
            await stop.wait()
            self._draining = True
            for task in others:
                task.cancel()
            await scheduler.stop(deadline_s=_POLLS_DEADLINE_S)
            for worker in self._workers:
                worker.drain()
            if workers:
                await asyncio.wait(workers, timeout=_DELIVERIES_DEADLINE_S)
            for task in workers:
                task.cancel()

    async def _eternal(self, what: str, work: Awaitable[None]) -> None:
        await work
        if not self._draining:
            raise RuntimeError(f"{what} ended though nobody asked it to")

    def states(self) -> Mapping[str, Collection[InstanceState]]:
        """The present state of every instance, by source."""
        return {poller.source: poller.states() for poller in self._pollers}

    def sources(self) -> Mapping[str, SourceView]:
        """The present state of every source."""
        return {poller.source: poller.view() for poller in self._pollers}

    def background(self, state: InstanceState) -> Background:
        """What is known of an instance beside this state of it."""
        poller = next(poller for poller in self._pollers if poller.source == state.key.source)
        return poller.background(state)

    def _wake_workers_of(self, fact: Fact) -> None:
        if isinstance(fact, Committed):
            self._wake_workers()

    def _wake_workers(self) -> None:
        for worker in self._workers:
            worker.notify()

    def _wake_refreshers(self) -> None:
        for refresher in self._refreshers:
            refresher.notify()

    def _look_again(self) -> None:
        for worker in self._workers:
            worker.look_again()

    def _progress(self) -> Progress:
        heartbeat = self._settings.heartbeat
        return Progress(
            steady_intervals_s={
                source.name: self._settings.poll_for(source).steady_interval.total_seconds()
                for source in self._settings.sources
            },
            beat_s=heartbeat.interval.total_seconds() if heartbeat is not None else 0.0,
            clock=self._clock,
        )

    def _heartbeat(self, store: Store, progress: Progress, observer: Observer) -> Iterator[Coroutine[None, None, None]]:
        """The dead man's switch, where there is one."""
        section = self._settings.heartbeat
        if section is None:
            return

        async def why_not() -> str | None:
            try:
                return self.unhealthy() or progress.why_not(oldest_pending_at=await store.oldest_pending_at())
            except StoreError as error:
                return str(error)

        yield Heartbeat(
            url=section.required_secret("url"),
            interval_s=section.interval.total_seconds(),
            why_not=why_not,
            clock=self._clock,
            observer=observer,
        ).run()

    def _metrics(self) -> Metrics:
        return Metrics(
            sources=[source.name for source in self._settings.sources],
            receivers={receiver.name: receiver.type for receiver in self._settings.receivers},
            alerts={name: severity.value for name, severity in alert_rules(self._settings).by_name.items()},
            view=self,
            instance_limit=self._settings.web.metrics_instance_limit,
        )

    async def _open_receivers(self, stack: AsyncExitStack, store: Store, observer: Observer) -> list[Receiver]:
        tools = ReceiverTools(
            clock=self._clock, output=self._output, links=links(self._settings), notebook=store, observer=observer
        )
        receivers = [section.build(tools) for section in self._settings.receivers]
        for receiver in receivers:
            stack.push_async_callback(receiver.close)
        return receivers

    def _delivery_policy(self, receiver: Receiver) -> DeliveryPolicy:
        return delivery_policy(next(each for each in self._settings.receivers if each.name == receiver.name))

    def _refresher(self, receiver: StandingReceiver, store: Store, observer: Observer) -> Refresher:
        policy = self._delivery_policy(receiver)
        return Refresher(
            receiver=receiver,
            store=store,
            send_resolved=policy.send_resolved,
            timeout_s=policy.timeout_s,
            clock=self._clock,
            observer=observer,
        )

    def _worker(self, receiver: Receiver, store: Store, quiet: QuietKeeper, observer: Observer) -> DeliveryWorker:
        return DeliveryWorker(
            receiver=receiver,
            store=store,
            quiet=quiet,
            policy=self._delivery_policy(receiver),
            clock=self._clock,
            rng=self._rng,
            observer=observer,
        )

    def _poller(self, source: SourceSettings, api: CloudApi, store: StateStore, observer: Observer) -> SourcePoller:
        return SourcePoller(
            watched=watched_of(source, self._settings),
            api=api,
            store=store,
            receivers_for=routing_table(self._settings).receivers_for,
            clock=self._clock,
            rng=self._rng,
            observer=observer,
        )

    def _server(
        self, metrics: Metrics, store: Store, quiet: QuietKeeper, log: SourceLog, stream: EventStream
    ) -> OpsServer:
        web, checks = self._settings.web, guard(self._settings)
        receivers = {receiver.name: receiver.type for receiver in self._settings.receivers}

        async def refresh() -> None:
            metrics.set_deliveries(await store.unfinished(), receivers)

        api = Api(
            view=self,
            quiet=quiet,
            store=store,
            sources=source_infos(self._settings),
            log=log,
            receivers=receivers,
            pages=links(self._settings),
            wellness=self,
            guard=checks,
            external_url=str(web.external_url) if web.external_url else None,
            on_retry=self._wake_workers,
            on_acknowledged=self._wake_refreshers,
            clock=self._clock,
        )
        return OpsServer(
            host=web.listen.host,
            port=web.listen.port,
            registry=metrics.registry,
            refresh=refresh,
            wellness=self,
            routes=[*api.routes(), *stream.routes()],
            guard=checks,
            on_shutdown=stream.close,
        )

    def unhealthy(self) -> str | None:
        """Why the watcher cannot do its work, None when it can."""
        return self._health.unhealthy()

    def not_ready(self) -> str | None:
        """Why the watcher is not to be asked yet, or not any more; None when it is."""
        if self._draining:
            return "it is draining"
        untried = [poller.source for poller in self._pollers if not poller.tried]
        return f"not yet tried: {', '.join(untried)}" if untried else None
