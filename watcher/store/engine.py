"""Opening the database: one watcher at a time on a SQLite file, durable commits, schema brought up to date."""

from __future__ import annotations

import asyncio
import fcntl
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, event, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from watcher.core.errors import ConfigurationError, StoreError
from watcher.store.store import Store

_MIGRATIONS = Path(__file__).parent / "migrations"


async def open_store(url: str) -> Store:
    """Open `sqlite:///relative.db` or `sqlite:////absolute.db`, making it if it is not there.

    Raises ConfigurationError for another kind of URL, StoreError when the file cannot be used or is in use.
    """
    path = _sqlite_path(url)
    claim = _Claim(path)
    await asyncio.to_thread(claim.take)
    engine = create_async_engine(f"sqlite+aiosqlite:///{path}")
    event.listen(engine.sync_engine, "connect", _prepare_connection)
    event.listen(engine.sync_engine, "begin", _begin)
    try:
        await _migrate(engine)
    except BaseException:
        await engine.dispose()
        claim.release()
        raise
    return Store(engine, release=claim.release)


def _sqlite_path(url: str) -> Path:
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise ConfigurationError("store.url: not a database URL, write sqlite:///watcher.db") from None
    if parsed.get_backend_name() != "sqlite":
        raise ConfigurationError(
            f"store.url: {parsed.get_backend_name()} is not available in this version, use sqlite:///…"
        )
    if not parsed.database or parsed.database == ":memory:":
        raise ConfigurationError("store.url: name a file, such as sqlite:///watcher.db: memory forgets at a restart")
    return Path(parsed.database)


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


async def _migrate(engine: AsyncEngine) -> None:
    try:
        async with engine.execution_options(write=True).begin() as connection:
            await connection.run_sync(_upgrade)
    except CommandError as error:
        raise StoreError(f"cannot open the store: it was written by another version of watcher: {error}") from error
    except SQLAlchemyError as error:
        raise StoreError(f"cannot open the store: {getattr(error, 'orig', None) or error}") from error


def _upgrade(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
