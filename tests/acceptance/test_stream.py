"""The event stream of a daemon as a process, through a restart."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.acceptance.process import configuration, running
from tests.fakes.sink import Sink
from watcher.simulator import Simulator

pytestmark = pytest.mark.unmeasured


@asynccontextmanager
async def messages(url: str, **headers: str) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
    """The transitions of the stream, once it is connected."""
    timeout = aiohttp.ClientTimeout(total=60)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.get(f"{url}/api/v1/stream?kind=transition", headers=headers) as response,
    ):
        assert await response.content.readline() == b": connected\n"

        async def events() -> AsyncIterator[dict[str, Any]]:
            async for line in response.content:
                if line.startswith(b"data: "):
                    yield json.loads(line.removeprefix(b"data: "))

        yield events()


async def test_each_change_comes_once_through_a_restart(cloud: Simulator, hooks: Sink, tmp_path: Path) -> None:
    instance = cloud.world.put(name="office-1", status="CREATING")
    receivers = [{"name": "hooks", "type": "webhook", "url": hooks.url}]
    config = configuration(cloud, tmp_path, instances=[instance], receivers=receivers)
    async with running(config) as watcher:
        await watcher.until_ready()
        async with messages(watcher.url) as events:
            cloud.world.put(id=instance, status="ACTIVE")
            first = await anext(events)
            assert (first["from"], first["to"], first["instance_id"]) == ("CREATING", "ACTIVE", instance)
            code = await watcher.end()
            assert [event async for event in events] == []  # it ends with the daemon
        assert code == 0
    cloud.world.put(id=instance, status="BUILDING")
    async with running(config) as watcher:
        await watcher.until_ready()
        async with messages(watcher.url, **{"Last-Event-ID": first["id"]}) as events:
            assert (await anext(events))["to"] == "BUILDING"
            cloud.world.put(id=instance, status="BUILT", image_id="image-1")
            assert (await anext(events))["to"] == "BUILT"
