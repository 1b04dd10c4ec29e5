"""A store in a PostgreSQL database, which any number of replicas share.

Source: the libpq connection strings of the PostgreSQL manual (section 34.1.1), as far as asyncpg reads them.
"""

from __future__ import annotations

import math
import re
import secrets
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from watcher import __version__
from watcher.core.errors import ConfigurationError, StoreError
from watcher.store.database import reason_of
from watcher.store.limits import Limits
from watcher.store.schema import migrate
from watcher.store.store import Store

_AT_ONCE = 8
_RECYCLE_S = 600  # servers behind a name change
_IDLE_SHARE = 0.4  # of `lease_ttl`: what a replica that is stopped half way holds locked is free when it is found dead

_NOT_UNDERSTOOD = (
    "store.url: not understood: in user and password write % @ / : ? # [ ] as %25 %40 %2F %3A %3F %23 %5B %5D"
)

Connect = Callable[[], Awaitable[Any]]


class _UnusableError(ConnectionError):
    """What the driver makes nothing of."""


async def reach_postgres(read_url: Callable[[], str], *, limits: Limits) -> None:
    """Connect, and no more; raises ConfigurationError or StoreError."""
    try:
        connection = await _connect(read_url, limits, command_s=limits.command_s, settings={})()
    except _UnusableError as error:
        raise ConfigurationError(str(error)) from None
    except OSError as error:
        raise StoreError(f"cannot open the store: {reason_of(error)}") from error
    await connection.close(timeout=limits.connect_s)


async def open_postgres(read_url: Callable[[], str], *, lease_ttl_s: float, limits: Limits) -> Store:
    """Open the database and bring its schema up to date; raises ConfigurationError or StoreError.

    The URL is read for each connection: its password may be renewed.
    """
    try:
        await _migrate(read_url, limits)
    except StoreError as error:
        if isinstance(error.__cause__, _UnusableError):
            raise ConfigurationError(str(error.__cause__)) from None
        raise
    idle_s = max(1.0, lease_ttl_s * _IDLE_SHARE)
    sessions = f"watcher {__version__} {secrets.token_hex(4)}"
    settings = {**_settings(limits, idle_s=idle_s), "application_name": sessions}
    connect = _connect(read_url, limits, command_s=limits.command_s, settings=settings)
    engine = _engine(connect, pool_size=_AT_ONCE, max_overflow=0, pool_timeout=limits.pool_s)
    vital = _engine(connect, pool_size=1, max_overflow=1, pool_timeout=limits.pool_s)
    return Store(engine, vital=vital, writers=_AT_ONCE // 2, sessions=sessions)


async def _migrate(read_url: Callable[[], str], limits: Limits) -> None:
    connect = _connect(read_url, limits, command_s=None, settings={})
    engine = create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool)
    try:
        await migrate(engine)
    finally:
        await engine.dispose()


def _engine(connect: Connect, **pool: Any) -> AsyncEngine:
    return create_async_engine(
        "postgresql+asyncpg://", async_creator=connect, pool_pre_ping=True, pool_recycle=_RECYCLE_S, **pool
    )


def _settings(limits: Limits, *, idle_s: float) -> dict[str, str]:
    """What each session is to have, in milliseconds or seconds as the server wants it."""
    return {
        "synchronous_commit": "on",  # what is committed is so whatever happens, as on SQLite
        "statement_timeout": f"{limits.statement_s * 1000:.0f}",
        "lock_timeout": f"{limits.lock_s * 1000:.0f}",
        "idle_in_transaction_session_timeout": f"{idle_s * 1000:.0f}",
        "tcp_keepalives_idle": f"{math.ceil(idle_s)}",
        "tcp_keepalives_interval": "5",
        "tcp_keepalives_count": "2",
    }


def _read(read_url: Callable[[], str]) -> str:
    try:
        url = read_url()
    except ConfigurationError as error:  # while a file is replaced, perhaps
        raise _UnusableError(str(error)) from None
    if re.split("[/?#]", url.partition("://")[2], maxsplit=1)[0].count("@") > 1:
        raise _UnusableError(_NOT_UNDERSTOOD)  # else a part of the password is taken for a host, and asked for
    return url


def _connect(
    read_url: Callable[[], str], limits: Limits, *, command_s: float | None, settings: dict[str, str]
) -> Connect:
    async def connect() -> Any:
        url = _read(read_url)
        # Of several hosts, the one that takes writes: after a failover it is another.
        try:
            return await asyncpg.connect(
                url,
                timeout=limits.connect_s,
                command_timeout=command_s,
                target_session_attrs="read-write",
                server_settings={"application_name": f"watcher {__version__}", "timezone": "UTC", **settings},
            )
        except asyncpg.exceptions.ClientConfigurationError as error:
            raise _UnusableError(f"store.url: {error}") from None
        except ValueError:  # what it says may be a part of the password that was taken for something else
            raise _UnusableError(_NOT_UNDERSTOOD) from None
        except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise ConnectionError(str(error)) from error
        except TimeoutError:
            raise ConnectionError(f"no connection within {limits.connect_s:g} s") from None

    return connect
