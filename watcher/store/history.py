"""Events as they were written, one after another."""

from __future__ import annotations

import json
from collections.abc import Iterator

from sqlalchemy import ColumnElement, Select, func, select

from watcher.core.event_json import from_json
from watcher.core.model import Event
from watcher.core.ports import Entry, Wanted
from watcher.store.database import Database
from watcher.store.rows import to_ms
from watcher.store.tables import events

_ALL = Wanted()


class History(Database):
    """What was told, in the order of its positions; none is used twice, not even when the last events are forgotten."""

    async def entries(
        self, wanted: Wanted, *, after: int | None = None, limit: int = 100, newest_first: bool = False
    ) -> list[Entry]:
        """Events in the order they were written, or the other way round, from behind the position `after`."""
        position = events.c.position
        query = _chosen(wanted).order_by(position.desc() if newest_first else position).limit(limit)
        if after is not None:
            query = query.where(position < after if newest_first else position > after)
        async with self.read() as connection:
            return [
                Entry(
                    position=row["position"],
                    event_id=row["id"],
                    kind=row["kind"],
                    source=row["source"],
                    instance_id=row["instance_id"],
                    body=row["body"],
                )
                for row in (await connection.execute(query)).mappings()
            ]

    async def position_of(self, event_id: str) -> int | None:
        """Where an event is; None when it is not kept, or not any more."""
        async with self.read() as connection:
            found = await connection.execute(select(events.c.position).where(events.c.id == event_id))
            return found.scalar()

    async def last_position(self) -> int:
        """Where the latest event is; 0 when there is none."""
        async with self.read() as connection:
            return (await connection.execute(select(func.max(events.c.position)))).scalar() or 0

    async def history(self, *, after: int = 0, limit: int = 1000) -> list[tuple[int, Event]]:
        """All events in the order they were written, each with its position, from behind `after`."""
        found = await self.entries(_ALL, after=after, limit=limit)
        return [(entry.position, from_json(json.loads(entry.body))) for entry in found]


def _chosen(wanted: Wanted) -> Select[tuple[object, ...]]:
    return select(events).where(*_conditions(wanted))


def _conditions(wanted: Wanted) -> Iterator[ColumnElement[bool]]:
    for column, values in (
        (events.c.kind, wanted.kinds),
        (events.c.source, wanted.sources),
        (events.c.instance_id, wanted.instance_ids),
    ):
        if values:
            yield column.in_(sorted(values))
    if wanted.since is not None:
        yield events.c.observed_at_ms >= to_ms(wanted.since)
    if wanted.until is not None:
        yield events.c.observed_at_ms < to_ms(wanted.until)
