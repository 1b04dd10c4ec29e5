"""The whole way to the real Alertmanager: what is in ERROR fires there, and is over when it is."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.process import configuration, running
from tests.acceptance.test_alerts import hook, observed, settled
from tests.components import Alertmanager, alertmanager
from tests.fakes.sink import Sink
from watcher.simulator import Reason, Simulator

pytestmark = pytest.mark.unmeasured

REASON = Reason(code="WKS.00170206", message="sysprep failed")


async def fires(server: Alertmanager, enough: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
    """Ask Alertmanager until what fires is what is awaited."""
    async with asyncio.timeout(30.0):
        while not enough(active := await server.active()):
            pass
    return active


async def test_an_instance_in_error_fires_and_one_that_left_it_does_not(
    cloud: Simulator, hooks: Sink, tmp_path: Path
) -> None:
    instance = cloud.world.put(name="office", status="ACTIVE")
    mirror = hook(hooks, "mirror", format="alertmanager")
    async with alertmanager(tmp_path) as server:
        receivers = [{"name": "am", "type": "alertmanager", "url": server.url}, mirror]
        config = configuration(cloud, tmp_path, instances=[instance], receivers=receivers)
        async with running(config) as watcher:
            await observed(watcher, "ACTIVE")
            cloud.world.recreate(instance, outcome="error", reason=REASON)
            await observed(watcher, "BUILDING")
            cloud.advance(3600)
            [alert] = await fires(server, bool)
            assert alert["status"]["state"] == "active"
            assert alert["labels"] == {
                "alertname": "error",
                "instance_id": instance,
                "instance_name": "office",
                "severity": "critical",
                "source": "prod",
                "status": "ERROR",
                "team": "vdi",
            }
            assert alert["annotations"]["reason"] == "WKS.00170206 sysprep failed"
            assert len(json.loads(await server.amtool("alert", "query", "alertname=error", "team=vdi"))) == 1
            cloud.world.put(id=instance, status="ACTIVE")
            await fires(server, lambda active: not active)
            await hooks.until(lambda received: len(received) == 2)
            await settled(watcher, "am", "mirror")
            assert await server.active() == []
            assert await watcher.end() == 0
    assert [request.json["status"] for request in hooks.received] == ["firing", "resolved"]  # and of nothing but alerts
    assert len({request.json["groupKey"] for request in hooks.received}) == 1


async def test_it_goes_on_firing_while_the_watcher_restarts_and_where_alertmanager_lost_it(
    cloud: Simulator, tmp_path: Path
) -> None:
    instance = cloud.world.put(name="office", status="ERROR")
    async with alertmanager(tmp_path) as server:
        receivers = [{"name": "am", "type": "alertmanager", "url": server.url, "resend_interval": "200ms"}]
        config = configuration(cloud, tmp_path, instances=[instance], receivers=receivers)
        async with running(config) as watcher:
            [before] = await fires(server, bool)
            await settled(watcher, "am")
            assert await watcher.end() == 0
        assert len(await server.active()) == 1
        port = int(server.url.rpartition(":")[2])
        server.running.kill()
        await server.running.wait()
        async with alertmanager(tmp_path, port=port) as empty, running(config) as watcher:
            [again] = await fires(empty, bool)
            assert (again["labels"], again["startsAt"]) == (before["labels"], before["startsAt"])
            assert await watcher.end() == 0
