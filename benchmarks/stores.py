"""SQLite and PostgreSQL beside each other: the same states, events and deliveries written, claimed and read."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from time import monotonic

from benchmarks.databases import NoServerError, durable, sizes, spent
from benchmarks.load import RECEIVERS, Load
from benchmarks.tables import number, table
from tests.postgres import Postgres
from watcher.core.ports import Attempt, Change
from watcher.core.sharing import RECEIVER, SOURCE, Replica, Wish, lease_name
from watcher.store import Store, open_store

SQLITE, POSTGRESQL = "SQLite", "PostgreSQL"

_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_SOURCES = [f"s{place}" for place in range(8)]
_BIG = "big"
_MANY = 100
_AT_ONCE = 8  # what a worker has under way
_LOOKED_AT = 200

_SINGLY = "changes, one commit each, one after another"
_BY_EIGHT = f"changes, one commit each, {len(_SOURCES)} sources at once"
_TOGETHER = f"changes, {_MANY} in a commit"
_DELIVERIES = f"deliveries found, claimed and recorded, {_AT_ONCE} at a time"
_LOADED = "states loaded"


@dataclass(frozen=True)
class _Sizes:
    """How much of each is done."""

    singly: int = 200
    commits_of_many: int = 10
    loaded: int = 10_000


@dataclass(frozen=True)
class _Place:
    """One database as those see it who hold leases on it (on SQLite nobody needs any)."""

    sources: Mapping[str, Store]
    sink: Store


async def run(*, quick: bool) -> str:
    """Both in turns, round after round; the tables."""
    try:
        with durable() as server:
            return await _beside(server, rounds=1 if quick else 3, much=_Sizes(80, 4, 2000) if quick else _Sizes())
    except NoServerError as error:
        return f"### Stores\n\nnot measured: {error}\n"


async def _beside(server: Postgres, *, rounds: int, much: _Sizes) -> str:
    rates: dict[str, list[Mapping[str, float]]] = {SQLITE: [], POSTGRESQL: []}
    with tempfile.TemporaryDirectory(prefix="watcher-bench-") as name:
        file = Path(name) / "watcher.db"
        url, wal_bytes = server.database(), list[float]()
        async with _opened(f"sqlite:///{file}") as ours, _opened(url) as theirs:
            for turn in range(rounds):
                rates[SQLITE].append(await _measure(ours, much, turn))
                before = spent(server, url)
                rates[POSTGRESQL].append(await _measure(theirs, much, turn))
                wal_bytes.append((spent(server, url) - before).wal_bytes / _changes(much))
        grown = sizes(server, url)
        file_bytes = file.stat().st_size
    return f"{_rates(rates, median(wal_bytes), rounds)}\n{_rows(grown, file_bytes)}"


def _changes(much: _Sizes) -> int:
    return 2 * much.singly + _MANY * much.commits_of_many


@asynccontextmanager
async def _opened(url: str) -> AsyncIterator[_Place]:
    store = await open_store(url)
    try:
        yield await _holding(store) if store.is_shared else _Place(dict.fromkeys([*_SOURCES, _BIG], store), store)
    finally:
        await store.close()


async def _holding(store: Store) -> _Place:
    names = [*(lease_name(SOURCE, each) for each in [*_SOURCES, _BIG]), lease_name(RECEIVER, RECEIVERS[0])]
    me = Replica(id="bench", name="bench", version="0", started_at=_NOW, seen_at=_NOW, configured=frozenset(names))
    await store.join(me, lasts_s=3600)
    under = {lease.name: store.under(lease) for lease in await store.take(me.id, Wish(names, len(names)))}
    return _Place({each: under[lease_name(SOURCE, each)] for each in [*_SOURCES, _BIG]}, under[names[-1]])


async def _measure(place: _Place, much: _Sizes, turn: int) -> dict[str, float]:
    """What is done a second."""
    load = Load(turn)
    first, big = place.sources[_SOURCES[0]], place.sources[_BIG]
    singly = await _known(first, load, _SOURCES[0], much.singly)
    at_once = [
        (store, await _known(store, load, name, much.singly // len(_SOURCES)))
        for name, store in place.sources.items()
        if name != _BIG
    ]
    many = await _known(first, load, _SOURCES[0], _MANY * much.commits_of_many)
    if not turn:
        await big.commit([load.first(_BIG) for _ in range(much.loaded)], now=_NOW)
    done: dict[str, float] = {}
    with _timed(done, _SINGLY, len(singly)):
        await _one_by_one(first, singly)
    with _timed(done, _BY_EIGHT, sum(len(changes) for _, changes in at_once)):
        await asyncio.gather(*(_one_by_one(store, changes) for store, changes in at_once))
    with _timed(done, _TOGETHER, len(many)):
        for start in range(0, len(many), _MANY):
            await first.commit(many[start : start + _MANY], now=_NOW)
    with _timed(done, _DELIVERIES, much.singly):
        await _deliver(place.sink, much.singly)
    with _timed(done, _LOADED, much.loaded):
        assert len(await big.load(_BIG)) == much.loaded
    return done


async def _known(store: Store, load: Load, source: str, count: int) -> Sequence[Change]:
    """So many instances are known; what is to be told of each next."""
    pairs = [load.pair(source) for _ in range(count)]
    await store.commit([first for first, _ in pairs], now=_NOW)
    return [then for _, then in pairs]


async def _one_by_one(store: Store, changes: Sequence[Change]) -> None:
    for change in changes:
        await store.commit([change], now=_NOW)


async def _deliver(store: Store, count: int) -> None:
    """As a worker does it, but that nothing is sent."""
    for _ in range(0, count, _AT_ONCE):
        waiting = await store.waiting(RECEIVERS[0], now=_NOW, limit=_LOOKED_AT)
        claimed = await store.claim([each.id for each in waiting[:_AT_ONCE]])
        assert len(claimed) == _AT_ONCE
        await store.record([Attempt(delivery=each, finished_at=_NOW) for each in await store.deliveries_of(claimed)])


@contextmanager
def _timed(done: dict[str, float], name: str, count: int) -> Iterator[None]:
    began_s = monotonic()
    yield
    done[name] = count / (monotonic() - began_s)


def _rates(rates: Mapping[str, Sequence[Mapping[str, float]]], wal_bytes: float, rounds: int) -> str:
    rows = [
        [name, *_row([each[name] for each in rates[SQLITE]], [each[name] for each in rates[POSTGRESQL]])]
        for name in rates[SQLITE][0]
    ]
    return table(
        "Stores: what is written and read a second",
        ["", SQLITE, POSTGRESQL, "PostgreSQL to SQLite (range)"],
        rows,
        f"Medians of {rounds} rounds, in turns; ratios within each round. Every commit is on the disk (fsync) in both. "
        "A change is a state that is replaced, an event and two deliveries; on PostgreSQL all is done under leases. "
        f"PostgreSQL writes {number(wal_bytes / 1024)} KiB of WAL for each change, all of the above included.",
    )


def _row(ours: Sequence[float], theirs: Sequence[float]) -> list[str]:
    ratios = [them / us for us, them in zip(ours, theirs, strict=True)]
    spread = f"{number(median(ratios))}x ({number(min(ratios))}…{number(max(ratios))})"
    return [number(median(ours)), number(median(theirs)), spread]


def _rows(grown: Mapping[str, tuple[int, int]], file_bytes: int) -> str:
    whole = sum(size for _, size in grown.values())
    return table(
        "Stores: what a row takes in PostgreSQL, with its indexes",
        ["", "rows", "bytes each"],
        [[name, f"{rows:,}", number(size / rows)] for name, (rows, size) in grown.items()],
        "With what updates have left behind; a record of the cloud's is about 1 KiB. SQLite's file with the "
        f"same in it is {number(file_bytes / whole)} times as large.",
    )
