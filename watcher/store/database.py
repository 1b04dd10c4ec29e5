"""One database and how it is read and written. Every write is one transaction, or a StoreError and nothing written."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Self

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from watcher.core.errors import LeaseLostError, StoreError
from watcher.core.sharing import Lease
from watcher.store.tables import leases, replicas


class Database:
    """Connections to the database."""

    def __init__(
        self,
        engine: AsyncEngine,
        *,
        vital: AsyncEngine | None = None,
        writers: int = 1,
        sessions: str = "",
        release: Callable[[], None] = lambda: None,
    ) -> None:
        """So many `writers` at once; on SQLite they take turns, so that none waits busily for its lock.

        `vital` is an engine for what must not wait for any of them. `sessions` is what this process's connections are
        called, so that others can end them. `release` is called when all is closed.
        """
        self._engine = engine
        self._vital = vital or engine
        self._sessions = sessions
        self._release = release
        self._writing = asyncio.Semaphore(writers)
        self._lease: Lease | None = None
        self._reading = {"isolation_level": "REPEATABLE READ"} if self.is_shared else {}  # one picture of all tables

    def under(self, lease: Lease) -> Self:
        """The same store for whoever holds this lease: a write that comes when it is lost raises LeaseLostError."""
        bound = copy.copy(self)
        bound._lease = lease  # noqa: SLF001 - a copy of itself
        return bound

    @property
    def engine(self) -> AsyncEngine:
        """The engine, for tests that look at the tables."""
        return self._engine

    @property
    def is_shared(self) -> bool:
        """Whether other replicas may use the database at the same time."""
        return self._engine.dialect.name == "postgresql"

    async def close(self) -> None:
        """Close the connections and give up the claim to the database."""
        await self._engine.dispose()
        await self._vital.dispose()
        self._release()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A connection to read with."""
        with store_errors("read"):
            async with self._engine.execution_options(**self._reading).connect() as connection:
                yield connection

    @asynccontextmanager
    async def write_vital(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that waits for no other writer of this process, and needs no lease."""
        with store_errors("write"):
            async with self._vital.begin() as connection:
                yield connection

    @asynccontextmanager
    async def write(self, *, is_record: bool = False) -> AsyncIterator[AsyncConnection]:
        """A transaction, committed at the end of the block.

        Under a lease only as long as it is held. A record of what was done under it is written also after it was given
        away, as long as the replica lives: its claims are its own until then.
        """
        with store_errors("write"):
            async with self._writing, self._engine.execution_options(write=True).begin() as connection:
                if self._lease is not None:
                    await (_check_life if is_record else _check)(connection, self._lease)
                yield connection


async def is_held(connection: AsyncConnection, lease: Lease) -> bool:
    """Whether it is; if so, nobody takes it until the transaction has ended."""
    query = (
        select(leases.c.name)
        .join(replicas, replicas.c.id == leases.c.holder)
        .where(leases.c.name == lease.name, leases.c.holder == lease.holder, leases.c.token == lease.token)
        .with_for_update(read=True, key_share=True)
    )
    return (await connection.execute(query)).first() is not None


async def _check(connection: AsyncConnection, lease: Lease) -> None:
    if not await is_held(connection, lease):
        raise LeaseLostError(f"the lease {lease.name} is held no more")


async def _check_life(connection: AsyncConnection, lease: Lease) -> None:
    lives = select(replicas.c.id).where(replicas.c.id == lease.holder).with_for_update(read=True, key_share=True)
    if (await connection.execute(lives)).first() is None:
        raise LeaseLostError(f"the replica {lease.holder} was taken to be dead")


@contextmanager
def store_errors(verb: str) -> Iterator[None]:
    """Turn what the database says into a StoreError of one line, without the statement and its values."""
    try:
        yield
    except Exception as error:
        # The driver's InternalClientError, of a connection that the server is just ending, is not SQLAlchemy's.
        if not isinstance(error, (SQLAlchemyError, OSError)) and not type(error).__module__.startswith("asyncpg."):
            raise
        raise StoreError(f"cannot {verb} the store: {reason_of(error)}") from error


def reason_of(error: Exception) -> str:
    """What the database says, in one line."""
    cause = getattr(error, "orig", None) or error
    if isinstance(cause, TimeoutError):
        return "no answer in time"
    return next(iter(str(cause).splitlines()), "") or type(cause).__name__
