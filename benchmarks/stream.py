"""Clients of the event stream: what they cost, whether polling waits for them, and what a slow one is kept."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from urllib.parse import urlsplit

import aiohttp

from benchmarks.cloud import Cloud, serving
from benchmarks.daemon import watching
from benchmarks.tables import number, table

_INTERVALS = {"interval": "1s", "steady_interval": "1s"}
_STATUSES = ("BUILDING", "ERROR")
_CLIENTS = 200
_TIMEOUT_S = 120.0


@dataclass(frozen=True)
class _Round:
    """What it took until everything was told."""

    cycle_s: float
    got_s: float
    cpu_s: float
    rss_mib: float
    peak_mib: float


async def run(*, quick: bool) -> str:
    """The same changes with one client, with many clients, and with one that does not read; the table."""
    count, rounds = (500, 2) if quick else (2000, 4)
    columns = {
        "one client": await _measure(count, rounds, clients=1, stuck=0),
        f"{_CLIENTS} clients": await _measure(count, rounds, clients=_CLIENTS, stuck=0),
        f"{_CLIENTS} and one that does not read": await _measure(count, rounds, clients=_CLIENTS, stuck=1),
    }
    rows = {
        "mean poll cycle, s": [each.cycle_s for each in columns.values()],
        "until each client has all of a round, s": [each.got_s for each in columns.values()],
        "CPU s in all": [each.cpu_s for each in columns.values()],
        "RSS MiB in the end": [each.rss_mib for each in columns.values()],
        "peak MiB": [each.peak_mib for each in columns.values()],
    }
    return table(
        f"Stream: all of {count:,} instances change, {rounds} times",
        ["with", *columns],
        [[name, *map(number, values)] for name, values in rows.items()],
        "In list mode, told to a webhook in digests, too; one client shows when a round is over.",
    )


async def _measure(count: int, rounds: int, *, clients: int, stuck: int) -> _Round:
    with tempfile.TemporaryDirectory(prefix="watcher-bench-") as name:
        folder = Path(name)
        async with (
            serving(folder, instances=count) as cloud,
            watching(cloud, folder, mode="list", intervals=_INTERVALS, digest_over=10) as daemon,
            AsyncExitStack() as stack,
        ):
            await daemon.until_observed(2 * count)
            for _ in range(stuck):
                await stack.enter_async_context(_connected(daemon.url))
            counters = [await stack.enter_async_context(_listening(daemon.url)) for _ in range(clients)]
            before = await daemon.reading()
            took_s = [await _round(cloud, counters, count, turn) for turn in range(rounds)]
            done = await daemon.reading() - before
            rss_mib, peak_mib = daemon.process.memory_mib()
            cycles = done.observations / count
    return _Round(done.cycles_s / cycles, sum(took_s) / rounds, done.cpu_s, rss_mib, peak_mib)


class _Counter:
    """A client that counts the events it gets."""

    def __init__(self) -> None:
        self.count = 0
        self.more = asyncio.Event()

    async def read(self, response: aiohttp.ClientResponse) -> None:
        rest = b""
        async for chunk in response.content.iter_any():
            text = rest + chunk
            self.count += text.count(b"\nid: evt_")
            rest = text[-8:]
            self.more.set()


async def _round(cloud: Cloud, counters: list[_Counter], count: int, turn: int) -> float:
    began_s = monotonic()
    await cloud.control("change-all", status=_STATUSES[turn % len(_STATUSES)])
    async with asyncio.timeout(_TIMEOUT_S):
        for counter in counters:
            while counter.count < count * (turn + 1):
                counter.more.clear()
                await counter.more.wait()
    return monotonic() - began_s


@asynccontextmanager
async def _listening(url: str) -> AsyncIterator[_Counter]:
    counter = _Counter()
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(timeout=timeout) as session, session.get(f"{url}/api/v1/stream") as response:
        reading = asyncio.create_task(counter.read(response))
        try:
            yield counter
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[None]:
    """A client that asks and never reads."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port, limit=1024)
    writer.write(b"GET /api/v1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await reader.readline()
    try:
        yield
    finally:
        writer.transport.abort()
