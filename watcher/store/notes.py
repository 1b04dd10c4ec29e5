"""What receivers note of what they sent."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement, and_, delete, select
from sqlalchemy.dialects.postgresql import insert  # SQLite has the same clauses

from watcher.store.database import Database
from watcher.store.rows import to_ms, without_nul
from watcher.store.tables import notes


class Notes(Database):
    """One text for each receiver and key."""

    async def note(self, receiver: str, key: str) -> str | None:
        """What the receiver noted there; None if nothing."""
        query = select(notes.c.text).where(_of(receiver, key))
        async with self.read() as connection:
            text: str | None = (await connection.execute(query)).scalar()
        return text

    async def write_note(self, receiver: str, key: str, text: str | None, *, now: datetime) -> None:
        """Note it, in place of what was there; None: forget."""
        async with self.write() as connection:
            if text is None:
                await connection.execute(delete(notes).where(_of(receiver, key)))
                return
            row = {"receiver": receiver, "key": key, "text": without_nul(text), "written_at_ms": to_ms(now)}
            statement = insert(notes).values(row)
            await connection.execute(statement.on_conflict_do_update(index_elements=["receiver", "key"], set_=row))


def _of(receiver: str, key: str) -> ColumnElement[bool]:
    return and_(notes.c.receiver == receiver, notes.c.key == key)
