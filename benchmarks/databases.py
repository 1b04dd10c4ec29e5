"""A PostgreSQL server to measure with, and what it has done and spent."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmarks.processes import cpu_s
from tests.postgres import Postgres, postgres

TABLES = ("instances", "events", "deliveries")


class NoServerError(Exception):
    """There is no PostgreSQL here; says what to install."""


@contextmanager
def durable() -> Iterator[Postgres]:
    """A server that writes through to the disk before it says that something is committed, as SQLite does."""
    with ExitStack() as stack:
        try:
            server = stack.enter_context(postgres(fsync="on"))
        except (pytest.skip.Exception, pytest.fail.Exception) as error:
            raise NoServerError(str(error)) from None
        yield server


@dataclass(frozen=True)
class Spent:
    """What a server has done and spent so far, for one database."""

    commits: int
    wal_bytes: int
    cpu_s: float

    def __sub__(self, before: Spent) -> Spent:
        return Spent(self.commits - before.commits, self.wal_bytes - before.wal_bytes, self.cpu_s - before.cpu_s)


def spent(server: Postgres, url: str) -> Spent:
    """Reading it costs one commit itself."""
    name = url.rpartition("/")[2]
    wal = "pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint"
    query = f"SELECT xact_commit, {wal} FROM pg_stat_database WHERE datname = '{name}'"  # noqa: S608 - our own names
    commits, wal_bytes = server.execute(query).split("|")
    return Spent(int(commits), int(wal_bytes), _cpu_s(server.pid))


def _cpu_s(parent: int) -> float:
    """Of a server's processes; those that have ended meanwhile are among the parent's ended ones."""
    total_s = 0.0
    for child in Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
        with suppress(FileNotFoundError, ProcessLookupError):
            total_s += cpu_s(int(child))
    return total_s + cpu_s(parent, with_ended=True)


def sizes(server: Postgres, url: str) -> dict[str, tuple[int, int]]:
    """Of the tables that grow: rows, and bytes with their indexes."""
    name = url.rpartition("/")[2]
    found = {}
    for table in TABLES:
        query = f"SELECT count(*), pg_total_relation_size('{table}') FROM {table}"  # noqa: S608 - our own names
        rows, size = server.execute(query, database=name).split("|")
        found[table] = int(rows), int(size)
    return found
