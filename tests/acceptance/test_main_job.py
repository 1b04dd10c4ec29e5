"""The main job end to end: `watcher run` against the simulated cloud, told to a webhook and a Slack-shaped sink."""

from __future__ import annotations

import signal
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook

from tests.acceptance.process import configuration, running, sample
from tests.fakes.sink import Received, Reply, Sink
from watcher.simulator import Reason, Simulator

pytestmark = pytest.mark.unmeasured

SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"


@pytest.fixture
async def chat() -> AsyncIterator[Sink]:
    async with Sink() as sink:
        yield sink


def receivers(hooks: Sink, chat: Sink | None = None) -> list[dict[str, Any]]:
    both: list[dict[str, Any]] = [{"name": "hooks", "type": "webhook", "url": f"{hooks.url}/hook", "secret": SECRET}]
    if chat is not None:
        slack = {"name": "chat", "type": "slack", "webhook_url": f"{chat.url}/services/T/B/X"}
        both.append(
            {**slack, "rate_limit": "10000/1s"}
        )  # every message by itself, and no faster than one a second, takes long
    return both


def statuses_told(received: list[Received]) -> dict[str, list[str]]:
    """Each instance's statuses in the order they arrived."""
    told: dict[str, list[str]] = defaultdict(list)
    for request in received:
        data = request.json["data"]
        told[data["instance_id"]].append(data["to"])
    return told


async def test_each_of_200_instances_transitions_arrives_once_in_order_and_signed(
    cloud: Simulator, hooks: Sink, chat: Sink, tmp_path: Path
) -> None:
    script = {"even": ["ACTIVE", "BUILDING", "BUILT"], "odd": ["ACTIVE", "BUILDING", "ERROR"]}
    ids = [cloud.world.put(name=f"office-{number:03}", status="CREATING") for number in range(200)]
    scripted = {instance_id: script["odd" if number % 2 else "even"] for number, instance_id in enumerate(ids)}
    config = configuration(cloud, tmp_path, instances=ids, receivers=receivers(hooks, chat))
    async with running(config) as watcher:
        await watcher.until_ready()
        while sample(await watcher.metrics(), "watcher_instances", source="prod", status="CREATING") < 200:
            pass
        for step in range(3):
            for instance_id in ids:
                cloud.world.put(id=instance_id, status=scripted[instance_id][step])
            await hooks.until(lambda received, step=step: len(received) >= 200 * (step + 1))  # type: ignore[misc]  # mypy#15459
            await chat.until(lambda received, step=step: len(received) >= 200 * (step + 1))  # type: ignore[misc]  # mypy#15459
        metrics = await watcher.metrics()
        while any(sample(metrics, "watcher_notifications_pending", receiver=name) for name in ("hooks", "chat")):
            metrics = await watcher.metrics()  # the last answers came; they are being recorded
        assert await watcher.end() == 0
    assert statuses_told(hooks.received) == scripted
    assert len({request.headers["webhook-id"] for request in hooks.received}) == 600
    for request in hooks.received:
        body = Webhook(SECRET).verify(request.body, request.headers)
        assert body["data"]["id"] == request.headers["webhook-id"]
        assert body["data"]["labels"] == {"team": "vdi"}
    assert len(chat.received) == 600
    assert all(request.json["blocks"] for request in chat.received)
    pairs = Counter(pair for steps in scripted.values() for pair in zip(["CREATING", *steps[:-1]], steps, strict=True))
    for (before, after), count in pairs.items():
        transitions = {"source": "prod", "from": before, "to": after}
        assert sample(metrics, "watcher_transitions_total", **transitions) == count
    assert sample(metrics, "watcher_transitions_total", **{"source": "prod", "from": "BUILT", "to": "ERROR"}) == 0
    assert sample(metrics, "watcher_instances", source="prod", status="BUILT") == 100
    assert sample(metrics, "watcher_alerts", source="prod", name="error", severity="critical") == 100
    for name, type_ in (("hooks", "webhook"), ("chat", "slack")):
        assert sample(metrics, "watcher_notifications_total", receiver=name, type=type_) == 600
    assert sample(metrics, "watcher_source_up", source="prod") == 1


