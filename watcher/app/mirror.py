"""What other replicas poll, as the store knows it: so that each replica shows the whole."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from watcher.core.clock import Clock
from watcher.core.errors import StoreError
from watcher.core.lessons import Lessons
from watcher.core.lifecycle import is_changing
from watcher.core.model import InstanceKey, InstanceState, Presence, Step
from watcher.core.outage import source_key
from watcher.core.ports import Background, InstanceView, SourceView
from watcher.core.reports import SourceReport
from watcher.core.watchlist import Watchlist
from watcher.polling import Watched

_REPORTS_S = 1.0  # they are not read more often than this, however many ask
_AT_ONCE = 4
_CHANGED_AT_MOST = 5000  # of a source: more than these are read with the rest


class MirroredStore(Protocol):
    """What is kept of sources. Every method raises StoreError."""

    async def load(self, source: str, ids: Collection[str] | None = None) -> dict[InstanceKey, InstanceState]:
        """What is remembered of a source's instances; None: of all."""
        ...

    async def steps(self, source: str) -> Iterable[Step]:
        """The latest steps of a source that went well."""
        ...

    async def source_reports(self) -> dict[str, SourceReport]:
        """The last report of every source."""
        ...


@dataclass(slots=True)
class _Picture:
    """A source as it was last read; `changed` are instances that are others by now, None: perhaps all."""

    watched: Watched
    watchlist: Watchlist
    states: dict[str, InstanceState] = field(default_factory=dict)
    lessons: Lessons = field(default_factory=Lessons)
    changed: set[str] | None = None


class Mirror:
    """Pictures of the sources that are not `held`. They are taken when somebody asks, and then kept true.

    Nothing is read while nobody looks. Of what has changed only that is read, as the others tell what it is.
    """

    def __init__(self, *, store: MirroredStore, held: Callable[[], Collection[str]], clock: Clock) -> None:
        self._store = store
        self._held = held
        self._clock = clock
        self._watched: dict[str, Watched] = {}
        self._pictures: dict[str, _Picture] = {}
        self._reports: dict[str, SourceReport] = {}
        self._reports_s = float("-inf")
        self._refreshing = asyncio.Lock()

    def watch(self, watched: Iterable[Watched]) -> None:
        """These are the sources from now on."""
        self._watched = {each.source: each for each in watched}
        kept = {name: picture for name, picture in self._pictures.items() if self._watched.get(name) == picture.watched}
        self._pictures = kept

    def changed(self, source: str | None = None, ids: Collection[str] | None = None) -> None:
        """These instances (None: any) of the source (None: of any) are others by now."""
        for name in (source,) if source is not None else tuple(self._pictures):
            picture = self._pictures.get(name)
            if picture is None or picture.changed is None:
                continue
            picture.changed = picture.changed | set(ids) if ids is not None else None
            if picture.changed is not None and len(picture.changed) > _CHANGED_AT_MOST:
                picture.changed = None

    async def refresh(self) -> None:
        """Bring the pictures up to date; while the store cannot be read they stay as they are. Raises nothing."""
        async with self._refreshing:
            held = self._held()
            away = [name for name in self._watched if name not in held]
            self._pictures = {name: picture for name, picture in self._pictures.items() if name not in held}
            if not away:
                return
            try:
                await self._read(away)
            except StoreError:
                return  # told by those who have to write to it

    async def _read(self, away: Collection[str]) -> None:
        now_s = self._clock.monotonic()
        if now_s >= self._reports_s + _REPORTS_S:
            self._reports = await self._store.source_reports()
            self._reports_s = now_s
        several = asyncio.Semaphore(_AT_ONCE)

        async def catch_up(name: str) -> None:
            async with several:
                await self._catch_up(name)

        problems = await asyncio.gather(*map(catch_up, away), return_exceptions=True)
        for problem in problems:
            if problem is not None:
                raise problem

    async def _catch_up(self, name: str) -> None:
        watched = self._watched[name]
        picture = self._pictures.get(name) or _Picture(watched, Watchlist(watched.instances, watched.discover))
        wanted, picture.changed = picture.changed, set()
        if wanted is not None and not wanted:
            return
        self._pictures[name] = picture
        try:
            if wanted is None or any(is_changing(state.status) for state in map(picture.states.get, wanted) if state):
                picture.lessons = Lessons(await self._store.steps(name))
            states = await self._store.load(name, wanted)
        except BaseException:  # also cancelled, when who asked has gone
            picture.changed = None
            raise
        for key, state in states.items():
            picture.states[key.id] = state
            if state.presence is not Presence.DELETED:
                picture.watchlist.remember(state)
            elif not picture.watchlist.is_configured(key.id):
                picture.watchlist.drop(key.id)

    # -- what is seen ----------------------------------------------------------------------------------------------

    @property
    def sources(self) -> Collection[str]:
        """All that are configured, in their order."""
        return self._watched.keys()

    def states(self, source: str) -> list[InstanceState]:
        """The state of every watched instance of a source, as last read."""
        picture = self._pictures.get(source)
        if picture is None:
            return []
        return [state for key, state in picture.states.items() if key in picture.watchlist.ids]

    def view(self, source: str) -> SourceView:
        """How a source is, as last read."""
        picture, report = self._pictures.get(source), self._reports.get(source)
        own = picture.states.get(source_key(source).id) if picture is not None else None
        return SourceView(alerts=own.alerts if own is not None else (), stale=report.stale if report is not None else 0)

    def report(self, source: str) -> SourceReport | None:
        """What its holder last told of a source."""
        return self._reports.get(source)

    def background(self, state: InstanceState) -> Background:
        """What is known of an instance beside its state."""
        picture = self._pictures.get(state.key.source)
        if picture is None:
            return Background()
        lasts = is_changing(state.status) and state.presence is Presence.PRESENT
        return Background(
            labels=picture.watchlist.labels(state.key.id, name=state.name, record=state.record),
            expected=picture.lessons.expectation(state.image_source, state.status) if lasts else None,
            seen_at=max(self._seen_after(picture, state), state.observed_at),
        )

    def _seen_after(self, picture: _Picture, state: InstanceState) -> datetime:
        """Since when at the latest: where all that is due was observed, nobody was longer ago than an interval."""
        report, policy = self._reports.get(state.key.source), picture.watched.policy
        if report is None or report.last_success_at is None or report.error is not None or report.stale:
            return state.observed_at
        interval_s = policy.interval_s if is_changing(state.status) else policy.steady_interval_s
        return report.last_success_at - timedelta(seconds=interval_s * report.stretch)


class HeldView(InstanceView, Protocol):
    """What this replica polls."""

    @property
    def held(self) -> Collection[str]:
        """The sources that it polls."""
        ...


class Whole:
    """All sources as one: those that this replica holds from its memory, the others by the mirror."""

    def __init__(self, *, held: HeldView, mirror: Mirror) -> None:
        self._held = held
        self._mirror = mirror

    def states(self) -> Mapping[str, Collection[InstanceState]]:
        """The present state of every instance, by source."""
        held = self._held.states()
        return {name: held[name] if name in held else self._mirror.states(name) for name in self._mirror.sources}

    def sources(self) -> Mapping[str, SourceView]:
        """The present state of every source."""
        held = self._held.sources()
        return {name: held[name] if name in held else self._mirror.view(name) for name in self._mirror.sources}

    def background(self, state: InstanceState) -> Background:
        """What is known of an instance beside this state of it."""
        of = self._held if state.key.source in self._held.held else self._mirror
        return of.background(state)
