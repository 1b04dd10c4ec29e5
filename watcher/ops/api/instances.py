"""Instances as they are now."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from watcher.core.clock import Clock
from watcher.core.lifecycle import is_changing
from watcher.core.model import InstanceState, Presence, Severity, Status
from watcher.core.ports import InstanceView
from watcher.ops.api.configured import Present
from watcher.ops.api.endpoint import Endpoint
from watcher.ops.api.requests import InstancePath, InstancesQuery
from watcher.ops.api.shapes import InstanceDetail, InstanceList
from watcher.ops.api.views import Key, instance_to_json, page_of, record_of
from watcher.ops.problems import Problem

_FIRST = {"source": "/items/0/source", "id": "/items/0/id"}


class Instances:
    """The handlers of `/instances`."""

    def __init__(self, *, view: InstanceView, configured: Present, clock: Clock) -> None:
        self._view = view
        self._configured = configured
        self._clock = clock

    def endpoints(self) -> Iterator[Endpoint]:
        """What may be asked."""
        yield Endpoint(
            method="GET",
            path="/instances",
            summary="The instances watched, by source and id, or (`order=problems`) worst first and by name",
            handler=self._list,
            query=InstancesQuery,
            answer=InstanceList,
            leads_to={"Instances_show": _FIRST, "Events_timeline": _FIRST},
        )
        yield Endpoint(
            method="GET",
            path="/instances/{source}/{id}",
            summary="One instance, with the cloud's own record",
            handler=self._show,
            in_path=InstancePath,
            answer=InstanceDetail,
            problems={404: "No such instance is watched"},
        )

    async def _list(self, query: InstancesQuery) -> Mapping[str, Any]:
        now = self._clock.now()

        def show(state: InstanceState) -> dict[str, Any]:
            return instance_to_json(state, self._view.background(state), now=now, pages=self._configured().pages)

        key = _by_problems if query.order == "problems" else _by_id
        return page_of(self._chosen(query), query, key=key, show=show)

    def _chosen(self, query: InstancesQuery) -> Iterator[InstanceState]:
        words = query.q.casefold().split()
        for source, states in self._view.states().items():
            if query.source and source not in query.source:
                continue
            for state in states:
                if query.status and state.status not in query.status:
                    continue
                if query.presence and state.presence not in query.presence:
                    continue
                if query.alerting and not state.alerts:
                    continue
                if not words or self._has_all(words, state):
                    yield state

    def _has_all(self, words: Iterable[str], state: InstanceState) -> bool:
        text = f"{state.name} {state.key.id}".casefold()
        missed = [word for word in words if word not in text]
        if not missed:
            return True
        labels = [f"{name}={value}".casefold() for name, value in self._view.background(state).labels.items()]
        return all(any(word in label for label in labels) for word in missed)

    async def _show(self, path: InstancePath) -> Mapping[str, Any]:
        state = find_state(self._view, path)
        shown = instance_to_json(
            state, self._view.background(state), now=self._clock.now(), pages=self._configured().pages
        )
        return {**shown, "instance": record_of(state)}


def find_state(view: InstanceView, path: InstancePath) -> InstanceState:
    """The state of the instance that is named; raises a Problem."""
    by_source = view.states()
    if path.source not in by_source:
        raise Problem(404, f"no source is called {path.source!r}; configured: {', '.join(by_source) or 'none'}")
    state = next((state for state in by_source[path.source] if state.key.id == path.id), None)
    if state is None:
        raise Problem(404, f"no instance {path.id!r} of source {path.source!r} is watched, or it was not yet seen")
    return state


def _by_id(state: InstanceState) -> Key:
    return tuple(state.key)


def _by_problems(state: InstanceState) -> Key:
    return (_rank(state), state.name.casefold(), *state.key)


def _rank(state: InstanceState) -> str:
    if state.alerts:
        worst = max(alert.severity.rank for alert in state.alerts)
        return str(Severity.CRITICAL.rank - worst)
    if state.presence is not Presence.PRESENT:
        return "3" if state.presence is Presence.MISSING else "6"
    return "4" if is_changing(state.status) or state.status == Status.ACTIVE else "5"
