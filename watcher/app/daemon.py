"""The daemon: what runs, what it is told by, and in which order it starts, changes and stops."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Collection, Coroutine, Mapping
from contextlib import AsyncExitStack
from functools import partial
from typing import Any, TextIO

from watcher.app.configuration import ConfigurationFile
from watcher.app.files import FileWatch
from watcher.app.others import Others
from watcher.app.receivers import Receivers, ReceiversChange
from watcher.app.reloader import Reloader
from watcher.app.settling import Settler
from watcher.app.sharing import receiver_lease, share, source_lease
from watcher.app.sources import Sources, SourcesChange
from watcher.app.systemd import ServiceManager
from watcher.app.wellbeing import Wellbeing
from watcher.core.clock import Clock
from watcher.core.errors import ConfigurationError
from watcher.core.facts import (
    CertificateChanged,
    Committed,
    ConfigurationApplied,
    Fact,
    Observer,
    ReplicasLost,
    tell_all,
)
from watcher.core.model import Event, InstanceState
from watcher.core.ports import SourceView
from watcher.core.reports import SourceReport
from watcher.delivery import QuietKeeper
from watcher.logging import LogObserver, configure_logging
from watcher.metrics import Metrics
from watcher.ops import (
    Api,
    EventStream,
    Heartbeat,
    OpsServer,
    Progress,
    ReloadLog,
    ReloadRoute,
    SourceLog,
    StoreHealth,
    Tls,
)
from watcher.policies import alert_rules, configured, leases, measured, routing_table, steady_intervals_s, tls, windows
from watcher.polling import PollScheduler
from watcher.settings import Settings
from watcher.store import Store, keep_tidy, open_store

_POLLS_DEADLINE_S = 5.0
_DELIVERIES_DEADLINE_S = 15.0  # with the polls' 5 s well below the 30 s that Kubernetes waits before it kills
_STORE_AGAIN_S = 10.0

Work = Callable[[], Coroutine[Any, Any, None]]


class Daemon:
    """One watcher process. `run` returns after a drain, or raises what went wrong."""

    def __init__(
        self,
        *,
        settings: Settings,
        environment: Mapping[str, str],
        clock: Clock,
        rng: random.Random,
        output: TextIO,
        file: ConfigurationFile | None = None,
    ) -> None:
        """`file` is where the settings are from: it is watched, and read again when somebody asks."""
        self._settings = settings
        self._environment = environment
        self._clock = clock
        self._rng = rng
        self._output = output
        self._routes, self._configured = routing_table(settings), configured(settings, clock=clock)
        self._health = StoreHealth()
        self._metrics = Metrics(view=self)
        self._progress = Progress(clock=clock)
        self._source_log = SourceLog(clock=clock, elsewhere=self._told_of)
        self._reload_log = ReloadLog()
        self._scheduler = PollScheduler(clock=clock)
        self._tls: Tls | None = None
        self._background: set[asyncio.Task[None]] = set()
        self._beating: asyncio.Task[None] | None = None
        self._observer: Observer = tell_all(
            self._metrics,
            LogObserver(),
            self._health,
            self._progress,
            self._source_log,
            self._reload_log,
            self._tell_on,
        )
        self._service = ServiceManager(environment=environment, clock=clock)
        self._reloader = Reloader(
            file=file,
            running=lambda: self._settings,
            apply=self._apply,
            service=self._service,
            clock=clock,
            observer=self._observer,
        )

    async def run(self, stop: asyncio.Event, *, on_started: Callable[[str], None] = lambda _: None) -> None:
        """Work until `stop` is set, then drain. `on_started` is given the URL served.

        Raises ConfigurationError or StoreError when it cannot start.
        """
        async with AsyncExitStack() as stack:
            url = self._settings.store.required_secret("url")
            store = await open_store(
                url.reveal(),
                read_url=url.reveal,
                lease_ttl_s=self._settings.cluster.lease_ttl.total_seconds(),
            )
            stack.push_async_callback(store.close)
            self._build(store)
            self._show()
            await self._quiet.refresh()
            stack.push_async_callback(self._receivers.close)
            receivers = self._receivers.prepare(self._settings)
            stack.push_async_callback(self._sources.close)
            sources = await self._sources.prepare(self._settings)
            self._tls = tls(self._settings)
            self._tls_files = FileWatch(self._tls.files if self._tls is not None else (), clock=self._clock)
            server = self._server()
            stack.push_async_callback(server.close)
            self._sources.swap(sources)
            served = await server.start()
            on_started(served)
            self._service.ready(f"serving {served}")
            self._metrics(ConfigurationApplied(self._clock.now()))
            if not store.is_shared:
                await self._settler.settle()
            async with asyncio.TaskGroup() as group:
                self._group = group
                self._receivers.swap(receivers)
                self._beating = self._beat()
                await self._supervise(stop)

    def _build(self, store: Store) -> None:
        self._store = store
        self._stream = EventStream(store=store, clock=self._clock)
        self._quiet = QuietKeeper(store=store, clock=self._clock, on_change=self._look_again)
        self._sources = Sources(
            scheduler=self._scheduler,
            store_for=lambda name: self._store_for(source_lease(name)),
            may_act=self._may_act,
            receivers_for=self._receivers_for,
            environment=self._environment,
            clock=self._clock,
            rng=self._rng,
            observer=self._observer,
        )
        self._receivers = Receivers(
            store=store,
            store_for=lambda name: self._store_for(receiver_lease(name)),
            may_act=self._may_act,
            quiet=self._quiet,
            output=self._output,
            clock=self._clock,
            rng=self._rng,
            observer=self._observer,
            spawn=lambda work, name: self._group.create_task(work, name=name),
        )
        self._sharing = share(
            store=store,
            sources=self._sources,
            receivers=self._receivers,
            configured=self._leases,
            on_change=self._show,
            why_unwell=self._why_unwell,
            lease_ttl_s=self._settings.cluster.lease_ttl.total_seconds(),
            clock=self._clock,
            observer=self._observer,
        )
        self._others = Others(
            store=store,
            sharing=self._sharing,
            sources=self._sources,
            receivers=self._receivers,
            quiet=self._quiet,
            stream=self._stream,
            report=self._source_log.of,
            in_background=self._in_background,
            clock=self._clock,
        )
        self._settler = Settler(
            store=store,
            sharing=self._sharing,
            receivers=self._receivers,
            configured=self._leases,
            rules=lambda: alert_rules(self._settings),
            receivers_for=self._receivers_for,
            clock=self._clock,
            observer=self._observer,
        )
        self._wellbeing = Wellbeing(
            store=store,
            health=self._health,
            progress=self._progress,
            scheduler=self._scheduler,
            sources=self._sources,
            receivers=self._receivers,
            sharing=self._sharing,
            others=self._others,
        )

    def _leases(self) -> frozenset[str]:
        return leases(self._settings)

    def _store_for(self, lease: str) -> Store | None:
        """The store to work with for what is held by this lease; None when it is not."""
        if not self._store.is_shared:
            return self._store
        held = self._sharing.lease(lease)
        return self._store.under(held) if held is not None else None

    def _why_unwell(self) -> str | None:
        return self._wellbeing.unwell()

    def _may_act(self) -> bool:
        return self._sharing.may_act()

    async def _supervise(self, stop: asyncio.Event) -> None:
        polling = self._group.create_task(self._for_ever("scheduler", self._scheduler.run), name="scheduler")
        sharing = self._group.create_task(self._for_ever("sharing", self._sharing.run), name="sharing")
        if self._store.is_shared:
            self._spawn("signals", self._others.listen)
            self._spawn("reports", self._others.tell)
            self._in_background(self._settler.settle_soon(), "settling")
        self._spawn("retention", self._keep_tidy)
        self._spawn("stream", self._stream.run)
        self._spawn("reload", self._reloader.run)
        if self._tls is not None:
            self._spawn("certificate", partial(self._renew, self._tls))
        self._spawn("watchdog", partial(self._service.run, self._wellbeing.stuck))
        self._wellbeing.begin()
        await stop.wait()
        self._wellbeing.drain()
        self._service.stopping()
        for task in tuple(self._background):
            task.cancel()
        await self._sharing.hand_over(deadline_s=_POLLS_DEADLINE_S)
        await self._scheduler.stop(deadline_s=_POLLS_DEADLINE_S)
        await self._receivers.drain(deadline_s=_DELIVERIES_DEADLINE_S)
        await self._sharing.leave()
        sharing.cancel()
        await polling

    def _spawn(self, name: str, work: Work) -> asyncio.Task[None]:
        """Have something run that does not end before the watcher drains."""
        return self._in_background(self._for_ever(name, work), name)

    def _in_background(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = self._group.create_task(work, name=name)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task

    async def _for_ever(self, name: str, work: Work) -> None:
        await work()
        if not self._wellbeing.is_draining:
            raise RuntimeError(f"{name} ended though nobody asked it to")

    # -- reload ----------------------------------------------------------------------------------------------------

    def ask_to_reload(self) -> None:
        """Have the configuration file read again soon."""
        self._reloader.ask()

    async def _apply(self, settings: Settings) -> None:
        if not self._wellbeing.is_started:
            raise ConfigurationError("the watcher is starting: ask again")
        async with self._sharing.moving:
            try:
                sources, receivers = await self._sources.prepare(settings), self._receivers.prepare(settings)
                await self._sources.hold(sources)
                if self._wellbeing.is_draining:
                    raise ConfigurationError("the watcher is draining")
                self._swap(settings, sources, receivers)
            finally:
                await self._sources.tidy()
                await self._receivers.tidy()

    def _swap(self, settings: Settings, sources: SourcesChange, receivers: ReceiversChange) -> None:
        """From one set of settings to another at once: nothing is awaited here, so nobody sees half of each."""
        before, self._settings = self._settings, settings
        self._routes, self._configured = routing_table(settings), configured(settings, clock=self._clock)
        self._sources.swap(sources)
        self._receivers.swap(receivers)
        self._sharing.notify()
        self._show()
        if settings.log != before.log:
            configure_logging(level=settings.log.level, style=settings.log.format)
        if settings.heartbeat != before.heartbeat:
            if self._beating is not None:
                self._beating.cancel()
            self._beating = self._beat()
        self._in_background(self._settler.settle_soon(), "settling")

    def _show(self) -> None:
        """Have those who count, log and keep quiet go by the settings, and by what of it is this replica's."""
        settings, beat = self._settings, self._settings.heartbeat
        held = {source.name for source in settings.sources if self._store_for(source_lease(source.name))}
        self._metrics.watch(measured(settings, held))
        self._progress.watch(
            steady_intervals_s=steady_intervals_s(settings, held),
            receivers=self._configured.receivers,
            beat_s=beat.interval.total_seconds() if beat is not None else 0.0,
        )
        self._source_log.watch(held)
        self._others.watch(settings)
        self._quiet.set_windows(windows(settings))

    async def _renew(self, certificate: Tls) -> None:
        while True:
            await self._tls_files.changed()
            try:
                certificate.renew()
            except ConfigurationError as error:
                self._observer(CertificateChanged(str(error)))
            else:
                self._observer(CertificateChanged(None))

    async def _keep_tidy(self) -> None:
        await keep_tidy(
            self._store, retention=lambda: self._settings.store.retention, clock=self._clock, observer=self._observer
        )

    # -- what others look at ---------------------------------------------------------------------------------------

    def states(self) -> Mapping[str, Collection[InstanceState]]:
        """The present state of every instance, by source."""
        return self._sources.states()

    def sources(self) -> Mapping[str, SourceView]:
        """The present state of every source."""
        return self._sources.sources()

    def _told_of(self, source: str) -> SourceReport | None:
        return self._others.report(source)

    def _receivers_for(self, event: Event) -> tuple[str, ...]:
        return self._routes.receivers_for(event)

    def _look_again(self) -> None:
        self._receivers.look_again()

    def _tell_on(self, fact: Fact) -> None:
        self._stream(fact)
        self._others(fact)
        match fact:
            case Committed():
                self._receivers.wake()
            case ReplicasLost() if not self._wellbeing.is_draining:
                self._in_background(self._settler.settle_soon(), "settling")
            case _:
                pass

    def _beat(self) -> asyncio.Task[None] | None:
        """The dead man's switch, where there is one."""
        section = self._settings.heartbeat
        if section is None:
            return None

        heartbeat = Heartbeat(
            url=section.required_secret("url"),
            interval_s=section.interval.total_seconds(),
            why_not=self._wellbeing.why_no_beat,
            clock=self._clock,
            observer=self._observer,
        )
        return self._spawn("heartbeat", heartbeat.run)

    def _server(self) -> OpsServer:
        web = self._settings.web

        async def refresh() -> None:
            roster = self._sharing.roster()
            leases = sum(holder == self._sharing.replica_id for holder in roster.holders.values())
            neglected = len(self._sharing.neglected())
            self._metrics.set_sharing(leases=leases, neglected=neglected, replicas=len(roster.replicas))
            self._metrics.set_deliveries(await self._store.unfinished(), self._configured.receivers)

        api = Api(
            view=self._others.whole,
            quiet=self._quiet,
            store=self._store,
            configured=lambda: self._configured,
            log=self._source_log,
            reloads=self._reload_log,
            wellness=self._wellbeing,
            on_retry=self._receivers.wake,
            on_acknowledged=self._receivers.refresh,
            roster=self._sharing.roster,
            replica_id=lambda: self._sharing.replica_id,
            why_unwell=self._others.unwell,
            catch_up=self._others.refresh,
            clock=self._clock,
        )
        return OpsServer(
            host=web.listen.host,
            port=web.listen.port,
            registry=self._metrics.registry,
            refresh=refresh,
            wellness=self._wellbeing,
            routes=[*api.routes(), *self._stream.routes(), *ReloadRoute(self._reloader.reload).routes()],
            guard=lambda: self._configured.guard,
            clock=self._clock,
            tls=self._tls,
            on_shutdown=self._stream.close,
        )
