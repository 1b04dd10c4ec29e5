"""A store in a PostgreSQL database, which any number of replicas share.

Source: the libpq connection strings of the PostgreSQL manual (section 34.1.1), as far as asyncpg reads them.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from watcher import __version__
from watcher.core.errors import ConfigurationError
from watcher.store.schema import migrate
from watcher.store.store import Store

_CONNECT_S = 5.0
_STATEMENT_S = 15.0
_LOCK_S = 10.0
_COMMAND_S = 20.0  # a server that says nothing at all, not even that the statement took too long
_AT_ONCE = 8
_POOL_S = 5.0
_RECYCLE_S = 600  # servers behind a name change
_IDLE_SHARE = 0.4  # of `lease_ttl`: what a replica that is stopped half way holds locked is free when it is found dead

Connect = Callable[[], Awaitable[Any]]


async def open_postgres(url: str, *, lease_ttl_s: float) -> Store:
    """Open the database and bring its schema up to date; raises ConfigurationError or StoreError."""
    try:
        await _migrate(url)
    except (ValueError, asyncpg.exceptions.ClientConfigurationError) as error:
        raise ConfigurationError(f"store.url: {error}") from None
    idle_s = max(1.0, lease_ttl_s * _IDLE_SHARE)
    connect = _connect(url, command_s=_COMMAND_S, settings=_settings(idle_s=idle_s))
    engine = _engine(connect, pool_size=_AT_ONCE, max_overflow=0, pool_timeout=_POOL_S)
    vital = _engine(connect, pool_size=1, max_overflow=1, pool_timeout=_POOL_S)
    return Store(engine, vital=vital, writers=_AT_ONCE // 2)


async def _migrate(url: str) -> None:
    engine = create_async_engine(
        "postgresql+asyncpg://", async_creator=_connect(url, command_s=None, settings={}), poolclass=NullPool
    )
    try:
        await migrate(engine)
    finally:
        await engine.dispose()


def _engine(connect: Connect, **pool: Any) -> AsyncEngine:
    return create_async_engine(
        "postgresql+asyncpg://", async_creator=connect, pool_pre_ping=True, pool_recycle=_RECYCLE_S, **pool
    )


def _settings(*, idle_s: float) -> dict[str, str]:
    """What each session is to have, in milliseconds or seconds as the server wants it."""
    return {
        "statement_timeout": f"{_STATEMENT_S * 1000:.0f}",
        "lock_timeout": f"{_LOCK_S * 1000:.0f}",
        "idle_in_transaction_session_timeout": f"{idle_s * 1000:.0f}",
        "tcp_keepalives_idle": f"{math.ceil(idle_s)}",
        "tcp_keepalives_interval": "5",
        "tcp_keepalives_count": "2",
    }


def _connect(url: str, *, command_s: float | None, settings: dict[str, str]) -> Connect:
    async def connect() -> Any:
        # Of several hosts, the one that takes writes: after a failover it is another.
        try:
            return await asyncpg.connect(
                url,
                timeout=_CONNECT_S,
                command_timeout=command_s,
                target_session_attrs="read-write",
                server_settings={"application_name": f"watcher {__version__}", "timezone": "UTC", **settings},
            )
        except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            if isinstance(error, asyncpg.exceptions.ClientConfigurationError):
                raise
            raise ConnectionError(str(error)) from error
        except TimeoutError:
            raise ConnectionError(f"no connection within {_CONNECT_S:g} s") from None

    return connect