async def test_killed_between_two_polls_it_tells_what_changed_meanwhile_once(
    cloud: Simulator, hooks: Sink, tmp_path: Path
) -> None:
    quiet = cloud.world.put(name="quiet", status="BUILT")
    told = cloud.world.put(name="told", status="BUILDING")
    missed = cloud.world.put(name="missed", status="CREATING")
    gone = cloud.world.put(name="gone", status="DELETING")
    config = configuration(cloud, tmp_path, instances=[quiet, told, missed, gone], receivers=receivers(hooks))
    async with running(config) as watcher:
        while sum(v for k, v in (await watcher.metrics()).items() if k.startswith("watcher_instances{")) < 4:
            pass
        cloud.world.put(id=told, status="BUILT")
        await hooks.until(lambda received: len(received) == 1)
        while sample(await watcher.metrics(), "watcher_notifications_pending", receiver="hooks"):
            pass
        assert await watcher.end(signal.SIGKILL) == -signal.SIGKILL
    cloud.world.put(id=missed, status="ACTIVE")
    cloud.world.put(id=missed, status="BUILDING")
    cloud.world.put(id=missed, status="BUILT")
    cloud.world.vanish(gone)
    async with running(config) as watcher:
        await hooks.until(lambda received: len(received) >= 3)
        requests = cloud.requests.count("ListImageServers", 200)
        while cloud.requests.count("ListImageServers", 200) < requests + 20:  # several more rounds of polls
            await watcher.metrics()
        assert await watcher.end() == 0
    events = [request.json["data"] for request in hooks.received]
    assert Counter((event["instance_name"], event["kind"], event["from"], event["to"]) for event in events) == {
        ("told", "transition", "BUILDING", "BUILT"): 1,
        ("missed", "transition", "CREATING", "BUILT"): 1,
        ("gone", "deleted", "DELETING", None): 1,
    }
    [after_restart] = [event for event in events if event["instance_name"] == "missed"]
    assert (after_restart["inferred"], after_restart["sequence"]) == (["ACTIVE", "BUILDING"], 2)


async def test_killed_before_it_was_accepted_it_is_sent_again_with_the_same_id(
    cloud: Simulator, hooks: Sink, tmp_path: Path
) -> None:
    instance = cloud.world.put(name="office", status="BUILDING")
    config = configuration(cloud, tmp_path, instances=[instance], receivers=receivers(hooks))
    hooks.replies.append(Reply(hang=True))
    async with running(config) as watcher:
        while not sample(await watcher.metrics(), "watcher_instances", source="prod", status="BUILDING"):
            pass
        cloud.world.put(id=instance, status="BUILT")
        await hooks.until(lambda received: len(received) == 1)
        await watcher.end(signal.SIGKILL)
    async with running(config) as watcher:
        await hooks.until(lambda received: len(received) == 2)
        assert await watcher.end() == 0
    first, second = hooks.received
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body


async def test_a_receiver_that_is_down_delays_nobody_and_is_told_when_it_is_back(
    cloud: Simulator, hooks: Sink, chat: Sink, tmp_path: Path
) -> None:
    instance = cloud.world.put(name="office", status="BUILDING")
    config = configuration(cloud, tmp_path, instances=[instance], receivers=receivers(hooks, chat))
    hooks.replies.extend([Reply(status=503), Reply(status=429, headers={"Retry-After": "0"}), Reply(reset=True)])
    async with running(config) as watcher:
        while not sample(await watcher.metrics(), "watcher_instances", source="prod", status="BUILDING"):
            pass
        cloud.world.put(id=instance, status="ERROR")
        await chat.until(lambda received: len(received) == 1)
        await hooks.until(lambda received: len(received) == 4, timeout_s=60.0)
        metrics = await watcher.metrics()
        assert await watcher.end() == 0
    assert len({request.headers["webhook-id"] for request in hooks.received}) == 1
    failures = {
        reason: sample(metrics, "watcher_notifications_failed_total", receiver="hooks", type="webhook", reason=reason)
        for reason in ("serverError", "rateLimited", "network")
    }
    assert failures == {"serverError": 1, "rateLimited": 1, "network": 1}


async def test_a_failure_is_told_with_its_reason(cloud: Simulator, hooks: Sink, tmp_path: Path) -> None:
    instance = cloud.world.put(name="office", status="ACTIVE")
    config = configuration(cloud, tmp_path, instances=[instance], receivers=receivers(hooks))
    async with running(config) as watcher:
        while not sample(await watcher.metrics(), "watcher_instances", source="prod", status="ACTIVE"):
            pass
        cloud.world.recreate(instance, outcome="error", reason=Reason(code="WKS.00170206", message="sysprep failed"))
        await hooks.until(lambda received: len(received) == 1)
        cloud.advance(3600)
        await hooks.until(lambda received: len(received) == 2)
        assert await watcher.end() == 0
    event = hooks.received[-1].json["data"]
    assert (event["to"], event["severity"]) == ("ERROR", "critical")
    assert event["reason"] == {"code": "WKS.00170206", "message": "sysprep failed", "exact": False}
    assert [(alert["name"], alert["status"]) for alert in event["alerts"]] == [("error", "firing")]


async def test_a_wrong_key_is_not_hammered(cloud: Simulator, hooks: Sink, tmp_path: Path) -> None:
    ids = [cloud.world.put(name=f"office-{number}", status="BUILT") for number in range(50)]
    auth = {"method": "aksk", "access_key": cloud.credentials.access_key, "secret_key": "canary-wrong-key"}
    config = configuration(cloud, tmp_path, instances=ids, receivers=receivers(hooks), auth=auth)
    async with running(config) as watcher:
        failed = await watcher.logged("source failed")
        await watcher.until_ready()
        assert (await watcher.get("/-/healthy"))[0] == 200
        metrics = await watcher.metrics()
        assert await watcher.end() == 0
        assert "canary" not in str(watcher.log)
    assert failed["retry_in_s"] >= 300
    assert cloud.requests.count("ListImageServers", 401) == 1
    assert sample(metrics, "watcher_source_up", source="prod") == 0
