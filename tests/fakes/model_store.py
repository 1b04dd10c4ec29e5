"""The store as dicts and lists: what `watcher.store.Store` does, said as simply as it can be, without I/O."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import datetime

from tests.fakes.model_queue import REPEATS, Bound, ModelQueue, alert_key, of_status, whole_ms
from watcher.core.event_json import from_json, to_json
from watcher.core.lessons import SAMPLES_KEPT
from watcher.core.model import AlertStatus, Event, InstanceKey, InstanceState, Step
from watcher.core.ports import Change, Explanation, Standing

_Told = Sequence[tuple[Event, tuple[str, ...]]]


class ModelStore(ModelQueue):
    """All that is remembered, in memory; every method is one step that nobody interrupts."""

    def __init__(self, seconds: Callable[[], float] = lambda: 0.0) -> None:
        """`seconds` is the server's clock, by which replicas expire."""
        super().__init__(seconds)
        self.states: dict[InstanceKey, InstanceState] = {}
        self.events: dict[str, Event] = {}
        self._sizes: dict[str, int] = {}
        self._steps: list[Step] = []
        self._notes: dict[tuple[str, str], str] = {}

    async def close(self) -> None:
        """There is nothing to close."""

    async def load(self, source: str) -> dict[InstanceKey, InstanceState]:
        return {key: state for key, state in self.states.items() if key.source == source}

    async def alerting_beyond(self, sources: Collection[str]) -> list[InstanceState]:
        return [state for key, state in self.states.items() if state.alerts and key.source not in sources]

    async def steps(self, source: str) -> list[Step]:
        kept: dict[tuple[str, str], int] = defaultdict(int)
        latest = []
        for step in reversed(self._steps):
            kept[step.image_source, step.status] += step.source == source
            if step.source == source and kept[step.image_source, step.status] <= SAMPLES_KEPT:
                latest.append(step)
        return latest[::-1]

    async def history(self, *, after: int = 0, limit: int = 1000) -> list[tuple[int, Event]]:
        return list(enumerate(self.events.values(), start=1))[after : after + limit]

    async def commit(self, changes: Sequence[Change], *, now: datetime) -> None:
        self._check()
        for change in changes:
            self.states[change.state.key] = _kept_state(change.state)
            self._steps += [replace(step, duration_s=round(step.duration_s * 1000) / 1000) for step in change.steps]
        told = [pair for change in changes for pair in change.events]
        for event, _ in told:
            self._write_event(event)
        self._bind(told)
        for event, receivers in told:
            for receiver, is_routed in self._recipients(event, receivers):
                size = self._sizes[event.id]
                self.deliver(self.events[event.id], receiver, size=size, is_routed=is_routed, now=whole_ms(now))
        for event, _ in told:
            for alert in of_status(event, AlertStatus.RESOLVED):
                for bound in self.bound[alert_key(alert)].values():
                    bound.ended_at, bound.ended_by = whole_ms(now), event.id
        for change in changes:
            known = self.events.get(change.explained.event_id) if change.explained is not None else None
            if change.explained is not None and known is not None and known.reason != change.explained.reason:
                self._explain(change.explained, now=whole_ms(now))

    def _explain(self, explained: Explanation, *, now: datetime) -> None:
        event = self.events[explained.event_id] = replace(self.events[explained.event_id], reason=explained.reason)
        self._sizes[event.id] = len(_body(event))
        self.reword(self.events[event.id], size=self._sizes[event.id], updating=explained.receivers, now=now)

    async def standing(self, receiver: str, *, ended_since: datetime) -> list[Standing]:
        found = []
        for key, bound_by in sorted(self.bound.items(), key=lambda item: item[0][::-1]):
            bound = bound_by.get(receiver)
            if bound is None or bound.told_at is None or (bound.ended_at and bound.ended_at < whole_ms(ended_since)):
                continue
            event = self.events[bound.event_id]
            alert = next(each for each in event.alerts if alert_key(each) == key)
            if bound.ended_at is not None:
                alert = replace(alert, status=AlertStatus.RESOLVED, ends_at=bound.ended_at)
            found.append(Standing(alert=alert, event=event, acknowledged=self._acknowledgements.get(key)))
        return found

    async def note(self, receiver: str, key: str) -> str | None:
        return self._notes.get((receiver, key))

    async def write_note(self, receiver: str, key: str, text: str | None, *, now: datetime) -> None:
        if text is None:
            self._notes.pop((receiver, key), None)
        else:
            self._notes[receiver, key] = text

    def _write_event(self, event: Event) -> None:
        if event.id not in self.events:
            body = _body(event)
            self.events[event.id] = from_json(json.loads(body))
            self._sizes[event.id] = len(body)

    def _bind(self, told: _Told) -> None:
        """Whoever is told that an alert fires is to be told of it, by the latest event that says so."""
        for event, receivers in told:
            for key in map(alert_key, of_status(event, AlertStatus.FIRING)):
                for receiver in (*receivers, *(self.bound[key] if event.kind in REPEATS else ())):
                    self.bound[key].setdefault(receiver, Bound(event.id)).event_id = event.id

    def _recipients(self, event: Event, routed: Sequence[str]) -> list[tuple[str, bool]]:
        reminded: dict[str, bool] = {}
        for alert in event.alerts:
            is_firing = alert.status is AlertStatus.FIRING
            if event.kind in REPEATS or not is_firing:
                for receiver in sorted(self.bound[alert_key(alert)]):
                    reminded[receiver] = reminded.get(receiver, False) or is_firing
        return [(name, True) for name in routed] + [each for each in reminded.items() if each[0] not in routed]


def _body(event: Event) -> str:
    return json.dumps(to_json(event), separators=(",", ":"), ensure_ascii=False)


def _kept_state(state: InstanceState) -> InstanceState:
    """The state as a store keeps it: absences are not, and times are in whole milliseconds."""
    search = state.search
    return replace(
        state,
        absences=0,
        since=whole_ms(state.since),
        observed_at=whole_ms(state.observed_at),
        told_at=_optional_ms(state.told_at),
        unconfirmed_at=_optional_ms(state.unconfirmed_at),
        search=replace(search, since=whole_ms(search.since), until=_optional_ms(search.until)) if search else None,
        changed_at=tuple(map(whole_ms, state.changed_at)),
        alerts=tuple(
            replace(
                alert,
                starts_at=whole_ms(alert.starts_at),
                ends_at=whole_ms(alert.ends_at) if alert.ends_at is not None else None,
            )
            for alert in state.alerts
        ),
    )


def _optional_ms(at: datetime | None) -> datetime | None:
    return whole_ms(at) if at is not None else None
