"""Starting the fake cloud, and telling it what to do."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks.processes import child
from benchmarks.server import CONTROL_PATH, instance_ids, project_ids


class Cloud:
    """The fake cloud as its master sees it."""

    def __init__(self, url: str, session: aiohttp.ClientSession, *, instances: int, projects: int) -> None:
        self.url = url
        self.projects = project_ids(projects)
        self.ids = instance_ids(instances)
        self._session = session

    async def control(self, action: str, **query: str | int) -> Any:
        """Ask for one of the server's control actions; its answer."""
        async with self._session.get(self.url + CONTROL_PATH + action, params=query) as response:
            response.raise_for_status()
            return await response.json()

    async def shown(self) -> int:
        """How many instances its answers have shown; to ask costs its clients nothing."""
        counts = await self.control("counts")
        return int(counts["shown"])


@asynccontextmanager
async def serving(
    folder: Path, *, instances: int, projects: int = 1, status: str = "ACTIVE", differs: str = "nothing"
) -> AsyncIterator[Cloud]:
    """A fake cloud with so many instances in so many projects, in this status; `differs` as the server has it."""
    command = [sys.executable, "-m", "benchmarks.server"]
    command += ["--instances", str(instances), "--projects", str(projects), "--status", status, "--differs", differs]
    async with child("fake cloud", command, folder) as server, aiohttp.ClientSession() as session:
        yield Cloud(f"http://127.0.0.1:{await server.line()}", session, instances=instances, projects=projects)
