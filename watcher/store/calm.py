"""Silences and acknowledgements."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import and_, case, select, update
from sqlalchemy.dialects.postgresql import insert  # SQLite has the same clauses

from watcher.core.quiet import Acknowledgement, Silence
from watcher.store.database import Database
from watcher.store.rows import acknowledgement_of, silence_of, silence_row, to_ms
from watcher.store.signals import ACKNOWLEDGED, QUIET, tell
from watcher.store.tables import acknowledgements, silences


class Calm(Database):
    """What people asked not to be told."""

    async def silences(self) -> list[Silence]:
        """All silences, the first made first; those that ended long ago are forgotten."""
        query = select(silences).order_by(silences.c.created_at_ms, silences.c.id)
        async with self.read() as connection:
            return [silence_of(row) for row in (await connection.execute(query)).mappings()]

    async def add_silence(self, silence: Silence) -> None:
        """A new silence."""
        async with self.write() as connection:
            await connection.execute(silences.insert(), [silence_row(silence)])
            await tell(connection, QUIET)

    async def expire_silence(self, silence_id: str, *, now: datetime) -> bool:
        """End it now; False when there is none that could."""
        now_ms = to_ms(now)
        of_id = and_(silences.c.id == silence_id, silences.c.ends_at_ms > now_ms)
        begins_ms = case((silences.c.starts_at_ms > now_ms, now_ms), else_=silences.c.starts_at_ms)
        values = {"ends_at_ms": now_ms, "starts_at_ms": begins_ms}
        async with self.write() as connection:
            expired = await connection.execute(update(silences).where(of_id).values(values))
            await tell(connection, QUIET)
            return bool(expired.rowcount)

    async def acknowledge(self, acknowledgement: Acknowledgement) -> None:
        """Somebody takes on an alert; who did so before is replaced."""
        row = {
            "fingerprint": acknowledgement.fingerprint,
            "starts_at_ms": to_ms(acknowledgement.starts_at),
            "author": acknowledgement.author,
            "comment": acknowledgement.comment,
            "created_at_ms": to_ms(acknowledgement.created_at),
        }
        statement = insert(acknowledgements).values(row)
        async with self.write() as connection:
            await connection.execute(
                statement.on_conflict_do_update(index_elements=["fingerprint", "starts_at_ms"], set_=row)
            )
            await tell(connection, ACKNOWLEDGED)

    async def acknowledgements(self) -> list[Acknowledgement]:
        """All of them; those of alerts that ended are worth nothing, because every alert has its own beginning."""
        query = select(acknowledgements).order_by(acknowledgements.c.created_at_ms)
        async with self.read() as connection:
            return [acknowledgement_of(row) for row in (await connection.execute(query)).mappings()]
