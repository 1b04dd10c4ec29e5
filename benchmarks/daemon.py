"""The watcher as a whole process, as its users run it, and what its metrics say."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks.cloud import Cloud
from benchmarks.processes import Child, child
from benchmarks.server import HOOK_PATH

FAST = {"interval": "200ms", "steady_interval": "200ms"}
"""Poll intervals so short that polling is all there is to measure."""

TOKEN = {"method": "token", "token": "t" * 100}
SIGNED = {"method": "aksk", "access_key": "AKEXAMPLE", "secret_key": "SKEXAMPLE"}

_LOOK_AGAIN_S = 0.1


@dataclass(frozen=True)
class Reading:
    """What the daemon has done and spent since its start."""

    cpu_s: float
    observations: float
    requests: float
    cycles_s: float

    def __sub__(self, before: Reading) -> Reading:
        return Reading(
            cpu_s=self.cpu_s - before.cpu_s,
            observations=self.observations - before.observations,
            requests=self.requests - before.requests,
            cycles_s=self.cycles_s - before.cycles_s,
        )


class Daemon:
    """A running `watcher run`."""

    def __init__(self, process: Child, session: aiohttp.ClientSession, url: str, database: Path) -> None:
        self.process = process
        self.database = database
        self.url = url
        self._session = session

    async def reading(self) -> Reading:
        """What it has done and spent so far."""
        totals = await self._totals()
        return Reading(
            cpu_s=self.process.cpu_s(),
            observations=totals["watcher_observations_total"],
            requests=totals["watcher_api_requests_total"],
            cycles_s=totals["watcher_poll_cycle_duration_seconds_sum"],
        )

    async def until_known(self, count: int, *, timeout_s: float = 120.0) -> None:
        """Wait until it knows the status of so many instances."""
        await self._until("watcher_instances", count, timeout_s)

    async def until_observed(self, count: float, *, timeout_s: float = 120.0) -> None:
        """Wait until it has observed instances so many times since its start."""
        await self._until("watcher_observations_total", count, timeout_s)

    async def _until(self, metric: str, least: float, timeout_s: float) -> None:
        value = -1.0
        try:
            async with asyncio.timeout(timeout_s):
                while (value := (await self._totals())[metric]) < least:
                    self.process.check()
                    await asyncio.sleep(_LOOK_AGAIN_S)
        except TimeoutError:
            told = f"{metric} is {value:g} after {timeout_s:g} s, not {least:g}"
            raise TimeoutError(f"{told}; the daemon's log ends:\n{self.process.errors()[-2000:]}") from None

    async def _totals(self) -> dict[str, float]:
        """The samples of `/metrics` by name, summed over their labels."""
        try:
            async with self._session.get(f"{self.url}/metrics") as response:
                text = await response.text()
        except aiohttp.ClientError:
            self.process.check()
            raise
        totals: dict[str, float] = {}
        for line in text.splitlines():
            if not line.startswith("#"):
                sample, _, value = line.rpartition(" ")
                name = sample.partition("{")[0]
                totals[name] = totals.get(name, 0.0) + float(value)
        return totals


@asynccontextmanager
async def watching(
    cloud: Cloud,
    folder: Path,
    *,
    mode: str,
    intervals: Mapping[str, str],
    auth: Mapping[str, str] = TOKEN,
    digest_over: int = 0,
    store: str | None = None,
    name: str = "watcher",
) -> AsyncIterator[Daemon]:
    """A daemon that watches all of the cloud's instances, a source for each project, and sends its news to the sink.

    `store` is the URL of a store, where it is not to be a file of its own.
    """
    database = folder / "watcher.db"
    config = folder / "watcher.yaml"
    document = configuration(cloud, mode=mode, intervals=intervals, auth=auth, store=store or f"sqlite:///{database}")
    document["receivers"][0]["digest_over"] = digest_over
    config.write_text(json.dumps(document))  # JSON is YAML, too
    command = [sys.executable, "-m", "watcher", "run", "-c", str(config)]
    async with child(name, command, folder) as process, aiohttp.ClientSession() as session:
        yield Daemon(process, session, await _url(process), database)


def configuration(
    cloud: Cloud, *, mode: str, intervals: Mapping[str, str], auth: Mapping[str, str], store: str
) -> dict[str, Any]:
    """The configuration: instances are discovered in list mode, and listed in get mode, which needs their ids."""
    watched: dict[str, Any] = {"discover": [{}]} if mode == "list" else {"instances": cloud.ids}
    connection = {"region": "cn-north-4", "endpoint": cloud.url, "iam_endpoint": cloud.url, "auth": dict(auth)}
    return {
        "sources": [
            {"name": f"prod-{place}", "project_id": project, **connection, **watched}
            for place, project in enumerate(cloud.projects)
        ],
        "poll": {"jitter": 0, "rate_limit": "1000000/1s", "concurrency": 16, "mode": mode, **intervals},
        "receivers": [{"name": "sink", "type": "webhook", "url": cloud.url + HOOK_PATH}],
        "alerts": {"flapping": {"changes": 1_000_000}},  # what changes again and again is to be told each time
        "store": {"url": store},
        # Without metrics by instance: to read them is no part of what is measured.
        "web": {"listen": "127.0.0.1:0", "metrics_instance_limit": 0},
    }


async def _url(process: Child) -> str:
    """Where it serves, from its log."""
    async with asyncio.timeout(60.0):
        while True:
            process.check()
            for line in process.errors().splitlines():
                if '"event":"started"' in line.replace(" ", ""):
                    return str(json.loads(line)["url"])
            await asyncio.sleep(_LOOK_AGAIN_S / 5)
