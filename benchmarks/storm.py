"""Every instance fails at once: how long until all of it is safe, and until everybody is told."""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

from benchmarks.cloud import Cloud, serving
from benchmarks.daemon import Daemon, watching
from benchmarks.tables import number, table
from watcher.core.alerts import AlertRules
from watcher.core.detector import detect
from watcher.core.model import Instance, InstanceKey, Observation
from watcher.core.news import Context
from watcher.core.ports import Change
from watcher.store import open_store

_INTERVALS = {"interval": "1s", "steady_interval": "1s"}
_LOOK_AGAIN_S = 0.05
_TIMEOUT_S = 180.0


async def run(*, quick: bool) -> str:
    """Two storms, told one by one and in digests; the table."""
    count = 1000 if quick else 10_000
    columns = [await _storm(count, digest_over=digest_over) for digest_over in (0, 10)]
    with tempfile.TemporaryDirectory(prefix="watcher-bench-") as name:
        alone_s = await _one_commit(Path(name) / "alone.db", count)
    return table(
        f"Storm: {count:,} instances go from BUILDING to ERROR at once",
        ["since the first answer that shows it", "s, one by one", "s, in digests"],
        [[name, *(number(column[name]) for column in columns)] for name in columns[0]],
        "In list mode. For each the cloud was asked for the reason first. "
        f"The store alone, as many changes with their events and deliveries in one commit: {number(alone_s)} s.",
    )


async def _storm(count: int, *, digest_over: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory(prefix="watcher-bench-") as name:
        folder = Path(name)
        async with (
            serving(folder, instances=count, status="BUILDING") as cloud,
            watching(cloud, folder, mode="list", intervals=_INTERVALS, digest_over=digest_over) as daemon,
        ):
            await daemon.until_observed(2 * count)
            return await _measure(cloud, daemon, count)


async def _measure(cloud: Cloud, daemon: Daemon, count: int) -> dict[str, float]:
    position = _last_position(daemon.database)
    await cloud.control("change-all", status="ERROR")
    async with asyncio.timeout(_TIMEOUT_S):
        while _transitions_since(daemon.database, position) < count:
            daemon.process.check()
            await asyncio.sleep(_LOOK_AGAIN_S)
        committed_s = monotonic()  # the same clock as the server's: Linux has one for all processes
        while (times := await cloud.control("times"))["arrived"]["count"] < count:
            daemon.process.check()
            await asyncio.sleep(_LOOK_AGAIN_S)
    shown_s, arrived = times["shown"]["first"], times["arrived"]
    moments = {
        "the last answer that shows it": times["shown"]["last"],
        "all events are committed": committed_s,
        "the first webhook is there": arrived["first"],
        "the last webhook is there": arrived["last"],
    }
    return {
        **{name: moment - shown_s for name, moment in moments.items()},
        "changes told a second": count / (arrived["last"] - arrived["first"]),
        "webhooks in all": times["hooks"],
    }


def _last_position(database: Path) -> int:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return int(connection.execute("select coalesce(max(position), 0) from events").fetchone()[0])


def _transitions_since(database: Path, position: int) -> int:
    query = "select count(*) from events where position > ? and kind = 'transition'"
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return int(connection.execute(query, (position,)).fetchone()[0])


async def _one_commit(database: Path, count: int) -> float:
    """Seconds that the store takes for so many changes at once, with nobody else at work."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    changes = []
    for place in map(str, range(count)):
        record = Instance(id=place, name="office", status="ERROR", record='{"status":"ERROR"}')
        seen = Observation(key=InstanceKey("prod", place), observed_at=now, instance=record)
        state, events = detect(None, seen, Context(rules=AlertRules()))
        changes.append(Change(state=state, events=tuple((event, ("sink",)) for event in events)))
    store = await open_store(f"sqlite:///{database}")
    began_s = monotonic()
    await store.commit(changes, now=now)
    took_s = monotonic() - began_s
    await store.close()
    return took_s
