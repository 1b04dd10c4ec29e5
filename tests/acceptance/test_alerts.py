"""Alerts that time makes, and their pairs of firing and resolved, seen from outside."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.process import Watcher, configuration, running, sample
from tests.fakes.sink import Received, Sink
from watcher.simulator import Fault, Simulator

pytestmark = pytest.mark.unmeasured


def hook(sink: Sink, name: str = "hooks", **more: Any) -> dict[str, Any]:
    return {"name": name, "type": "webhook", "url": f"{sink.url}/{name}", **more}


def told(received: list[Received], name: str = "hooks") -> list[tuple[str, list[tuple[str, str]]]]:
    """The kinds of the events a receiver was told of, each with its alerts."""
    events = [request.json["data"] for request in received if request.path == f"/{name}"]
    return [(event["kind"], [(alert["name"], alert["status"]) for alert in event["alerts"]]) for event in events]


async def observed(watcher: Watcher, status: str, count: int = 1) -> None:
    await watcher.until(lambda metrics: sample(metrics, "watcher_instances", source="prod", status=status) == count)


async def settled(watcher: Watcher, *receivers: str) -> None:
    await watcher.until(
        lambda metrics: not any(sample(metrics, "watcher_notifications_pending", receiver=each) for each in receivers)
    )


async def test_stuck_is_told_reminded_of_and_over_for_whoever_was_told_whatever_the_routes_say_by_then(
    cloud: Simulator, hooks: Sink, tmp_path: Path
) -> None:
    instance = cloud.world.put(name="office", status="BUILDING")
    alerts = {"stuck": {"after": {"BUILDING": "1s"}}, "repeat_interval": "1s"}
    receivers = [hook(hooks), hook(hooks, "other")]

    def config(to: str) -> Path:
        routes = [{"match": {"kind": ["stuck", "transition"]}, "receivers": [to]}]
        return configuration(cloud, tmp_path, instances=[instance], receivers=receivers, alerts=alerts, routes=routes)

    async with running(config("hooks")) as watcher:
        await hooks.until(lambda received: len(received) >= 3)
        await settled(watcher, "hooks", "other")
        assert sample(await watcher.metrics(), "watcher_alerts", source="prod", name="stuck", severity="warning") == 1
        assert await watcher.end() == 0
    assert told(hooks.received)[:3] == [("stuck", [("stuck", "firing")]), *[("reminder", [("stuck", "firing")])] * 2]
    assert told(hooks.received, "other") == []
    cloud.world.put(id=instance, status="BUILT")
    async with running(config("other")) as watcher:
        await hooks.until(lambda received: [("stuck", "resolved")] in [alerts for _, alerts in told(received)])
        await hooks.until(lambda received: bool(told(received, "other")))
        await settled(watcher, "hooks", "other")
        assert sample(await watcher.metrics(), "watcher_alerts", source="prod", name="stuck", severity="warning") == 0
        assert await watcher.end() == 0
    assert told(hooks.received)[-1] == ("transition", [("stuck", "resolved")])
    assert told(hooks.received, "other") == [("transition", [])]  # it was not told of the alert, so not of its end


async def test_what_is_removed_from_the_configuration_has_its_alerts_closed(
    cloud: Simulator, hooks: Sink, tmp_path: Path
) -> None:
    gone, stays = (cloud.world.put(name=name, status="ERROR") for name in ("gone", "stays"))
    for instances, count in (([gone, stays], 2), ([stays], 3), ([stays], 3)):
        config = configuration(cloud, tmp_path, instances=instances, receivers=[hook(hooks)])
        async with running(config) as watcher:
            await observed(watcher, "ERROR", len(instances))
            await hooks.until(lambda received, count=count: len(received) >= count)  # type: ignore[misc]  # mypy#15459
            await settled(watcher, "hooks")
            assert await watcher.end() == 0
    assert Counter((r.json["data"]["instance_name"], r.json["data"]["kind"]) for r in hooks.received) == {
        ("gone", "discovered"): 1,
        ("stays", "discovered"): 1,
        ("gone", "recovered"): 1,
    }
    closed = hooks.received[-1].json["data"]
    assert (closed["alerts"][0]["status"], closed["reason"]["code"]) == ("resolved", "unwatched")


async def test_flapping_is_one_alert_with_a_summary_at_its_end(cloud: Simulator, hooks: Sink, tmp_path: Path) -> None:
    instance = cloud.world.put(name="office", status="BUILT")
    alerts = {"flapping": {"changes": 4, "within": "4s"}}
    config = configuration(cloud, tmp_path, instances=[instance], receivers=[hook(hooks)], alerts=alerts)
    async with running(config) as watcher:
        await observed(watcher, "BUILT")
        for turn in range(10):
            status = "BUILT" if turn % 2 else "BUILDING"
            cloud.world.put(id=instance, status=status)
            await observed(watcher, status)
        await hooks.until(lambda received: told(received)[-1] == ("flapping", [("flapping", "resolved")]))
        metrics = await watcher.metrics()
        assert await watcher.end() == 0
    kinds = [kind for kind, _ in told(hooks.received)]
    assert kinds == ["transition"] * 4 + ["flapping", "flapping"]
    summary = hooks.received[-1].json["data"]
    assert (summary["changes"], summary["to"]) == (10, "BUILT")
    assert sample(metrics, "watcher_notifications_suppressed_total", reason="flapping") == 6
    assert sum(v for k, v in metrics.items() if k.startswith("watcher_transitions_total")) == 10


async def test_a_storm_is_a_few_digests_and_no_change_is_missing(cloud: Simulator, hooks: Sink, tmp_path: Path) -> None:
    ids = [cloud.world.put(name=f"office-{number:03}", status="BUILDING") for number in range(300)]
    receivers = [
        hook(hooks, digest_over=10),
        {"name": "chat", "type": "slack", "webhook_url": f"{hooks.url}/chat", "digest_over": 10},
    ]
    config = configuration(cloud, tmp_path, instances=ids, receivers=receivers)
    async with running(config) as watcher:
        await observed(watcher, "BUILDING", 300)
        for number, instance in enumerate(ids):
            cloud.world.put(id=instance, status="ERROR" if number == 299 else "BUILT")
        await observed(watcher, "BUILT", 299)
        await observed(watcher, "ERROR", 1)
        await settled(watcher, "hooks", "chat")
        assert await watcher.end() == 0
    for_people = [request for request in hooks.received if request.path == "/chat"]
    for_machines = [request.json for request in hooks.received if request.path == "/hooks"]
    assert len(for_people) <= 15
    assert len(for_machines) <= 40
    events = [event for body in for_machines for event in body["data"].get("events", [body["data"]])]
    assert sorted(event["instance_id"] for event in events) == sorted(ids)
    assert any(body["type"] == "instance.digest" for body in for_machines)


async def test_the_heart_beats_while_polls_get_on(cloud: Simulator, hooks: Sink, tmp_path: Path) -> None:
    instance = cloud.world.put(name="office", status="BUILT")
    heartbeat = {"url": f"{hooks.url}/ping", "interval": "200ms"}
    config = configuration(cloud, tmp_path, instances=[instance], receivers=[hook(hooks)], heartbeat=heartbeat)
    async with running(config) as watcher:
        await hooks.until(lambda received: len(received) >= 3)
        cloud.faults.add(Fault(kind="error", status=503))
        await watcher.logged("heartbeat withheld")
        beats = len(hooks.received)
        cloud.faults.clear()
        await hooks.until(lambda received: len(received) > beats + 2)
        assert await watcher.end() == 0
    assert {(request.method, request.path) for request in hooks.received} == {("GET", "/ping")}
