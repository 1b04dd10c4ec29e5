"""A store in a SQLite file: one watcher at a time, durable commits."""

from __future__ import annotations

import asyncio
import fcntl
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, event
from sqlalchemy.ext.asyncio import create_async_engine

from watcher.core.errors import ConfigurationError, StoreError
from watcher.store.schema import migrate
from watcher.store.store import Store


async def open_sqlite(url: URL) -> Store:
    """Open the file, making it if it is not there.

    Raises ConfigurationError when none is named, StoreError when it cannot be used or is in use.
    """
    path = _path(url)
    claim = _Claim(path)
    await asyncio.to_thread(claim.take)
    engine = create_async_engine(f"sqlite+aiosqlite:///{path}")
    event.listen(engine.sync_engine, "connect", _prepare_connection)
    event.listen(engine.sync_engine, "begin", _begin)
    try:
        await migrate(engine)
    except BaseException:
        await engine.dispose()
        claim.release()
        raise
    return Store(engine, release=claim.release)


def _path(url: URL) -> Path:
    if not url.database or url.database == ":memory:":
        raise ConfigurationError("store.url: name a file, such as sqlite:///watcher.db: memory forgets at a restart")
    return Path(url.database)


class _Claim:
    """A lock file beside the database. The kernel lets go of it when the process ends, however it ends."""

    def __init__(self, path: Path) -> None:
        self._path = path.with_name(path.name + ".lock")
        self._file: Any = None

    def take(self) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("w")
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.release()
            raise StoreError(f"cannot open the store: another watcher is using {self._path.with_suffix('')}") from None
        except OSError as error:
            raise StoreError(f"cannot open the store: {self._path}: {error.strerror}") from error

    def release(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def _prepare_connection(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver must not begin transactions of its own: `_begin` does
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=5000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: Connection) -> None:
    # A writer takes the lock at once: one that reads first and writes later can fail half way.
    writing = connection.get_execution_options().get("write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")
