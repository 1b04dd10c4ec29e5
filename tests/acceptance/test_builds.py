"""Builds that end in BUILT without having gone well, and reasons that come late, seen from outside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.process import configuration, history, running
from tests.acceptance.test_alerts import hook, observed, settled
from tests.fakes.sink import Received, Sink
from watcher.simulator import Fault, Reason, Simulator

pytestmark = pytest.mark.unmeasured

WHY = {"code": "WKS.00170211", "message": "the export timed out", "exact": False}


def bodies(received: list[Received]) -> list[dict[str, Any]]:
    return [request.json["data"] for request in received]


def told(received: list[Received]) -> list[tuple[str, str | None, list[tuple[str, str]]]]:
    """Kind, new status and alerts of each event."""
    return [
        (body["kind"], body["to"], [(alert["name"], alert["status"]) for alert in body["alerts"]])
        for body in bodies(received)
    ]


async def test_a_build_that_ends_without_an_image_is_an_alert_until_one_goes_well(
    cloud: Simulator, hooks: Sink, tmp_path: Path
) -> None:
    instance = cloud.world.put(name="office", status="BUILT")
    config = configuration(cloud, tmp_path, instances=[instance], receivers=[hook(hooks)])
    async with running(config) as watcher:
        await observed(watcher, "BUILT")
        cloud.world.recreate(
            instance, outcome="no_image", reason=Reason(code=str(WHY["code"]), message=str(WHY["message"]))
        )
        await observed(watcher, "BUILDING")
        cloud.advance(3600)
        await hooks.until(lambda received: len(received) == 3)
        cloud.world.recreate(instance)
        await observed(watcher, "BUILDING")
        cloud.advance(3600)
        await hooks.until(lambda received: len(received) == 5)
        await settled(watcher, "hooks")
        assert await watcher.end() == 0
    assert told(hooks.received) == [
        ("transition", "BUILDING", []),
        ("transition", "BUILT", []),
        ("build_failed", "BUILT", [("build_failed", "firing")]),
        ("transition", "BUILDING", [("build_failed", "resolved")]),
        ("transition", "BUILT", []),
    ]
    assert [body["reason"] for body in bodies(hooks.received)] == [None, WHY, WHY, None, None]


async def test_a_build_of_which_nobody_says_a_word_has_failed_after_a_while_also_over_a_restart(
    cloud: Simulator, hooks: Sink, tmp_path: Path
) -> None:
    instance = cloud.world.put(name="office", status="BUILT")
    alerts = {"build_failed": {"after": "3s", "severity": "warning"}}
    config = configuration(cloud, tmp_path, instances=[instance], receivers=[hook(hooks)], alerts=alerts)
    async with running(config) as watcher:
        await observed(watcher, "BUILT")
        cloud.world.recreate(instance, outcome="no_word")
        await observed(watcher, "BUILDING")
        cloud.advance(3600)
        await hooks.until(lambda received: len(received) == 2)
        assert await watcher.end() == 0
    async with running(config) as watcher:
        await hooks.until(lambda received: len(received) == 3)
        cloud.world.put(id=instance, image_id="a-new-one")
        await hooks.until(lambda received: len(received) == 4)
        await settled(watcher, "hooks")
        assert await watcher.end() == 0
    assert told(hooks.received)[1:] == [
        ("transition", "BUILT", []),
        ("build_failed", "BUILT", [("build_failed", "firing")]),
        ("recovered", "BUILT", [("build_failed", "resolved")]),
    ]
    failed = bodies(hooks.received)[2]
    assert (failed["reason"], failed["severity"]) == (None, "warning")
    assert failed["duration_s"] >= 3


async def test_a_reason_that_comes_late_is_in_the_history_and_in_the_reminder(
    cloud: Simulator, hooks: Sink, tmp_path: Path
) -> None:
    instance = cloud.world.put(name="office", status="ACTIVE")
    config = configuration(
        cloud, tmp_path, instances=[instance], receivers=[hook(hooks)], alerts={"repeat_interval": "3s"}
    )
    async with running(config) as watcher:
        await observed(watcher, "ACTIVE")
        cloud.world.recreate(
            instance, outcome="error", reason=Reason(code=str(WHY["code"]), message=str(WHY["message"]))
        )
        await observed(watcher, "BUILDING")
        fault = cloud.faults.add(Fault(kind="html", status=502, operation="ListImageSubJobs"))
        cloud.advance(3600)
        await hooks.until(lambda received: len(received) == 2)
        cloud.faults.remove(fault)
        await hooks.until(lambda received: len(received) == 3)
        await settled(watcher, "hooks")
        assert await watcher.end() == 0
    _, failed, reminder = bodies(hooks.received)
    assert (failed["kind"], failed["to"], failed["reason"]) == ("transition", "ERROR", None)
    assert (reminder["kind"], reminder["reason"]) == ("reminder", WHY)
    [kept] = [event for event in await history(tmp_path) if event.id == failed["id"]]
    assert kept.reason is not None
    assert kept.reason.code == WHY["code"]
