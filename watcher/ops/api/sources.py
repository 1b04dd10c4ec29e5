"""Sources: whether they answer, how fast they are asked, and what they have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from watcher.core.clock import Clock
from watcher.core.event_json import alert_to_json, optional_time_to_json
from watcher.core.facts import CycleFinished, Fact, SourceFailed, SourceRecovered
from watcher.core.ports import InstanceView
from watcher.core.reports import SourceReport
from watcher.core.sharing import SOURCE, Roster, lease_name
from watcher.ops.api.configured import Present, SourceInfo
from watcher.ops.api.endpoint import Endpoint
from watcher.ops.api.requests import PageQuery
from watcher.ops.api.shapes import SourceList
from watcher.ops.api.views import page_of, word_of


class SourceLog:
    """An observer that remembers how each source answered last; `elsewhere` knows those that others poll."""

    def __init__(self, *, clock: Clock, elsewhere: Callable[[str], SourceReport | None] = lambda _: None) -> None:
        self._clock = clock
        self._elsewhere = elsewhere
        self._seen: dict[str, SourceReport] = {}

    def __call__(self, fact: Fact) -> None:
        """Note what happened."""
        match fact:
            case CycleFinished(source):
                self._seen[source] = replace(
                    self.of(source),
                    last_cycle_at=fact.at,
                    cycle_duration_s=round(fact.duration_s, 3),
                    lag_s=round(fact.lag_s, 3),
                    pace=round(fact.pace, 3),
                    stretch=round(fact.stretch, 3),
                )
                if fact.ok:
                    self._seen[source] = replace(self._seen[source], last_success_at=fact.at)
            case SourceFailed(source, error, retry_in_s):
                seen, now = self.of(source), self._clock.now()
                self._seen[source] = replace(
                    seen,
                    failing_since=seen.failing_since or now,
                    error=str(error),
                    retry_at=now + timedelta(seconds=retry_in_s),
                )
            case SourceRecovered(source):
                self._seen[source] = replace(self.of(source), failing_since=None, retry_at=None, error=None)
            case _:
                pass

    def of(self, source: str) -> SourceReport:
        """What is known of one."""
        return self._seen.get(source) or self._elsewhere(source) or SourceReport()

    def watch(self, sources: Collection[str]) -> None:
        """These are the sources that are polled here from now on."""
        self._seen = {source: seen for source, seen in self._seen.items() if source in sources}


class Sources:
    """The handlers of `/sources`."""

    def __init__(
        self, *, configured: Present, log: SourceLog, view: InstanceView, roster: Callable[[], Roster]
    ) -> None:
        self._configured = configured
        self._roster = roster
        self._log = log
        self._view = view

    def endpoints(self) -> Iterator[Endpoint]:
        """What may be asked."""
        yield Endpoint(
            method="GET",
            path="/sources",
            summary="The sources, by name: whether they answer, and how they are asked",
            handler=self._list,
            query=PageQuery,
            answer=SourceList,
        )

    async def _list(self, query: PageQuery) -> Mapping[str, Any]:
        return page_of(self._configured().sources, query, key=lambda source: (source.name,), show=self._show)

    def _show(self, source: SourceInfo) -> dict[str, Any]:
        seen, view = self._log.of(source.name), self._view.sources()[source.name]
        states = self._view.states()[source.name]
        return {
            "name": source.name,
            "region": source.region,
            "project_id": source.project_id,
            "state": seen.state,
            "last_success_at": optional_time_to_json(seen.last_success_at),
            "failing_since": optional_time_to_json(seen.failing_since),
            "error": seen.error,
            "retry_at": optional_time_to_json(seen.retry_at),
            "last_cycle_at": optional_time_to_json(seen.last_cycle_at),
            "cycle_duration_s": seen.cycle_duration_s,
            "lag_s": seen.lag_s,
            "pace": seen.pace,
            "stretch": seen.stretch,
            "stale": view.stale,
            "replica": self._roster().holders.get(lease_name(SOURCE, source.name)),
            "instances": len(states),
            "by_status": dict(Counter(map(word_of, states))),
            "poll": {
                "interval_s": source.interval_s,
                "steady_interval_s": source.steady_interval_s,
                "mode": source.mode,
            },
            "console_url": self._configured().pages.console(source.name),
            "alerts": [alert_to_json(alert) for alert in view.alerts],
        }
