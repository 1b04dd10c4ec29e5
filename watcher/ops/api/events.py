"""What was: events, and what an instance was when."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from watcher.core.clock import Clock
from watcher.core.event_json import format_time, from_json, to_json
from watcher.core.model import Event
from watcher.core.ports import Entry, HistoryStore, InstanceView, Wanted
from watcher.core.timeline import spans_of
from watcher.ops.api.endpoint import Endpoint
from watcher.ops.api.instances import find_state
from watcher.ops.api.requests import EventsQuery, InstancePath, TimelineQuery
from watcher.ops.api.shapes import EventList, Timeline
from watcher.ops.api.views import listed, span_to_json
from watcher.ops.problems import Problem


class Events:
    """The handlers of `/events`, and of an instance's timeline."""

    def __init__(self, *, store: HistoryStore, view: InstanceView, clock: Clock) -> None:
        self._store = store
        self._view = view
        self._clock = clock

    def endpoints(self) -> Iterator[Endpoint]:
        """What may be asked."""
        yield Endpoint(
            method="GET",
            path="/events",
            summary="The events, oldest first, or newest first, from behind the one that `after` names",
            handler=self._list,
            query=EventsQuery,
            answer=EventList,
            problems={404: "The event that `after` names is not kept"},
        )
        yield Endpoint(
            method="GET",
            path="/instances/{source}/{id}/timeline",
            summary="What an instance was when, oldest first",
            handler=self._timeline,
            in_path=InstancePath,
            query=TimelineQuery,
            answer=Timeline,
            problems={404: "No such instance is watched"},
        )

    async def _list(self, query: EventsQuery) -> Mapping[str, Any]:
        after = None
        if query.after is not None:
            after = await self._store.position_of(query.after)
            if after is None:
                raise Problem(404, f"no event {query.after} is kept: it is older than store.retention, or of elsewhere")
        found = await self._store.entries(
            query.wanted(), after=after, limit=query.limit + 1, newest_first=query.order == "newest"
        )
        shown = found[: query.limit]
        items = (to_json(_event_of(entry)) for entry in shown)
        return listed(items, after=shown[-1].event_id if len(found) > query.limit else None)

    async def _timeline(self, path: InstancePath, query: TimelineQuery) -> Mapping[str, Any]:
        state = find_state(self._view, path)
        wanted = Wanted(sources=[state.key.source], instance_ids=[state.key.id])
        latest = await self._store.entries(wanted, limit=query.limit, newest_first=True)
        now = self._clock.now()
        spans = spans_of(map(_event_of, reversed(latest)))
        return {"now": format_time(now), **listed(span_to_json(span, now=now) for span in spans)}


def _event_of(entry: Entry) -> Event:
    """The event; one that an earlier version wrote has what it lacked."""
    return from_json(json.loads(entry.body))
