"""The watcher as a process, as its users run it."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from watcher.core.model import Event
from watcher.simulator import Simulator
from watcher.store import open_store


def source(
    simulator: Simulator,
    *,
    name: str = "prod",
    instances: Sequence[str] = (),
    discover: Sequence[Mapping[str, Any]] = (),
    auth: Mapping[str, Any] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """A source of the configuration that is the simulated cloud."""
    credentials = simulator.credentials
    key = {"method": "aksk", "access_key": credentials.access_key, "secret_key": credentials.secret_key}
    return {
        "name": name,
        "region": credentials.region,
        "project_id": credentials.project_id,
        "endpoint": simulator.url,
        "iam_endpoint": simulator.url,
        "auth": auth or key,
        "instances": [{"id": instance_id, "labels": {"team": "vdi"}} for instance_id in instances],
        "discover": list(discover),
        **more,
    }


def configuration(
    simulator: Simulator,
    folder: Path,
    *,
    instances: Sequence[str] = (),
    receivers: list[dict[str, Any]],
    discover: Sequence[Mapping[str, Any]] = (),
    poll: Mapping[str, Any] | None = None,
    auth: Mapping[str, Any] | None = None,
    **more: Any,
) -> Path:
    """Write a configuration for the simulated cloud; JSON is YAML, too. Every event is told by itself, by default."""
    path = folder / "watcher.yaml"
    document = {
        "sources": [source(simulator, instances=instances, discover=discover, auth=auth)],
        "poll": {"interval": "200ms", "steady_interval": "200ms", "rate_limit": "10000/1s", **(poll or {})},
        "receivers": [{"digest_over": 0, **receiver} for receiver in receivers],
        "store": {"url": f"sqlite:///{folder / 'watcher.db'}"},
        "web": {"listen": "127.0.0.1:0"},
        **more,
    }
    path.write_text(json.dumps(document))
    return path


async def history(folder: Path) -> list[Event]:
    """All events in the store of a configuration written to this folder, in order; its watcher must have ended."""
    store = await open_store(f"sqlite:///{folder / 'watcher.db'}")
    try:
        found: list[Event] = []
        position = 0
        while rows := await store.history(after=position):
            found += [event for _, event in rows]
            position = rows[-1][0]
        return found
    finally:
        await store.close()


class Watcher:
    """A running `watcher run`: its URL, its log, and its end."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.log: list[dict[str, Any]] = []
        self.url = ""
        self._news = asyncio.Event()
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            text = line.decode()
            self.log.append(json.loads(text) if text.startswith("{") else {"event": text.rstrip()})
            self._news.set()
        self._news.set()

    async def logged(self, event: str, *, timeout_s: float = 30.0) -> dict[str, Any]:
        """Wait for a log line with this event; fails with the log when the process ends without it."""
        async with asyncio.timeout(timeout_s):
            while True:
                for line in self.log:
                    if line.get("event") == event:
                        return line
                assert not self._reading.done(), self.log
                self._news.clear()
                await self._news.wait()

    async def get(self, path: str, **headers: str) -> tuple[int, str]:
        """GET a path of its HTTP server."""
        async with aiohttp.ClientSession() as session, session.get(self.url + path, headers=headers) as response:
            return response.status, await response.text()

    async def metrics(self) -> dict[str, float]:
        """All samples of `/metrics`, by name and labels as they are written."""
        _, text = await self.get("/metrics")
        samples = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
        return {name: float(value) for name, _, value in samples}

    async def until(
        self, enough: Callable[[Mapping[str, float]], bool], *, timeout_s: float = 60.0
    ) -> Mapping[str, float]:
        """Scrape `/metrics` until it shows what is awaited, and return it."""
        async with asyncio.timeout(timeout_s):
            while not enough(metrics := await self.metrics()):
                pass
        return metrics

    async def while_serving(self, enough: Callable[[], bool], *, timeout_s: float = 60.0) -> None:
        """Wait until something holds that is seen from outside, and see that it goes on serving."""
        async with asyncio.timeout(timeout_s):
            while not enough():
                assert (await self.get("/-/healthy"))[0] == 200

    async def until_ready(self, *, timeout_s: float = 30.0) -> None:
        """Wait until `/-/ready` says 200."""
        async with asyncio.timeout(timeout_s):
            while (await self.get("/-/ready"))[0] != 200:
                pass

    async def end(self, number: signal.Signals = signal.SIGTERM, *, timeout_s: float = 30.0) -> int:
        """Send a signal and wait for the end; the exit code."""
        self.process.send_signal(number)
        async with asyncio.timeout(timeout_s):
            code = await self.process.wait()
            await self._reading
        return code


@asynccontextmanager
async def launched(config: Path, **environment: str) -> AsyncIterator[Watcher]:
    """Start `watcher run` and do not wait until it serves; killed at the end if it still runs."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "watcher", "run", "-c", str(config)),
        env={"PATH": "/usr/bin:/bin", "HOME": str(config.parent), **environment, **coverage_environment()},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    watcher = Watcher(process)
    try:
        yield watcher
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        await watcher._reading


@asynccontextmanager
async def running(config: Path, **environment: str) -> AsyncIterator[Watcher]:
    """Start `watcher run` and wait until it serves; killed at the end if it still runs."""
    async with launched(config, **environment) as watcher:
        watcher.url = (await watcher.logged("started"))["url"]
        yield watcher


def coverage_environment() -> dict[str, str]:
    """What a child needs to be measured as the tests are."""

    return {name: value for name, value in os.environ.items() if name.startswith("COV")}


async def command(*arguments: str, cwd: Path, **environment: str) -> tuple[int, str, str]:
    """Run `watcher …` to its end: exit code, standard output, standard error."""
    return await ended(sys.executable, "-m", "watcher", *arguments, cwd=cwd, **environment)


async def ended(*arguments: str, cwd: Path, **environment: str) -> tuple[int, str, str]:
    """Run a program to its end; the same of it."""
    process = await asyncio.create_subprocess_exec(
        *arguments,
        cwd=cwd,
        env={"PATH": "/usr/bin:/bin", "HOME": str(cwd), **environment, **coverage_environment()},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60.0):
        out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


def sample(metrics: Mapping[str, float], metric: str, /, **labels: str) -> float:
    """The value of one sample, whatever the order of its labels."""
    wanted = {f'{label}="{value}"' for label, value in labels.items()}
    for key, value in metrics.items():
        found, _, found_labels = key.partition("{")
        if found == metric and set(re.findall(r'\w+="[^"]*"', found_labels)) == wanted:
            return value
    raise KeyError((metric, labels))
