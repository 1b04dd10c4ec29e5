"""An instance fails, somebody takes it on, it recovers: one incident, from outside."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.process import Watcher, command, configuration, running
from tests.fakes.pagerduty import KEY, FakePagerDuty
from tests.fakes.sink import Reply
from watcher.simulator import Reason, Simulator

pytestmark = pytest.mark.unmeasured


@pytest.fixture
async def duty() -> AsyncIterator[FakePagerDuty]:
    async with FakePagerDuty() as duty:
        yield duty


HERE = Path(__file__).parents[2]


def oncall(duty: FakePagerDuty, **more: Any) -> dict[str, Any]:
    return {"name": "oncall", "type": "pagerduty", "routing_key": KEY, "url": duty.url, **more}


async def observed(watcher: Watcher, status: str) -> None:
    await watcher.until(lambda metrics: metrics.get(f'watcher_instances{{source="prod",status="{status}"}}', 0) > 0)


async def test_one_incident_is_opened_acknowledged_and_resolved(
    cloud: Simulator, duty: FakePagerDuty, tmp_path: Path
) -> None:
    office = cloud.world.put(name="office", status="ACTIVE")
    config = configuration(cloud, tmp_path, instances=[office], receivers=[oncall(duty)])
    duty.replies.append(Reply(status=429, headers={"Retry-After": "0"}))
    async with running(config) as watcher:
        await observed(watcher, "ACTIVE")
        cloud.world.recreate(office, outcome="error", reason=Reason(code="WKS.00170206", message="sysprep failed"))
        await observed(watcher, "BUILDING")
        cloud.advance(3600)
        await duty.until(lambda _: bool(duty.incidents))
        [incident] = duty.incidents
        code, _, err = await command(
            *("ack", incident.dedup_key, "--comment", "on it"), cwd=HERE, WATCHER_URL=watcher.url, USER="ada"
        )
        assert (code, err) == (0, "")
        await duty.until(lambda _: incident.status == "acknowledged")
        assert await watcher.end() == 0
    async with running(config) as watcher:
        cloud.world.put(id=office, status="BUILT")
        await duty.until(lambda _: incident.status == "resolved")
        await observed(watcher, "BUILT")
        assert await watcher.end() == 0
    assert duty.incidents == [incident]
    assert incident.log == ["trigger", "acknowledge", "resolve"]
    payload = incident.trigger["payload"]
    assert (payload["component"], payload["class"], payload["severity"]) == ("office", "error", "critical")
    assert payload["summary"].startswith("office is ERROR: BUILDING → ERROR after ")
    assert payload["custom_details"]["Likely reason"] == "WKS.00170206 sysprep failed"
    assert (duty.changes, duty.dropped, duty.refused) == ([], [], [])


async def test_informational_events_are_change_events_when_asked(
    cloud: Simulator, duty: FakePagerDuty, tmp_path: Path
) -> None:
    office = cloud.world.put(name="office", status="BUILDING")
    config = configuration(cloud, tmp_path, instances=[office], receivers=[oncall(duty, informational=True)])
    async with running(config) as watcher:
        await observed(watcher, "BUILDING")
        cloud.world.put(id=office, status="BUILT")
        await duty.until(lambda _: bool(duty.changes))
        assert await watcher.end() == 0
    [change] = duty.changes
    assert change["payload"]["summary"].startswith("office is BUILT: BUILDING → BUILT after ")
    assert (duty.incidents, duty.refused) == ([], [])


async def test_a_trial_leaves_nothing_behind(cloud: Simulator, duty: FakePagerDuty, tmp_path: Path) -> None:
    config = configuration(cloud, tmp_path, instances=["1"], receivers=[oncall(duty)])
    code, out, err = await command("test-receiver", "oncall", "-c", str(config), cwd=HERE)
    assert (code, err) == (0, "")
    assert "opened (HTTP 202 Event processed) and resolved (HTTP 202 Event processed)" in out
    assert [incident.status for incident in duty.incidents] == ["resolved"]


async def test_a_wrong_key_is_explained(cloud: Simulator, duty: FakePagerDuty, tmp_path: Path) -> None:
    config = configuration(cloud, tmp_path, instances=["1"], receivers=[oncall(duty, routing_key="canary" + "0" * 26)])
    code, out, err = await command("test-receiver", "oncall", "-c", str(config), cwd=HERE)
    assert code != 0
    assert "Invalid routing key; use the integration key (32 characters) of an Events API v2 integration" in out + err
    assert "canary" not in json.dumps([out, err])
