"""How long one may wait for a database."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """In seconds, for PostgreSQL; SQLite has nobody to wait for. After that it is a StoreError."""

    connect_s: float = 5.0
    statement_s: float = 15.0
    lock_s: float = 10.0
    command_s: float = 20.0
    """Above `statement_s`, for a server that says nothing at all, not even that the statement took too long."""
    pool_s: float = 5.0
    """For a connection that another task of this process has."""


DEFAULT_LIMITS = Limits()
