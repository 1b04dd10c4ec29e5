"""Real programs of others that tests run against, as processes on 127.0.0.1."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
from asyncio.subprocess import DEVNULL, PIPE, STDOUT
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import aiohttp
import pytest


def program(name: str, *, package: str) -> str:
    """Where it is; without it a test is skipped and says what to install, and fails where `CI` is true."""
    return shutil.which(name) or missing(f"{name} is missing: apt-get install {package}")


def missing(message: str) -> NoReturn:
    """Skip the test for want of something, and fail where `CI` is true."""
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)


def free_port() -> int:
    """A port that nobody listened on a moment ago."""
    with closing(socket.socket()) as unused:
        unused.bind(("127.0.0.1", 0))
        port: int = unused.getsockname()[1]
        return port


@asynccontextmanager
async def process(*command: str, cwd: Path, log: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """A program that runs until it is killed at the end, its output in a file."""
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(cwd)}
    with log.open("ab") as output:
        running = await asyncio.create_subprocess_exec(
            *command,
            cwd=cwd,
            env=environment,
            stdin=DEVNULL,
            stdout=output,
            stderr=STDOUT,
        )
    try:
        yield running
    finally:
        if running.returncode is None:
            running.kill()
            await running.wait()


@dataclass(frozen=True)
class Alertmanager:
    """A running Alertmanager: what it shows through its API and its own command."""

    url: str
    session: aiohttp.ClientSession
    running: asyncio.subprocess.Process

    async def get(self, path: str, **params: str) -> Any:
        """GET a path of its API, version 2."""
        async with self.session.get(f"{self.url}/api/v2/{path}", params=params) as response:
            assert response.status == 200, await response.text()
            return await response.json()

    async def active(self) -> list[dict[str, Any]]:
        """The alerts that fire."""
        found: list[dict[str, Any]] = await self.get("alerts", active="true")
        return found

    async def amtool(self, *arguments: str) -> str:
        """What its own command says, with `-o json`."""
        amtool = program("amtool", package="prometheus-alertmanager")
        command = (amtool, f"--alertmanager.url={self.url}", "-o", "json", *arguments)
        running = await asyncio.create_subprocess_exec(*command, stdin=DEVNULL, stdout=PIPE, stderr=PIPE)
        said, complaint = await running.communicate()
        assert running.returncode == 0, complaint.decode()
        return said.decode()


@asynccontextmanager
async def alertmanager(
    folder: Path, configuration: Mapping[str, Any] | None = None, *, port: int | None = None, prefix: str = ""
) -> AsyncIterator[Alertmanager]:
    """Start Debian's Alertmanager without any state and wait until it is ready; unless configured it tells nobody."""
    binary = program("prometheus-alertmanager", package="prometheus-alertmanager")
    port = port or free_port()
    state = folder / f"alertmanager-{port}"
    shutil.rmtree(state, ignore_errors=True)
    state.mkdir()
    config = configuration or {"route": {"receiver": "nobody"}, "receivers": [{"name": "nobody"}]}
    (state / "alertmanager.yml").write_text(json.dumps(config))
    command = (
        binary,
        "--config.file=alertmanager.yml",
        "--storage.path=data",
        f"--web.listen-address=127.0.0.1:{port}",
        f"--web.external-url=http://127.0.0.1:{port}{prefix}",
        "--cluster.listen-address=",
        "--log.level=debug",
    )
    log = folder / f"alertmanager-{port}.log"
    async with process(*command, cwd=state, log=log) as running, aiohttp.ClientSession() as session:
        url = f"http://127.0.0.1:{port}{prefix}"
        await ready(f"{url}/-/ready", session=session, running=running, log=log)
        yield Alertmanager(url, session, running)


@dataclass(frozen=True)
class Prometheus:
    """A running Prometheus: what it answers to queries."""

    url: str
    session: aiohttp.ClientSession

    async def query(self, expression: str) -> list[dict[str, Any]]:
        """The series of an instant query: `metric` (labels) and `value` (time and the value as text)."""
        found: list[dict[str, Any]] = (await self._get("query", query=expression))["result"]
        return found

    async def label_values(self, label: str, series: str) -> list[str]:
        """The values that a label has in these series."""
        found: list[str] = await self._get(f"label/{label}/values", **{"match[]": series})
        return found

    async def _get(self, path: str, **params: str) -> Any:
        async with self.session.get(f"{self.url}/api/v1/{path}", params=params) as response:
            assert response.status == 200, (params, await response.text())
            return (await response.json())["data"]


@asynccontextmanager
async def prometheus(folder: Path, configuration: Mapping[str, Any]) -> AsyncIterator[Prometheus]:
    """Start Debian's Prometheus with an empty store and wait until it is ready; its first scrape is 5 s away then."""
    binary = program("prometheus", package="prometheus")
    port = free_port()
    state = folder / f"prometheus-{port}"
    state.mkdir()
    (state / "prometheus.yml").write_text(json.dumps(configuration))
    command = (
        binary,
        "--config.file=prometheus.yml",
        "--storage.tsdb.path=data",
        f"--web.listen-address=127.0.0.1:{port}",
    )
    log = folder / f"prometheus-{port}.log"
    async with process(*command, cwd=state, log=log) as running, aiohttp.ClientSession() as session:
        url = f"http://127.0.0.1:{port}"
        await ready(f"{url}/-/ready", session=session, running=running, log=log)
        yield Prometheus(url, session)


async def ready(
    url: str, *, session: aiohttp.ClientSession, running: asyncio.subprocess.Process, log: Path, status: int = 200
) -> None:
    """Ask until a program answers so; fails with its log when it ends or takes too long."""
    try:
        async with asyncio.timeout(20):
            while True:
                assert running.returncode is None, log.read_text()
                try:
                    async with session.get(url) as response:
                        if response.status == status:
                            return
                except aiohttp.ClientConnectionError:
                    await asyncio.wait([asyncio.create_task(running.wait())], timeout=0.05)
    except TimeoutError:
        pytest.fail(log.read_text())


@asynccontextmanager
async def irc_relay(folder: Path, *, irc_port: int, template: str) -> AsyncIterator[str]:
    """Start Debian's alertmanager-irc-relay in the channel `#alerts`; the URL its webhook is at."""
    binary = program("alertmanager-irc-relay", package="alertmanager-irc-relay")
    port = free_port()
    config = {
        "http_host": "127.0.0.1",
        "http_port": port,
        "irc_host": "127.0.0.1",
        "irc_port": irc_port,
        "irc_use_ssl": False,
        "irc_nickname": "relay",
        "irc_realname": "relay",
        "irc_channels": [{"name": "#alerts"}],
        "msg_template": template,
    }
    (folder / "relay.yml").write_text(json.dumps(config))
    log = folder / "relay.log"
    command = (binary, f"--config={folder / 'relay.yml'}")
    async with process(*command, cwd=folder, log=log) as running, aiohttp.ClientSession() as session:
        await ready(f"http://127.0.0.1:{port}/", session=session, running=running, log=log, status=404)
        yield f"http://127.0.0.1:{port}/alerts"
