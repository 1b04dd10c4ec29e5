"""Sources: whether they answer, how fast they are asked, and what they have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from watcher.core.clock import Clock
from watcher.core.event_json import alert_to_json, optional_time_to_json
from watcher.core.facts import CycleFinished, Fact, SourceFailed, SourceRecovered
from watcher.core.ports import InstanceView
from watcher.ops.api.configured import Present, SourceInfo
from watcher.ops.api.endpoint import Endpoint
from watcher.ops.api.requests import PageQuery
from watcher.ops.api.shapes import SourceList
from watcher.ops.api.views import page_of, word_of


@dataclass(slots=True)
class _Seen:
    """What is known of a source's answers in this run."""

    last_cycle: CycleFinished | None = None
    last_success_at: datetime | None = None
    failing_since: datetime | None = None
    retry_at: datetime | None = None
    error: str | None = None

    @property
    def state(self) -> str:
        """`up`, `down` or `untried`."""
        if self.error is not None:
            return "down"
        return "up" if self.last_success_at is not None else "untried"


class SourceLog:
    """An observer that remembers how each source answered last."""

    def __init__(self, *, clock: Clock) -> None:
        self._clock = clock
        self._seen: dict[str, _Seen] = {}

    def __call__(self, fact: Fact) -> None:
        """Note what happened."""
        match fact:
            case CycleFinished(source):
                seen = self.of(source)
                seen.last_cycle = fact
                if fact.ok:
                    seen.last_success_at = fact.at
            case SourceFailed(source, error, retry_in_s):
                seen, now = self.of(source), self._clock.now()
                seen.failing_since = seen.failing_since or now
                seen.error = str(error)
                seen.retry_at = now + timedelta(seconds=retry_in_s)
            case SourceRecovered(source):
                seen = self.of(source)
                seen.failing_since = seen.retry_at = seen.error = None
            case _:
                pass

    def of(self, source: str) -> _Seen:
        """What is known of one."""
        return self._seen.setdefault(source, _Seen())

    def watch(self, sources: Collection[str]) -> None:
        """These are the sources from now on."""
        self._seen = {source: seen for source, seen in self._seen.items() if source in sources}

    def down(self) -> int:
        """How many do not answer."""
        return sum(seen.error is not None for seen in self._seen.values())


class Sources:
    """The handlers of `/sources`."""

    def __init__(self, *, configured: Present, log: SourceLog, view: InstanceView) -> None:
        self._configured = configured
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
        cycle = seen.last_cycle
        return {
            "name": source.name,
            "region": source.region,
            "project_id": source.project_id,
            "state": seen.state,
            "last_success_at": optional_time_to_json(seen.last_success_at),
            "failing_since": optional_time_to_json(seen.failing_since),
            "error": seen.error,
            "retry_at": optional_time_to_json(seen.retry_at),
            "last_cycle_at": optional_time_to_json(cycle.at if cycle is not None else None),
            "cycle_duration_s": round(cycle.duration_s, 3) if cycle is not None else None,
            "lag_s": round(cycle.lag_s, 3) if cycle is not None else None,
            "pace": round(cycle.pace, 3) if cycle is not None else 1.0,
            "stretch": round(cycle.stretch, 3) if cycle is not None else 1.0,
            "stale": view.stale,
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
