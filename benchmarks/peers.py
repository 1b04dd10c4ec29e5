"""Others that watch the same instances of the same server: what each observed in a while, and what that cost."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import shutil
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks.cloud import serving
from benchmarks.processes import Child, child
from benchmarks.server import SHOW_PATH

PROMETHEUS = "prometheus"
BLACKBOX = "prometheus-blackbox-exporter"
SDK = "huaweicloudsdkworkspaceapp"

_LOOP_INSTANCES = 1000
_TARGETS = 200  # scraped once a second: enough to outweigh what the two processes cost when idle


@dataclass(frozen=True)
class Sample:
    """What one contestant did in its window."""

    observations: float
    cpu_s: float
    requests: float

    @property
    def cpu_us(self) -> float:
        """CPU microseconds for one observation."""
        return self.cpu_s / self.observations * 1e6


class NotInstalledError(Exception):
    """The peer cannot be measured here."""


async def bare_loop(folder: Path, window_s: float) -> Sample:
    """A bare aiohttp GET loop that reads answers as the product does."""
    return await _loop("bare", folder, window_s)


async def official_sdk(folder: Path, window_s: float) -> Sample:
    """The vendor's SDK in a pool of threads."""
    if importlib.util.find_spec(SDK) is None:
        raise NotInstalledError(f"{SDK} is not installed")
    return await _loop("sdk", folder, window_s)


async def _loop(which: str, folder: Path, window_s: float) -> Sample:
    async with serving(folder, instances=_LOOP_INSTANCES) as cloud:
        command = (sys.executable, "-m", "benchmarks.loops", which, cloud.url, str(_LOOP_INSTANCES), str(window_s))
        async with child(f"{which} loop", command, folder) as loop:
            result = json.loads(await loop.line())
    return Sample(result["observations"], result["cpu_s"], requests=result["observations"])


async def prometheus(folder: Path, window_s: float) -> Sample:
    """Prometheus and blackbox_exporter: every probe GETs one instance and looks for a good status in the body."""
    for program in (PROMETHEUS, BLACKBOX):
        if shutil.which(program) is None:
            raise NotInstalledError(f"{program} is not installed")
    async with serving(folder, instances=_TARGETS) as cloud, _blackbox(folder) as (blackbox, probe_address):
        targets = [cloud.url + SHOW_PATH + instance_id for instance_id in cloud.ids]
        async with _prometheus(folder, targets, probe_address) as (scraper, address):

            async def probes() -> int:
                scraper.check()
                blackbox.check()
                return int((await cloud.control("counts"))["singles"])

            async with asyncio.timeout(60.0):  # the first scrapes come some seconds after the start
                while await probes() < 2 * _TARGETS:  # noqa: ASYNC110 - another process makes the progress
                    await asyncio.sleep(0.1)
            before, before_cpu_s = await probes(), scraper.cpu_s() + blackbox.cpu_s()
            await asyncio.sleep(window_s)
            count, cpu_s = await probes() - before, scraper.cpu_s() + blackbox.cpu_s() - before_cpu_s
            await _check_successful(address)
    return Sample(observations=count, cpu_s=cpu_s, requests=count)


@asynccontextmanager
async def _blackbox(folder: Path) -> AsyncIterator[tuple[Child, str]]:
    module = {
        "prober": "http",
        "timeout": "5s",
        "http": {
            "preferred_ip_protocol": "ip4",
            "headers": {"X-Auth-Token": "t" * 100},
            "fail_if_body_not_matches_regexp": ['"status": ?"(ACTIVE|BUILT)"'],
        },
    }
    config = folder / "blackbox.json"
    config.write_text(json.dumps({"modules": {"status": module}}))
    address = _free_address()
    command = (BLACKBOX, f"--config.file={config}", f"--web.listen-address={address}", "--log.level=error")
    async with child("blackbox exporter", command, folder) as process:
        yield process, address


@asynccontextmanager
async def _prometheus(folder: Path, targets: list[str], probe_address: str) -> AsyncIterator[tuple[Child, str]]:
    job = {
        "job_name": "instances",
        "metrics_path": "/probe",
        "params": {"module": ["status"]},
        "static_configs": [{"targets": targets}],
        "relabel_configs": [
            {"source_labels": ["__address__"], "target_label": "__param_target"},
            {"source_labels": ["__param_target"], "target_label": "instance"},
            {"target_label": "__address__", "replacement": probe_address},
        ],
    }
    config = folder / "prometheus.json"
    config.write_text(
        json.dumps({"global": {"scrape_interval": "1s", "scrape_timeout": "1s"}, "scrape_configs": [job]})
    )
    address = _free_address()
    command = [PROMETHEUS, f"--config.file={config}", f"--storage.tsdb.path={folder / 'tsdb'}"]
    command += [f"--web.listen-address={address}", "--log.level=error"]
    async with child("prometheus", command, folder) as process:
        yield process, address


async def _check_successful(address: str) -> None:
    """Probes that fail would be cheaper: they must not be compared."""
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://{address}/api/v1/query", params={"query": "sum(probe_success)"}) as response,
    ):
        answer: Any = await response.json()
    successes = answer["data"]["result"][0]["value"][1]
    assert float(successes) == _TARGETS, f"only {successes} of {_TARGETS} probes succeed"


def _free_address() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"
