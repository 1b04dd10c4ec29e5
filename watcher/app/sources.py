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
_MAY_AGAIN_S = 0.5
_STARTED_AT_ONCE = 4  # each reads all that is known of a source: the store has only so many connections
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
    """What is ready to run: a plan for each source, and the pollers of `new` ones that are held."""

    plans: dict[str, _Plan] = field(default_factory=dict)
    new: dict[str, SourcePoller] = field(default_factory=dict)


class Sources:
    """The sources that run, by name: those that are configured, as far as this replica holds them.

    The configuration changes in steps: `prepare`, which may fail; `hold`, which may fail and is undone then; `swap`,
    which waits for nothing; in any case `tidy`. In between, what is held changes by `take`, `give` and `drop`.
    """

    def __init__(
        self,
        *,
        scheduler: PollScheduler,
        store_for: Callable[[str], StateStore | None],
        may_act: Callable[[], bool],
        receivers_for: Callable[[Event], tuple[str, ...]],
        environment: Mapping[str, str],
        clock: Clock,
        rng: random.Random,
        observer: Observer,
    ) -> None:
        """`store_for` is the store to write a source's states to; None while another replica holds it.

        `may_act`: whether nobody else may have taken over what is held.
        """
        self._scheduler = scheduler
        self._store_for = store_for
        self._may_act = may_act
        self._receivers_for = receivers_for
        self._environment = environment
        self._clock = clock
        self._rng = rng
        self._observer = observer
        self._plans: dict[str, _Plan] = {}
        self._running: dict[str, _Source] = {}
        self._open: list[CloudApi] = []
        self._starting = asyncio.Semaphore(_STARTED_AT_ONCE)

    async def prepare(self, settings: Settings) -> SourcesChange:
        """Open what is new and load what is known of it; raises ConfigurationError or StoreError, nothing changed."""
        change = SourcesChange()
        for source in settings.sources:
            plan = change.plans[source.name] = self._plan(source, settings)
            store = self._store_for(source.name)
            if source.name not in self._running and store is not None:
                change.new[source.name] = await self._started(plan, store)
        return change

    def _plan(self, source: SourceSettings, settings: Settings) -> _Plan:
        old, connection = self._plans.get(source.name), _connection(source, settings)
        if old is not None and old.connection == connection:
            api = old.api
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
                raise _unwritten(name)

    def swap(self, change: SourcesChange) -> None:
        """What is prepared runs from now on, in the order of the configuration."""
        before, self._running, self._plans = self._running, {}, change.plans
        for name, plan in change.plans.items():
            old, store = before.get(name), self._store_for(name)
            if old is not None and old.plan == plan:
                self._running[name] = old
            elif old is not None and store is not None:
                self._run(plan, self._poller(plan, store, old.poller))
            elif name in change.new:
                self._run(plan, change.new[name])
        for name in before.keys() - self._running.keys():
            self._scheduler.remove(name)

    async def take(self, name: str) -> None:
        """Run a source that is held from now on; raises StoreError."""
        plan, store = self._plans.get(name), self._store_for(name)
        if plan is not None and store is not None and name not in self._running:
            self._run(plan, await self._started(plan, store))

    async def give(self, name: str) -> None:
        """Run a source no more, when its cycle has ended.

        Raises StoreError when what was seen of it cannot be written down, and then it goes on.
        """
        if name not in self._running:
            return
        await self._scheduler.hold(name)
        if not await self._running[name].poller.flush():
            self._schedule(self._running[name])
            raise _unwritten(name)
        del self._running[name]
        self._scheduler.remove(name)

    async def drop(self) -> None:
        """Run nothing any more, from now on, and write nothing down."""
        while self._running:
            name, _ = self._running.popitem()
            await self._scheduler.cancel(name)
            self._scheduler.remove(name)

    async def tidy(self) -> None:
        """Close the clients that are used no more, or not after all."""
        used = [plan.api for plan in self._plans.values()]
        for api in [api for api in self._open if api not in used]:
            self._open.remove(api)
            await api.close()

    async def close(self) -> None:
        """Close all clients."""
        while self._open:
            await self._open.pop().close()

    @property
    def held(self) -> list[str]:
        """Those that run."""
        return list(self._running)

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

    def _run(self, plan: _Plan, poller: SourcePoller) -> None:
        self._running[plan.watched.source] = _Source(plan, poller)
        self._schedule(self._running[plan.watched.source])

    def _schedule(self, source: _Source) -> None:
        async def cycle() -> float:
            return await source.poller.cycle() if self._may_act() else _MAY_AGAIN_S

        self._scheduler.add(source.poller.source, cycle, at_most_s=source.plan.cycle_at_most_s)

    async def _started(self, plan: _Plan, store: StateStore) -> SourcePoller:
        poller = self._poller(plan, store)
        async with self._starting:
            await poller.start()
        return poller

    def _poller(self, plan: _Plan, store: StateStore, before: SourcePoller | None = None) -> SourcePoller:
        return SourcePoller(
            watched=plan.watched,
            api=plan.api,
            store=store,
            receivers_for=self._receivers_for,
            clock=self._clock,
            rng=self._rng,
            observer=self._observer,
            before=before,
        )


def _unwritten(name: str) -> StoreError:
    return StoreError(f"what was seen of source {name} cannot be written to the store")


def _connection(source: SourceSettings, settings: Settings) -> _Connection:
    """All that a source's client is made of."""
    poll = settings.poll_for(source)
    how = source.model_copy(update={"poll": PollOverrides(), "instances": (), "discover": (), "console_url": None})
    return how, poll.timeout, poll.concurrency
