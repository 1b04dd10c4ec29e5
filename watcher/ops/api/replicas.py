"""The replicas that share the work, and what each has of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from watcher.core.event_json import format_time
from watcher.core.sharing import RECEIVER, SOURCE, Replica, Roster, kind_of, subject_of
from watcher.ops.api.endpoint import Endpoint
from watcher.ops.api.requests import PageQuery
from watcher.ops.api.shapes import ReplicaList
from watcher.ops.api.views import page_of


class Replicas:
    """The handler of `/replicas`."""

    def __init__(self, *, roster: Callable[[], Roster], replica_id: Callable[[], str]) -> None:
        self._roster = roster
        self._replica_id = replica_id

    def endpoints(self) -> Iterator[Endpoint]:
        """What may be asked."""
        yield Endpoint(
            method="GET",
            path="/replicas",
            summary="The replicas that live, by id, and which sources each polls and which receivers it serves",
            handler=self._list,
            query=PageQuery,
            answer=ReplicaList,
        )

    async def _list(self, query: PageQuery) -> Mapping[str, Any]:
        roster = self._roster()

        def show(replica: Replica) -> dict[str, Any]:
            held = roster.held_by(replica.id)
            return {
                "id": replica.id,
                "name": replica.name,
                "version": replica.version,
                "started_at": format_time(replica.started_at),
                "seen_at": format_time(replica.seen_at),
                "draining": replica.is_draining,
                "is_self": replica.id == self._replica_id(),
                "unwell": replica.unwell,
                "sources": [subject_of(lease) for lease in held if kind_of(lease) == SOURCE],
                "receivers": [subject_of(lease) for lease in held if kind_of(lease) == RECEIVER],
            }

        return page_of(roster.replicas, query, key=lambda replica: (replica.id,), show=show)
