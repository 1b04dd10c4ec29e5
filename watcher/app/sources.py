"""What runs for the sources that are configured: a client of the cloud and a poller each."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from watcher.core.clock import Clock
from watcher.core.errors import StoreError
from watcher.core.facts import Observer
from watcher.core.model import Event, InstanceState
from watcher.core.ports import Background, CloudApi, SourceView, StateStore
from watcher.policies import open_source, watched_of
from watcher.polling import PollScheduler, SourcePoller, Watched
from watcher.settings import Settings, SourceSettings
from watcher.settings.polling import PollOverrides

_CYCLE_AT_MOST_S = 300.0
_TIMEOUTS = 5  # one request after another that a cycle may have to wait for: token, page, job, sub-job, and one more

_Connection = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class _Plan:
    """All that a source's poller works by, and how long a cycle of it may take."""

    watched: Watched
    connection: _Connection
    api: CloudApi
    cycle_at_most_s: float


@dataclass(frozen=True, slots=True)
class _Source:
    """What runs for a source."""

    plan: _Plan
    poller: SourcePoller


@dataclass(slots=True)
class SourcesChange:
    """What is ready to run: a plan for each source, and the pollers of `new` ones."""

    plans: dict[str, _Plan] = field(default_factory=dict)
    new: dict[str, SourcePoller] = field(default_factory=dict)


class Sources:
    """The sources that run, by name. They change in steps: `prepare`, which may fail; `hold`, which may fail and is
    undone then; `swap`, which waits for nothing; in any case `tidy`.
    """

    def __init__(
        self,
        *,
        scheduler: PollScheduler,
        store: StateStore,
        receivers_for: Callable[[Event], tuple[str, ...]],
        environment: Mapping[str, str],
        clock: Clock,
        rng: random.Random,
        observer: Observer,
    ) -> None:
        self._scheduler = scheduler
        self._store = store
        self._receivers_for = receivers_for
        self._environment = environment
        self._clock = clock
        self._rng = rng
        self._observer = observer
        self._running: dict[str, _Source] = {}
        self._open: list[CloudApi] = []

    async def prepare(self, settings: Settings) -> SourcesChange:
        """Open what is new and load what is known of it; raises ConfigurationError or StoreError, nothing changed."""
        change = SourcesChange()
        for source in settings.sources:
            plan = change.plans[source.name] = self._plan(source, settings)
            if source.name not in self._running:
                poller = change.new[source.name] = self._poller(plan)
                await poller.start()
        return change

    def _plan(self, source: SourceSettings, settings: Settings) -> _Plan:
        old, connection = self._running.get(source.name), _connection(source, settings)
        if old is not None and old.plan.connection == connection:
            api = old.plan.api
        else:
            api = open_source(
                source, settings, environment=self._environment, clock=self._clock, observer=self._observer
            )
            self._open.append(api)
        at_most_s = _CYCLE_AT_MOST_S + _TIMEOUTS * settings.poll_for(source).timeout.total_seconds()
        return _Plan(watched_of(source, settings), connection, api, at_most_s)

    async def hold(self, change: SourcesChange) -> None:
        """Let the cycles of what changes end; raises StoreError when what they found cannot be written down."""
        held = [name for name, source in self._running.items() if source.plan != change.plans.get(name)]
        await asyncio.gather(*map(self._scheduler.hold, held))
        for name in held:
            if name not in change.plans and not await self._running[name].poller.flush():
                for each in held:
                    self._schedule(self._running[each])
                raise StoreError(f"what was seen of source {name} cannot be written to the store")

    def swap(self, change: SourcesChange) -> None:
        """What is prepared runs from now on, in the order of the configuration."""
        before, self._running = self._running, {}
        for name, plan in change.plans.items():
            old = before.get(name)
            if old is not None and old.plan == plan:
                self._running[name] = old
                continue
            poller = change.new[name] if old is None else self._poller(plan, old.poller)
            self._running[name] = _Source(plan, poller)
            self._schedule(self._running[name])
        for name in before.keys() - self._running.keys():
            self._scheduler.remove(name)

    async def tidy(self) -> None:
        """Close the clients that are used no more, or not after all."""
        used = [source.plan.api for source in self._running.values()]
        for api in [api for api in self._open if api not in used]:
            self._open.remove(api)
            await api.close()

    async def close(self) -> None:
        """Close all clients."""
        while self._open:
            await self._open.pop().close()

    @property
    def untried(self) -> list[str]:
        """Those that were not yet asked."""
        return [name for name, source in self._running.items() if not source.poller.tried]

    def states(self) -> Mapping[str, Collection[InstanceState]]:
        """The present state of every instance, by source."""
        return {name: source.poller.states() for name, source in self._running.items()}

    def sources(self) -> Mapping[str, SourceView]:
        """The present state of every source."""
        return {name: source.poller.view() for name, source in self._running.items()}

    def background(self, state: InstanceState) -> Background:
        """What is known of an instance beside this state of it."""
        source = self._running.get(state.key.source)
        return source.poller.background(state) if source is not None else Background()

    def _schedule(self, source: _Source) -> None:
        self._scheduler.add(source.poller.source, source.poller.cycle, at_most_s=source.plan.cycle_at_most_s)

    def _poller(self, plan: _Plan, before: SourcePoller | None = None) -> SourcePoller:
        return SourcePoller(
            watched=plan.watched,
            api=plan.api,
            store=self._store,
            receivers_for=self._receivers_for,
            clock=self._clock,
            rng=self._rng,
            observer=self._observer,
            before=before,
        )


def _connection(source: SourceSettings, settings: Settings) -> _Connection:
    """All that a source's client is made of."""
    poll = settings.poll_for(source)
    how = source.model_copy(update={"poll": PollOverrides(), "instances": (), "discover": (), "console_url": None})
    return how, poll.timeout, poll.concurrency
