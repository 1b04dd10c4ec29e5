"""Opening a store by its URL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from watcher.core.errors import ConfigurationError
from watcher.store.limits import DEFAULT_LIMITS, Limits
from watcher.store.sqlite import open_sqlite
from watcher.store.store import Store

_LEASE_TTL_S = 15.0


async def reach_store(url: str, *, limits: Limits = DEFAULT_LIMITS) -> None:
    """Connect to a PostgreSQL and change nothing in it; a file needs no reaching.

    Raises ConfigurationError or StoreError.
    """
    if _is_postgres(url):
        with _needs_driver():
            from watcher.store.postgres import reach_postgres  # noqa: PLC0415 - an extra's driver
        await reach_postgres(lambda: url, limits=limits)


async def open_store(
    url: str,
    *,
    read_url: Callable[[], str] | None = None,
    lease_ttl_s: float = _LEASE_TTL_S,
    limits: Limits = DEFAULT_LIMITS,
) -> Store:
    """Open `sqlite:///relative.db`, `sqlite:////absolute.db` or `postgresql://user:password@host/database`.

    `read_url` reads it anew for each connection to a PostgreSQL, where its password may be renewed. `lease_ttl_s` is
    how long replicas may not be heard of: no transaction is left open for as long.
    Raises ConfigurationError for another kind of URL, or one whose driver is not installed; StoreError when the store
    cannot be used, or is in use.
    """
    if _is_postgres(url):
        with _needs_driver():
            from watcher.store.postgres import open_postgres  # noqa: PLC0415 - an extra's driver
        return await open_postgres(read_url or (lambda: url), lease_ttl_s=lease_ttl_s, limits=limits)
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise ConfigurationError("store.url: not a database URL, write sqlite:///watcher.db") from None
    if parsed.drivername != "sqlite":
        raise ConfigurationError(f"store.url: {parsed.drivername} is no store: use sqlite:///… or postgresql://…")
    return await open_sqlite(parsed)


def _is_postgres(url: str) -> bool:
    return url.partition(":")[0] in ("postgresql", "postgres")


@contextmanager
def _needs_driver() -> Iterator[None]:
    try:
        yield
    except ImportError:
        raise ConfigurationError("store.url: PostgreSQL needs its driver: pip install 'watcher[postgres]'") from None
