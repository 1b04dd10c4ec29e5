"""Whole watchers on SQLite, on PostgreSQL, and as three replicas: a storm, news at rest, idling, and a death."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from time import monotonic

from benchmarks.cloud import Cloud, serving
from benchmarks.daemon import Daemon, watching
from benchmarks.databases import NoServerError, durable, spent
from benchmarks.latency import changes
from benchmarks.stores import POSTGRESQL, SQLITE
from benchmarks.tables import number, table
from tests.postgres import Postgres

_THREE = 3
_EAGER = {"interval": "1s", "steady_interval": "1s"}
_AS_IT_IS = {"interval": "15s", "steady_interval": "60s"}  # the default
_LOOK_AGAIN_S = 0.1
_SETTLE_S = 6.0  # reports are written every 5 s
_TIMEOUT_S = 180.0
_EVEN = """
SELECT count(*) = {replicas} AND coalesce(sum(n), 0) = {sources} AND coalesce(max(n) - min(n), 0) <= 1
FROM (SELECT count(*) AS n FROM leases WHERE name LIKE 'source/%' AND holder IS NOT NULL GROUP BY holder) AS held
"""


@dataclass(frozen=True)
class _Place:
    """Where so many replicas keep what they know; no database: a SQLite file."""

    replicas: int
    server: Postgres
    database: str | None

    @property
    def store(self) -> str | None:
        return self.server.url(self.database) if self.database is not None else None

    def is_even(self, sources: int, replicas: int) -> bool:
        """Whether all sources are held, by so many replicas evenly."""
        if self.database is None:
            return True
        query = _EVEN.format(replicas=replicas, sources=sources)
        return self.server.execute(query, database=self.database).strip() == "t"


async def run(*, quick: bool) -> str:
    """A storm and what is told at rest, of each kind in turn; the table."""
    return await _with_server("Replicas", partial(_storms, quick=quick))


async def run_idle(*, quick: bool) -> str:
    """What idling and a death cost, with few sources and with many; the table."""
    return await _with_server("Idling", partial(_idle, quick=quick))


async def _with_server(title: str, measure: Callable[[Postgres], Awaitable[str]]) -> str:
    try:
        with durable() as server:
            return await measure(server)
    except NoServerError as error:
        return f"### {title}\n\nnot measured: {error}\n"


def _places(server: Postgres) -> dict[str, _Place]:
    def database() -> str:
        return server.database().rpartition("/")[2]

    return {
        SQLITE: _Place(1, server, None),
        POSTGRESQL: _Place(1, server, database()),
        f"{POSTGRESQL}, {_THREE} replicas": _Place(_THREE, server, database()),
    }


@asynccontextmanager
async def _running(
    place: _Place, cloud: Cloud, folder: Path, intervals: Mapping[str, str]
) -> AsyncIterator[Sequence[Daemon]]:
    """The replicas, once each has its share of the sources and all is known."""
    async with AsyncExitStack() as stack:
        daemons = []
        for each in range(place.replicas):
            home = folder / f"replica-{each}"
            home.mkdir()
            watcher = watching(cloud, home, mode="list", intervals=intervals, store=place.store)
            daemons.append(await stack.enter_async_context(watcher))
        await _until_even(place, cloud, daemons)
        await _until_shown(cloud, daemons, len(cloud.ids))
        yield daemons


async def _until_even(place: _Place, cloud: Cloud, daemons: Sequence[Daemon]) -> None:
    async with asyncio.timeout(_TIMEOUT_S):
        while not await asyncio.to_thread(place.is_even, len(cloud.projects), len(daemons)):
            for daemon in daemons:
                daemon.process.check()
            await asyncio.sleep(_LOOK_AGAIN_S)


async def _until_shown(cloud: Cloud, daemons: Sequence[Daemon], count: int) -> None:
    async with asyncio.timeout(_TIMEOUT_S):
        while await cloud.shown() < count:
            for daemon in daemons:
                daemon.process.check()
            await asyncio.sleep(_LOOK_AGAIN_S)


# -- a storm, and news at rest -----------------------------------------------------------------------------------------


async def _storms(server: Postgres, *, quick: bool) -> str:
    count, sources, singles = (600, 12, 5) if quick else (2400, 12, 15)
    columns = {name: await _storm(place, count, sources, singles) for name, place in _places(server).items()}
    rows = next(iter(columns.values()))
    return table(
        f"Replicas: {count:,} instances of {sources} sources go from BUILDING to ERROR at once",
        ["", *columns],
        [[name, *(number(column[name]) for column in columns.values())] for name in rows],
        "All on one machine: server, cloud and receiver share it with the watchers. Told one by one to one receiver, "
        "which one of the replicas serves. At rest: from the first answer that shows a change to its webhook, "
        f"{singles} changes one at a time.",
    )


async def _storm(place: _Place, count: int, sources: int, singles: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory(prefix="watcher-bench-") as name:
        folder = Path(name)
        async with (
            serving(folder, instances=count, projects=sources, status="BUILDING") as cloud,
            _running(place, cloud, folder, _EAGER) as daemons,
        ):
            # By then what the first look brought is committed.
            await _until_shown(cloud, daemons, await cloud.shown() + 2 * count)
            cpu_s = _cpu_s(daemons)
            times = await _until_told(cloud, daemons, count)
            cpu_s = _cpu_s(daemons) - cpu_s
            delays_s = await changes(cloud, singles)
    shown, arrived = times["shown"], times["arrived"]
    return {
        "s to the first webhook": arrived["first"] - shown["first"],
        "s to the last webhook": arrived["last"] - shown["first"],
        "changes told a second": count / (arrived["last"] - arrived["first"]),
        "CPU ms of the watchers for each": cpu_s / count * 1e3,
        "at rest, ms (median)": median(delays_s) * 1e3,
        "at rest, ms (longest)": max(delays_s) * 1e3,
    }


async def _until_told(cloud: Cloud, daemons: Sequence[Daemon], count: int) -> dict[str, dict[str, float]]:
    await cloud.control("change-all", status="ERROR")
    async with asyncio.timeout(_TIMEOUT_S):
        while True:
            times: dict[str, dict[str, float]] = await cloud.control("times")
            if times["arrived"]["count"] >= count:
                return times
            for daemon in daemons:
                daemon.process.check()
            await asyncio.sleep(_LOOK_AGAIN_S)


def _cpu_s(daemons: Sequence[Daemon]) -> float:
    return sum(daemon.process.cpu_s() for daemon in daemons)


# -- idling, and dying -------------------------------------------------------------------------------------------------


async def _idle(server: Postgres, *, quick: bool) -> str:
    sizes, window_s = ((60,), 4.0) if quick else ((60, 1000), 15.0)
    rows = []
    for sources in sizes:
        for name, place in _places(server).items():
            if place.database is None or place.replicas == _THREE:
                figures = await _at_rest(place, sources, window_s)
                rows.append([f"{name}, {sources:,} sources", *figures])
    return table(
        "Idling: what it costs, and a death",
        [
            "",
            "s to start",
            "watchers' CPU ms/s",
            "server's CPU ms/s",
            "commits/s",
            "WAL KiB/s",
            "RSS MiB each",
            "s to hand over",
            "s to take over",
        ],
        rows,
        f"One instance in each source, at rest, polled every 60 s, for {window_s:g} s. To start: until all were looked "
        "at and all replicas have their shares. To hand over: from SIGTERM to one until the others hold what it held; "
        "to take over: from kill -9.",
    )


async def _at_rest(place: _Place, sources: int, window_s: float) -> list[str]:
    with tempfile.TemporaryDirectory(prefix="watcher-bench-") as name:
        folder = Path(name)
        async with serving(folder, instances=sources, projects=sources) as cloud:
            began_s = monotonic()
            async with _running(place, cloud, folder, _AS_IT_IS) as daemons:
                start_s = monotonic() - began_s
                await asyncio.sleep(_SETTLE_S)
                costs = await _costs(place, daemons, window_s)
                rss_mib = max(daemon.process.memory_mib()[0] for daemon in daemons)
                ends = await _ends(place, cloud, daemons) if place.replicas > 1 else ["", ""]
    return [number(start_s), *costs, number(rss_mib), *ends]


async def _ends(place: _Place, cloud: Cloud, daemons: Sequence[Daemon]) -> list[str]:
    """One after another they end, one as it should and one not."""
    one, other, *rest = daemons
    drained_s = await _handed_over_s(place, cloud, [other, *rest], one.process.terminate)
    died_s = await _handed_over_s(place, cloud, rest, other.process.kill)
    return [number(drained_s), number(died_s)]


async def _costs(place: _Place, daemons: Sequence[Daemon], window_s: float) -> list[str]:
    cpu_s = _cpu_s(daemons)
    before = spent(place.server, place.store) if place.store is not None else None
    await asyncio.sleep(window_s)
    own = number((_cpu_s(daemons) - cpu_s) / window_s * 1e3)
    if before is None or place.store is None:
        return [own, "", "", ""]
    done = spent(place.server, place.store) - before
    figures = (done.cpu_s * 1e3, float(done.commits), done.wal_bytes / 1024)
    return [own, *(number(figure / window_s) for figure in figures)]


async def _handed_over_s(place: _Place, cloud: Cloud, daemons: Sequence[Daemon], end: Callable[[], None]) -> float:
    """From the end of one until all is held by these others."""
    began_s = monotonic()
    end()
    await _until_even(place, cloud, daemons)
    return monotonic() - began_s
