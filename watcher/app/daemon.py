"""The daemon: what runs, what it is told by, and in which order it starts, changes and stops."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Collection, Coroutine, Mapping
from contextlib import AsyncExitStack, suppress
from functools import partial
from typing import Any, TextIO

from watcher.app.configuration import ConfigurationFile
from watcher.app.files import FileWatch
from watcher.app.others import Others
from watcher.app.receivers import Receivers, ReceiversChange
from watcher.app.reloader import Reloader
from watcher.app.sharing import Alone, Sharing, Together, receiver_lease, source_lease
from watcher.app.sources import Sources, SourcesChange
from watcher.app.systemd import ServiceManager
from watcher.core.clock import Clock
from watcher.core.errors import ConfigurationError, StoreError
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
from watcher.core.sharing import RECEIVER, SOURCE, kind_of, subject_of
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
from watcher.polling import PollScheduler, close_orphans
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
        self._is_started = self._was_ready = self._is_draining = False

    async def run(self, stop: asyncio.Event, *, on_started: Callable[[str], None] = lambda _: None) -> None:
        """Work until `stop` is set, then drain. `on_started` is given the URL served.

        Raises ConfigurationError or StoreError when it cannot start.
        """
        async with AsyncExitStack() as stack:
            store = await open_store(
                self._settings.store.required_secret("url").reveal(),
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
            url = await server.start()
            on_started(url)
            self._service.ready(f"serving {url}")
            self._metrics(ConfigurationApplied(self._clock.now()))
            if not store.is_shared:
                await self._settle()
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
            store_for=lambda name: self._sharing.store(source_lease(name)),
            may_act=self._may_act,
            receivers_for=self._receivers_for,
            environment=self._environment,
            clock=self._clock,
            rng=self._rng,
            observer=self._observer,
        )
        self._receivers = Receivers(
            store=store,
            store_for=lambda name: self._sharing.store(receiver_lease(name)),
            may_act=self._may_act,
            quiet=self._quiet,
            output=self._output,
            clock=self._clock,
            rng=self._rng,
            observer=self._observer,
            spawn=lambda work, name: self._group.create_task(work, name=name),
        )
        self._sharing: Sharing = self._share(store)
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

    def _share(self, store: Store) -> Sharing:
        if not store.is_shared:
            return Alone(store=store, configured=self._leases, clock=self._clock)
        return Together(
            store=store,
            sources=self._sources,
            receivers=self._receivers,
            configured=self._leases,
            on_change=self._show,
            why_unwell=self._why_unwell,
            lease_ttl_s=self._settings.cluster.lease_ttl.total_seconds(),
            started_at=self._clock.now(),
            clock=self._clock,
            observer=self._observer,
        )

    def _leases(self) -> frozenset[str]:
        return leases(self._settings)

    def _may_act(self) -> bool:
        return self._sharing.may_act()

    async def _supervise(self, stop: asyncio.Event) -> None:
        polling = self._group.create_task(self._for_ever("scheduler", self._scheduler.run), name="scheduler")
        sharing = self._group.create_task(self._for_ever("sharing", self._sharing.run), name="sharing")
        if self._store.is_shared:
            self._spawn("signals", self._others.listen)
            self._spawn("reports", self._others.tell)
            self._in_background(self._settle_soon(), "settling")
        self._spawn("retention", self._keep_tidy)
        self._spawn("stream", self._stream.run)
        self._spawn("reload", self._reloader.run)
        if self._tls is not None:
            self._spawn("certificate", partial(self._renew, self._tls))
        self._spawn("watchdog", partial(self._service.run, self.stuck))
        self._is_started = True
        await stop.wait()
        self._is_draining = True
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
        if not self._is_draining:
            raise RuntimeError(f"{name} ended though nobody asked it to")

    # -- reload ----------------------------------------------------------------------------------------------------

    def ask_to_reload(self) -> None:
        """Have the configuration file read again soon."""
        self._reloader.ask()

    async def _apply(self, settings: Settings) -> None:
        if not self._is_started:
            raise ConfigurationError("the watcher is starting: ask again")
        async with self._sharing.moving:
            try:
                sources, receivers = await self._sources.prepare(settings), self._receivers.prepare(settings)
                await self._sources.hold(sources)
                if self._is_draining:
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
        self._in_background(self._settle_soon(), "settling")

    def _show(self) -> None:
        """Have those who count, log and keep quiet go by the settings, and by what of it is this replica's."""
        settings, beat = self._settings, self._settings.heartbeat
        held = {source.name for source in settings.sources if self._sharing.store(source_lease(source.name))}
        self._metrics.watch(measured(settings, held))
        self._progress.watch(
            steady_intervals_s=steady_intervals_s(settings, held),
            receivers=self._configured.receivers,
            beat_s=beat.interval.total_seconds() if beat is not None else 0.0,
        )
        self._source_log.watch(held)
        self._others.watch(settings)
        self._quiet.set_windows(windows(settings))

    async def _settle_soon(self) -> None:
        """Settle when those that are gone have ended what they had under way, and the store can be written."""
        await self._receivers.gone()
        while True:
            with suppress(StoreError):
                if self._sharing.settled:
                    await self._settle()
                    return
            await self._clock.sleep(_STORE_AGAIN_S)

    async def _settle(self) -> None:
        """What waits for receivers that are gone is dead, and alerts of sources that are gone are over.

        Gone is what no replica's configuration names.
        """
        named = self._leases() | self._sharing.roster().configured
        receivers = [subject_of(lease) for lease in named if kind_of(lease) == RECEIVER]
        await self._store.bury(receivers=receivers, now=self._clock.now())
        closed = await close_orphans(
            self._store,
            sources=[subject_of(lease) for lease in named if kind_of(lease) == SOURCE],
            rules=alert_rules(self._settings),
            receivers_for=self._routes.receivers_for,
            clock=self._clock,
        )
        if closed:
            self._observer(Committed(closed))

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

    def stuck(self) -> str | None:
        """What does not get on though it should: only a restart helps. None when all does."""
        return self._scheduler.why_stuck() or self._receivers.why_stuck()

    def unhealthy(self) -> str | None:
        """Why the watcher cannot do its work, None when it can."""
        return self._health.unhealthy() or self.stuck()

    def _told_of(self, source: str) -> SourceReport | None:
        return self._others.report(source)

    def _why_unwell(self) -> str | None:
        return self.unhealthy() or self._progress.why_not(oldest_pending_at=None)

    def not_ready(self) -> str | None:
        """Why the watcher is not to be asked yet, or not any more; None when it is."""
        if self._is_draining:
            return "it is draining"
        if self._was_ready:
            return None  # a source that a reload brings makes no difference to who asks for the others
        if not self._is_started:
            return "it is starting"
        if not self._sharing.settled:
            return "it has not yet joined the other replicas"
        untried = self._sources.untried
        self._was_ready = not untried
        return f"not yet tried: {', '.join(untried)}" if untried else None

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
            case ReplicasLost() if not self._is_draining:
                self._in_background(self._settle_soon(), "settling")
            case _:
                pass

    def _beat(self) -> asyncio.Task[None] | None:
        """The dead man's switch, where there is one."""
        section = self._settings.heartbeat
        if section is None:
            return None

        async def why_not() -> str | None:
            try:
                oldest_pending_at = await self._store.oldest_pending_at()
            except StoreError as error:
                return str(error)
            return (
                self.unhealthy() or self._progress.why_not(oldest_pending_at=oldest_pending_at) or self._others.unwell()
            )

        heartbeat = Heartbeat(
            url=section.required_secret("url"),
            interval_s=section.interval.total_seconds(),
            why_not=why_not,
            clock=self._clock,
            observer=self._observer,
        )
        return self._spawn("heartbeat", heartbeat.run)

    def _server(self) -> OpsServer:
        web = self._settings.web

        async def refresh() -> None:
            roster = self._sharing.roster()
            leases = sum(holder == self._sharing.replica_id for holder in roster.holders.values())
            self._metrics.set_sharing(leases=leases, replicas=len(roster.replicas))
            self._metrics.set_deliveries(await self._store.unfinished(), self._configured.receivers)

        api = Api(
            view=self._others.whole,
            quiet=self._quiet,
            store=self._store,
            configured=lambda: self._configured,
            log=self._source_log,
            reloads=self._reload_log,
            wellness=self,
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
            wellness=self,
            routes=[*api.routes(), *self._stream.routes(), *ReloadRoute(self._reloader.reload).routes()],
            guard=lambda: self._configured.guard,
            clock=self._clock,
            tls=self._tls,
            on_shutdown=self._stream.close,
        )
