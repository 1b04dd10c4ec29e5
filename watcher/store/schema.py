"""The schema, brought up to date when a store is opened."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, func, select, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from watcher.core.errors import StoreError
from watcher.store.database import reason_of

_MIGRATIONS = Path(__file__).parent / "migrations"
_LOCK = 0x77617463686572  # "watcher": the advisory lock of whoever changes the schema


async def migrate(engine: AsyncEngine) -> None:
    """Bring the schema up to date in one transaction; on PostgreSQL one replica at a time. Raises StoreError."""
    try:
        async with engine.execution_options(write=True).begin() as connection:
            if engine.dialect.name == "postgresql":
                await connection.execute(text("SET LOCAL statement_timeout = 0"))
                await connection.execute(text("SET LOCAL lock_timeout = 0"))
                await connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))
            await connection.run_sync(_upgrade)
    except CommandError as error:
        raise StoreError(f"cannot open the store: it was written by another version of watcher: {error}") from error
    except (SQLAlchemyError, OSError) as error:
        raise StoreError(f"cannot open the store: {reason_of(error)}") from error


def _upgrade(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
