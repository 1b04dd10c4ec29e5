"""One database and how it is read and written. Every write is one transaction, or a StoreError and nothing written."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from watcher.core.errors import StoreError


class Database:
    """Connections to the database. Writers take turns inside the process, so that none waits busily for its lock."""

    def __init__(self, engine: AsyncEngine, *, release: Callable[[], None]) -> None:
        self._engine = engine
        self._release = release
        self._writing = asyncio.Lock()

    @property
    def engine(self) -> AsyncEngine:
        """The engine, for tests that look at the tables."""
        return self._engine

    async def close(self) -> None:
        """Close the connections and give up the claim to the database."""
        await self._engine.dispose()
        self._release()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A connection to read with."""
        with _store_errors("read"):
            async with self._engine.connect() as connection:
                yield connection

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """A transaction, committed at the end of the block."""
        with _store_errors("write"):
            async with self._writing, self._engine.execution_options(write=True).begin() as connection:
                yield connection


@contextmanager
def _store_errors(verb: str) -> Iterator[None]:
    """Turn what the database says into a StoreError of one line, without the statement and its values."""
    try:
        yield
    except (SQLAlchemyError, OSError) as error:
        cause = getattr(error, "orig", None) or error
        raise StoreError(f"cannot {verb} the store: {str(cause).splitlines()[0] or type(cause).__name__}") from error
