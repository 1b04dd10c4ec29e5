"""The other replicas: what they are told, what they say, and what is seen of what they do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from typing import Any

from watcher.app.mirror import Mirror, Whole
from watcher.app.receivers import Receivers
from watcher.app.reporting import SourceReporter
from watcher.app.sharing import Sharing, source_lease
from watcher.app.sources import Sources
from watcher.core.clock import Clock
from watcher.core.errors import StoreError
from watcher.core.facts import Fact
from watcher.core.reports import SourceReport
from watcher.delivery import QuietKeeper
from watcher.ops import EventStream
from watcher.policies import watched_of
from watcher.settings import Settings
from watcher.store import Store, signals

InBackground = Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None]]


class Others:
    """What there is of other replicas, where the store is shared; an observer of facts."""

    def __init__(
        self,
        *,
        store: Store,
        sharing: Sharing,
        sources: Sources,
        receivers: Receivers,
        quiet: QuietKeeper,
        stream: EventStream,
        report: Callable[[str], SourceReport],
        in_background: InBackground,
        clock: Clock,
    ) -> None:
        """`report` is how a source answers that is polled here."""
        self._store = store
        self._sharing = sharing
        self._sources = sources
        self._receivers = receivers
        self._quiet = quiet
        self._stream = stream
        self._in_background = in_background
        self._clock = clock
        self._settings: Settings | None = None
        self._mirror = Mirror(store=store, held=lambda: sources.held, clock=clock)
        self.whole = Whole(held=sources, mirror=self._mirror)
        """All sources, whoever polls them, as of the last `refresh`."""
        self.refresh = self._mirror.refresh
        self.report = self._mirror.report
        self._reporter = SourceReporter(
            store=store, held=self._held, report=report, view=lambda source: sources.sources()[source], clock=clock
        )

    def __call__(self, fact: Fact) -> None:
        """Take up what they are to be told."""
        self._reporter(fact)

    def watch(self, settings: Settings) -> None:
        """These are the settings from now on."""
        if settings is self._settings:  # asked anew for each lease that comes or goes: thousands, perhaps
            return
        self._settings = settings
        self._mirror.watch(watched_of(source, settings) for source in settings.sources)

    async def tell(self) -> None:
        """Tell them how the sources answer, until cancelled."""
        await self._reporter.run()

    async def listen(self) -> None:
        """Do what they say is needed, until cancelled."""
        from watcher.store.listening import listen  # noqa: PLC0415 - an extra's driver

        await listen(self._store.engine, self, clock=self._clock)

    def signalled(self, topic: str, *details: Any) -> None:
        """A replica, perhaps this one, says so."""
        match topic:
            case signals.DELIVERIES:
                self._receivers.wake()
            case signals.QUIET:
                self._in_background(self._look_at_quiet(), "silences")
            case signals.ACKNOWLEDGED:
                self._receivers.refresh()
            case signals.ROSTER:
                self._sharing.notify()
            case signals.STATES:
                self._mirror.changed(*details)
                self._stream.notify()
            case _:
                pass  # of a later version

    def missed_signals(self) -> None:
        """Anything may have been said."""
        for topic in signals.TOPICS:
            self.signalled(topic)

    def unwell(self) -> str | None:
        """Why all of the replicas together are not well; None when they are."""
        if neglected := self._sharing.neglected():
            return f"no replica has taken {', '.join(neglected)}"
        others = (each for each in self._sharing.roster().replicas if each.id != self._sharing.replica_id)
        return next((f"replica {each.name}: {each.unwell}" for each in others if each.unwell is not None), None)

    def _held(self) -> Iterator[tuple[str, int]]:
        for source in self._sources.held:
            lease = self._sharing.lease(source_lease(source))
            if lease is not None:
                yield source, lease.token

    async def _look_at_quiet(self) -> None:
        with suppress(StoreError):  # the workers look again
            await self._quiet.refresh()
