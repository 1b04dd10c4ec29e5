"""Telling the other replicas how the sources answer that this one polls."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Protocol

from watcher.core.clock import Clock
from watcher.core.errors import StoreError
from watcher.core.facts import CycleFinished, Fact, SourceFailed, SourceRecovered
from watcher.core.ports import SourceView
from watcher.core.reports import SourceReport

_EVERY_S = 5.0


class ReportStore(Protocol):
    """Where it is told."""

    async def write_source_reports(self, told: Iterable[tuple[str, int, SourceReport]], *, now: datetime) -> None:
        """Source, token of the lease, and report; raises StoreError."""
        ...


class SourceReporter:
    """Writes what is new of the held sources every 5 s, and at once when one fails, recovers, or answers first."""

    def __init__(
        self,
        *,
        store: ReportStore,
        held: Callable[[], Iterable[tuple[str, int]]],
        report: Callable[[str], SourceReport],
        view: Callable[[str], SourceView],
        clock: Clock,
    ) -> None:
        """`held` are the sources with the tokens of their leases, `report` and `view` how one answers."""
        self._store = store
        self._held = held
        self._report = report
        self._view = view
        self._clock = clock
        self._told: dict[tuple[str, int], SourceReport] = {}
        self._untried: Collection[str] = ()
        self._wake = asyncio.Event()

    def __call__(self, fact: Fact) -> None:
        """Take up that a source is another."""
        match fact:
            case SourceRecovered() | SourceFailed(first=True):
                self._wake.set()
            case CycleFinished(source, ok=True) if source in self._untried:
                self._wake.set()
            case _:
                pass

    async def run(self) -> None:
        """Tell until cancelled."""
        while True:
            self._wake.clear()
            with suppress(StoreError):  # told by those who write states; the next time tells more
                await self.tell()
            await self._clock.wait(self._wake, _EVERY_S)

    async def tell(self) -> None:
        """Write what is new; raises StoreError."""
        present = {
            (source, token): replace(self._report(source), stale=self._view(source).stale)
            for source, token in self._held()
        }
        new = [(*key, report) for key, report in present.items() if self._told.get(key) != report]
        await self._store.write_source_reports(new, now=self._clock.now())
        self._told = present
        self._untried = {source for (source, _), report in present.items() if report.state == "untried"}
