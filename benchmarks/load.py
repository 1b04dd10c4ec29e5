"""What is written to stores that are measured: the cloud's records as instances that change."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from benchmarks.server import Instances
from watcher.core.alerts import AlertRules
from watcher.core.detector import detect
from watcher.core.model import Instance, InstanceKey, InstanceState, Observation
from watcher.core.news import Context
from watcher.core.ports import Change

RECEIVERS = ("sink", "other")
_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_INSTANCES = 1000

Record = dict[str, Any]


class Load:
    """Instances that nobody has seen before; `series` tells them from those of other loads."""

    def __init__(self, series: int) -> None:
        self._series = series
        self._records = Instances(count=_INSTANCES, status="BUILDING", differs="nothing")
        self._numbers: Iterator[int] = count()

    def first(self, source: str) -> Change:
        """One that is seen for the first time; nobody is told."""
        return self.pair(source)[0]

    def pair(self, source: str) -> tuple[Change, Change]:
        """One that is seen for the first time, and its change: one event, told to all receivers."""
        place = next(self._numbers)
        record = self._records.record(place % _INSTANCES)
        key = InstanceKey(source, f"{self._series}-{place}")
        before = _seen(None, key, "BUILDING", record, _NOW).state
        return Change(state=before), _seen(before, key, "BUILT", record, _NOW + timedelta(seconds=15))


def _seen(state: InstanceState | None, key: InstanceKey, status: str, record: Record, at: datetime) -> Change:
    text = json.dumps({**record, "status": status}, separators=(",", ":"), sort_keys=True)
    instance = Instance(id=key.id, name=record["name"], status=status, record=text)
    seen = Observation(key=key, observed_at=at, instance=instance)
    after, events = detect(state, seen, Context(rules=AlertRules()))
    return Change(state=after, events=tuple((event, RECEIVERS) for event in events))
