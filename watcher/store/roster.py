"""Who shares the work, and who holds what: replicas, their leases, and what becomes of those who are dead.

While its row is there, all that a replica holds and has claimed is its own. Only by PostgreSQL's clock is it found to
have expired, by another replica, which deletes the row and so frees all of that in one transaction.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

from sqlalchemy import (
    BigInteger,
    Case,
    ColumnElement,
    Integer,
    Row,
    Text,
    and_,
    case,
    cast,
    column,
    delete,
    func,
    select,
    table,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from watcher.core.sharing import Lease, Replica, Roster, Wish
from watcher.store.database import Database
from watcher.store.rows import from_ms, to_ms
from watcher.store.signals import DELIVERIES, ROSTER, tell
from watcher.store.tables import deliveries, leases, replicas

NOW_MS = cast(func.extract("epoch", func.clock_timestamp()) * 1000, BigInteger)
_SESSIONS = table("pg_stat_activity", column("pid", Integer), column("usename", Text), column("application_name", Text))


class RosterKeeper(Database):
    """Only on PostgreSQL: a SQLite file has one watcher, which holds everything."""

    async def join(self, replica: Replica, *, lasts_s: float) -> None:
        """A new replica, which lives for so long unless it beats."""
        row = {
            "id": replica.id,
            "name": replica.name,
            "version": replica.version,
            "started_at_ms": to_ms(replica.started_at),
            "seen_at_ms": NOW_MS,
            "expires_at_ms": NOW_MS + round(lasts_s * 1000),
            "configured": _names(replica.configured),
            "sessions": self._sessions,
        }
        async with self.write_vital() as connection:
            await connection.execute(insert(replicas).values(row).on_conflict_do_nothing())
            await tell(connection, ROSTER)

    async def beat(self, replica: Replica, *, lasts_s: float, buries: bool) -> Roster | None:
        """It lives for so long from now on, as it is. Bury those who have expired, if it `buries`.

        Who is there and holds what; None when it was buried itself: all it held and claimed is others'.
        """
        values = {
            "seen_at_ms": NOW_MS,
            "expires_at_ms": NOW_MS + round(lasts_s * 1000),
            "is_draining": replica.is_draining,
            "configured": _as_it_is_or(_names(replica.configured)),
            "unwell": replica.unwell,
        }
        async with self.write_vital() as connection:
            # Its own row first: two that take each other to be dead must not wait for one another.
            lives = await connection.execute(update(replicas).where(replicas.c.id == replica.id).values(values))
            if not lives.rowcount:
                return None
            if buries:
                await _end_sessions(connection, but=self._sessions, unless_up_for_s=lasts_s)
                await _bury(connection, unless_up_for_s=lasts_s)
            there = [_replica_of(row) for row in await connection.execute(select(replicas).order_by(replicas.c.id))]
            query = select(leases.c.name, leases.c.holder, leases.c.token).where(leases.c.holder.is_not(None))
            held = list(await connection.execute(query))
            return Roster(
                replicas=there,
                holders={lease: holder for lease, holder, _ in held},
                tokens={lease: token for lease, _, token in held},
            )

    async def take(self, replica_id: str, wish: Wish) -> list[Lease]:
        """Hold at most so many of these, whichever nobody holds; none when it was buried."""
        lives = select(replicas.c.id).where(replicas.c.id == replica_id).with_for_update(read=True, key_share=True)
        free = (
            select(leases.c.name)
            .where(leases.c.name.in_(wish.names), leases.c.holder.is_(None))
            .limit(wish.most)
            .with_for_update(skip_locked=True)
        )
        async with self.write_vital() as connection:
            if (await connection.execute(lives)).first() is None:
                return []
            new = insert(leases).on_conflict_do_nothing()
            await connection.execute(new, [{"name": name} for name in sorted(wish.names)])
            chosen = list((await connection.execute(free)).scalars())
            taken = await connection.execute(
                update(leases)
                .where(leases.c.name.in_(chosen))
                .values(holder=replica_id, token=leases.c.token + 1)
                .returning(leases.c.name, leases.c.token)
            )
            return [Lease(name, replica_id, token) for name, token in taken]

    async def release(self, held: Collection[Lease]) -> None:
        """Give these away. What is claimed under them stays claimed until it is recorded."""
        names = [lease.name for lease in held]
        under_way = select(leases.c.name).where(leases.c.name.in_(names)).order_by(leases.c.name).with_for_update()
        async with self.write_vital() as connection:
            await connection.execute(under_way)  # waits for what is being written under them: it is not nobody's
            for lease in held:
                mine = (leases.c.name == lease.name, leases.c.holder == lease.holder, leases.c.token == lease.token)
                await connection.execute(update(leases).where(*mine).values(holder=None))
            await tell(connection, ROSTER)

    async def leave(self, replica_id: str) -> None:
        """It is there no more, and holds and claims nothing."""
        async with self.write_vital() as connection:
            await _forget(connection, [replica_id])


def _has_expired(*, unless_up_for_s: float) -> ColumnElement[bool]:
    """A server that has just come back first gives those who could not beat meanwhile the time to do so."""
    up_s = func.extract("epoch", func.clock_timestamp() - func.pg_postmaster_start_time())
    return and_(replicas.c.expires_at_ms < NOW_MS, up_s > unless_up_for_s)


async def _end_sessions(connection: AsyncConnection, *, but: str, unless_up_for_s: float) -> None:
    """Undo what the dead have under way: of one that was stopped while it had locks, nobody else can.

    PostgreSQL does not count a session as idle that was stopped between the parts of a statement (Parse and Bind).
    """
    theirs = _SESSIONS.join(replicas, replicas.c.sessions == _SESSIONS.c.application_name)
    expired = _has_expired(unless_up_for_s=unless_up_for_s)
    ours = _SESSIONS.c.usename == func.current_user(), replicas.c.sessions != but
    await connection.execute(
        select(func.pg_terminate_backend(_SESSIONS.c.pid)).select_from(theirs).where(expired, *ours)
    )


async def _bury(connection: AsyncConnection, *, unless_up_for_s: float) -> None:
    expired = _has_expired(unless_up_for_s=unless_up_for_s)
    chosen = select(replicas.c.id).where(expired).with_for_update(skip_locked=True)
    dead = list((await connection.execute(chosen)).scalars())
    if dead:
        await _forget(connection, dead)


async def _forget(connection: AsyncConnection, ids: Collection[str]) -> None:
    claimed_by = deliveries.c.claimed_by
    claims = claimed_by.is_not(None), func.split_part(claimed_by, "/", 1).in_(ids)
    freed = await connection.execute(update(deliveries).where(*claims).values(claimed_by=None))
    await connection.execute(delete(replicas).where(replicas.c.id.in_(ids)))  # and so nobody holds its leases
    await tell(connection, ROSTER)
    if freed.rowcount:
        await tell(connection, DELIVERIES)


def _as_it_is_or(names: str) -> Case[str]:
    """Many names are long: what the row has already is not to be written again with each beat."""
    return case((replicas.c.configured == names, replicas.c.configured), else_=names)


def _names(configured: Collection[str]) -> str:
    return json.dumps(sorted(configured))


def _replica_of(row: Row[Any]) -> Replica:
    return Replica(
        id=row.id,
        name=row.name,
        version=row.version,
        started_at=from_ms(row.started_at_ms),
        seen_at=from_ms(row.seen_at_ms),
        is_draining=row.is_draining,
        configured=frozenset(json.loads(row.configured)),
        unwell=row.unwell,
    )
