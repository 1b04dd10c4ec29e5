"""A source that does not answer as it should: one alert for all of it, and nothing false of its instances."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.process import configuration, running, sample, source
from tests.acceptance.test_faults import FAULTS, HARMLESS
from tests.fakes.sink import Sink
from watcher.simulator import Fault, Scenario, Simulator

pytestmark = pytest.mark.unmeasured

QUICK = {"timeout": "2s", "backoff": {"initial": "100ms", "max": "500ms"}}
BRISK = {"timeout": "5s", "backoff": {"initial": "50ms", "max": "100ms"}}
NO_DETAILS = {"listen": "127.0.0.1:0", "metrics_instance_limit": 0}


def receivers(hooks: Sink) -> list[dict[str, Any]]:
    return [{"name": "hooks", "type": "webhook", "url": f"{hooks.url}/hook"}]


def unreachable_after(how_long: str) -> dict[str, Any]:
    return {"unreachable": {"after": how_long}}


def kinds(hooks: Sink) -> list[str]:
    return [request.json["data"]["kind"] for request in hooks.received]


def up(metrics: Mapping[str, float], name: str = "prod") -> bool:
    return bool(sample(metrics, "watcher_source_up", source=name))


def stale(metrics: Mapping[str, float], name: str = "prod") -> float:
    return sample(metrics, "watcher_instances_stale", source=name)


def built(metrics: Mapping[str, float], name: str = "prod") -> float:
    return sample(metrics, "watcher_instances", source=name, status="BUILT")


async def test_one_fault_after_another_is_one_outage_each_and_no_other_news(
    cloud: Simulator, hooks: Sink, tmp_path: Path
) -> None:
    ids = [cloud.world.put(name=f"office-{number}", status="BUILT") for number in range(500)]
    known = cloud.credentials
    config = configuration(
        cloud,
        tmp_path,
        instances=ids,
        receivers=receivers(hooks),
        poll={**QUICK, "interval": "1s", "steady_interval": "100ms", "mode": "auto"},
        auth={"method": "password", "user": known.user, "domain": known.domain, "password": known.password},
        alerts=unreachable_after("300ms"),
        web=NO_DETAILS,
    )
    async with running(config) as watcher:

        async def the_list_is_read() -> None:
            goal = cloud.requests.count("ListImageServers", 200) + 10  # 5 pages
            await watcher.while_serving(lambda: cloud.requests.count("ListImageServers", 200) >= goal, timeout_s=20.0)

        async def told(events: int) -> None:
            await hooks.until(lambda received: len(received) >= events)

        await watcher.until(lambda metrics: built(metrics) == 500 and up(metrics))
        assert cloud.requests.count("ShowImageServer") == 0
        outages = 0
        for kind, fields in FAULTS.items():
            cloud.faults.add(Fault(kind=kind, **fields))
            if kind not in HARMLESS:
                await told(2 * outages + 1)
                metrics = await watcher.metrics()
                assert (up(metrics), stale(metrics), built(metrics)) == (False, 500, 500), kind
                cloud.faults.clear()
                await told(2 * outages + 2)
                assert kinds(hooks)[2 * outages :] == ["unreachable", "recovered"], kind
                outages += 1
                await watcher.until(up)
            await the_list_is_read()
            metrics = await watcher.metrics()
            assert (up(metrics), stale(metrics), built(metrics)) == (True, 0, 500), kind
            cloud.faults.clear()
        cloud.world.put(id=ids[321], status="ERROR")
        await told(2 * outages + 1)
        assert await watcher.end() == 0
    assert outages == len(FAULTS) - len(HARMLESS)
    assert kinds(hooks) == ["unreachable", "recovered"] * outages + ["transition"]
    last = hooks.received[-1].json["data"]
    assert (last["instance_id"], last["from"], last["to"]) == (ids[321], "BUILT", "ERROR")
    sequences = [request.json["data"]["sequence"] for request in hooks.received[:-1]]
    assert sequences == list(range(1, 2 * outages + 1))
    edges = [line["event"] for line in watcher.log if line["event"].startswith("source ")]
    assert edges == ["source failed", "source recovered"] * outages
    assert "list avoided" not in {line["event"] for line in watcher.log}


async def test_an_outage_is_told_once_also_when_the_watcher_is_killed_in_it(
    cloud: Simulator, hooks: Sink, tmp_path: Path
) -> None:
    ids = [cloud.world.put(name=f"office-{number}", status="BUILT") for number in range(20)]
    config = configuration(
        cloud,
        tmp_path,
        instances=ids,
        receivers=receivers(hooks),
        poll=BRISK,
        alerts=unreachable_after("500ms"),
    )

    def silent_s() -> float:
        """How long it has been asked in vain, by the times of the requests."""
        asked = cloud.requests.last(500)
        good = max((place for place, request in enumerate(asked) if request.code == 200), default=-1)
        failed = asked[good + 1 :]
        return (failed[-1].at - failed[0].at).total_seconds() if failed else 0.0

    async with running(config) as watcher:
        await watcher.until(lambda metrics: built(metrics) == 20 and up(metrics))
        assert hooks.received == []
        cloud.faults.add(Fault(kind="error", status=503))
        await hooks.until(lambda received: len(received) == 1)
        assert silent_s() > 0.3
        metrics = await watcher.metrics()
        alert = {"source": "prod", "name": "unreachable", "severity": "critical"}
        assert (stale(metrics), built(metrics), sample(metrics, "watcher_alerts", **alert)) == (20, 20, 1)
        await watcher.while_serving(lambda: silent_s() > 1.0)
        await watcher.until(lambda metrics: not sample(metrics, "watcher_notifications_pending", receiver="hooks"))
        assert await watcher.end(signal.SIGKILL) == -signal.SIGKILL
    cloud.requests.clear()
    async with running(config) as watcher:
        await watcher.while_serving(lambda: silent_s() > 1.0)
        metrics = await watcher.metrics()
        assert (stale(metrics), built(metrics), sample(metrics, "watcher_alerts", **alert)) == (20, 20, 1)
        assert kinds(hooks) == ["unreachable"]
        cloud.faults.clear()
        await hooks.until(lambda received: len(received) == 2)
        goal = cloud.requests.count("ListImageServers", 200) + 5
        await watcher.while_serving(lambda: cloud.requests.count("ListImageServers", 200) >= goal)
        metrics = await watcher.metrics()
        assert await watcher.end() == 0
    assert (stale(metrics), built(metrics), sample(metrics, "watcher_alerts", **alert)) == (0, 20, 0)
    down, back = (request.json["data"] for request in hooks.received)
    assert (down["kind"], down["instance_id"], down["severity"]) == ("unreachable", "", "critical")
    assert down["reason"]["code"] == "WKS.00050902"
    assert "temporarily unavailable" in down["reason"]["message"]
    [fired], [ended] = down["alerts"], back["alerts"]
    assert (fired["name"], fired["status"], fired["ends_at"]) == ("unreachable", "firing", None)
    assert (back["kind"], back["instance_id"], back["sequence"]) == ("recovered", "", down["sequence"] + 1)
    assert (ended["fingerprint"], ended["status"]) == (fired["fingerprint"], "resolved")
    assert back["duration_s"] > 2


async def test_a_source_that_hangs_delays_no_other(hooks: Sink, tmp_path: Path) -> None:
    async with Simulator(Scenario(), speed=0) as stuck, Simulator(Scenario(), speed=0) as well:
        ids = {cloud: [cloud.world.put(name="office", status="BUILT") for _ in range(150)] for cloud in (stuck, well)}
        sources = [source(cloud, name=name, instances=ids[cloud]) for name, cloud in (("stuck", stuck), ("well", well))]
        config = configuration(
            stuck, tmp_path, receivers=receivers(hooks), sources=sources, poll={"timeout": "60s"}, web=NO_DETAILS
        )
        stuck.faults.add(Fault(kind="hang", count=1000))
        async with running(config) as watcher:
            await watcher.until(lambda metrics: up(metrics, "well"))
            for turn in range(5):
                well.world.put(id=ids[well][30 * turn], status="ACTIVE")
                stuck.world.put(id=ids[stuck][30 * turn], status="ACTIVE")
                await hooks.until(lambda received, turn=turn: len(received) == turn + 1, timeout_s=10.0)  # type: ignore[misc]  # mypy#15459
            [hang] = stuck.faults.active()
            assert hang.remaining is not None
            assert hang.remaining < 1000  # somebody waits for it
            assert stuck.requests.count() == 0  # to this moment
            stuck.faults.clear()
            await watcher.until(lambda metrics: up(metrics, "stuck"))
            stuck.world.put(id=ids[stuck][149], status="ERROR")
            await hooks.until(lambda received: len(received) == 6)
            assert await watcher.end() == 0
    told = [(request.json["data"]["source"], request.json["data"]["instance_id"]) for request in hooks.received]
    assert told == [*(("well", instance_id) for instance_id in ids[well][:150:30]), ("stuck", ids[stuck][149])]


async def test_a_wrong_path_is_a_failure_of_the_source_and_nothing_is_missing(
    cloud: Simulator, hooks: Sink, tmp_path: Path
) -> None:
    ids = [cloud.world.put(name=f"office-{number}", status="BUILT") for number in range(20)]
    modes = ("get", "list")
    sources = [source(cloud, name=mode, instances=ids, poll={"mode": mode}) for mode in modes]
    astray = {**source(cloud, name="astray", instances=ids), "endpoint": f"{cloud.url}/wrong"}
    config = configuration(
        cloud,
        tmp_path,
        receivers=receivers(hooks),
        sources=[*sources, astray],
        poll=BRISK,
        web=NO_DETAILS,
        alerts=unreachable_after("10m"),
    )

    async def in_vain(operation: str, requests: int) -> None:
        goal = cloud.requests.count(operation, 404) + requests
        await watcher.while_serving(lambda: cloud.requests.count(operation, 404) >= goal)

    async with running(config) as watcher:
        await watcher.until(lambda metrics: all(up(metrics, mode) for mode in modes))
        await in_vain("unknown", 3)
        metrics = await watcher.metrics()
        assert (up(metrics, "astray"), stale(metrics, "astray"), built(metrics, "astray")) == (False, 0, 0)
        faults: tuple[dict[str, Any], ...] = (
            {"kind": "error", "status": 404, "code": "APIGW.0101", "message": "The API does not exist"},
            {"kind": "html", "status": 404},  # a proxy that knows nothing of the API
        )
        for fault in faults:
            cloud.faults.add(Fault(**fault, operation="*ImageServer*"))  # the source that is astray finds none of them
            await watcher.until(lambda metrics: not any(up(metrics, mode) for mode in modes))
            await in_vain("ShowImageServer", 5)
            await in_vain("ListImageServers", 5)
            metrics = await watcher.metrics()
            assert [(stale(metrics, mode), built(metrics, mode)) for mode in modes] == [(20, 20)] * 2
            cloud.faults.clear()
            await watcher.until(lambda metrics: all(up(metrics, mode) for mode in modes))
        cloud.world.vanish(ids[3])
        await hooks.until(lambda received: len(received) == 2)
        assert await watcher.end() == 0
    told = [request.json["data"] for request in hooks.received]
    assert sorted((event["source"], event["kind"], event["instance_id"]) for event in told) == [
        ("get", "missing", ids[3]),
        ("list", "missing", ids[3]),
    ]
    failures = [line for line in watcher.log if line["event"] == "source failed"]
    assert sorted(line["source"] for line in failures) == ["astray", "get", "get", "list", "list"]
    assert {line["do"] for line in failures} == {"check region, endpoint and project_id"}
    assert sum("APIGW.0101" in line["error"] for line in failures) == 3


async def test_a_refused_key_is_left_alone_until_its_file_holds_another(
    cloud: Simulator, hooks: Sink, tmp_path: Path
) -> None:
    ids = [cloud.world.put(name=f"office-{number}", status="BUILT") for number in range(30)]
    key_file = tmp_path / "key"
    key_file.write_text(cloud.credentials.secret_key)
    auth = {"method": "aksk", "access_key": cloud.credentials.access_key, "secret_key_file": str(key_file)}
    config = configuration(
        cloud, tmp_path, instances=ids, receivers=receivers(hooks), auth=auth, alerts=unreachable_after("1s")
    )
    async with running(config) as watcher:
        await watcher.until(lambda metrics: built(metrics) == 30 and up(metrics))
        key_file.write_text("canary-not-the-key")
        failed = await watcher.logged("source failed")
        assert failed["retry_in_s"] >= 300
        await hooks.until(lambda received: len(received) == 1)  # on this occasion, too, it looked at the file
        refused = cloud.requests.count()
        key_file.write_text(cloud.credentials.secret_key)
        cloud.world.put(id=ids[7], status="ACTIVE")
        metrics = await watcher.until(up, timeout_s=25.0)  # it looks every 10 s
        assert stale(metrics) == 0
        await hooks.until(lambda received: len(received) == 3)
        assert await watcher.end() == 0
        assert "canary" not in str(watcher.log)
    assert cloud.requests.count(code=401) == 1
    assert [request.code for request in cloud.requests.last(500)].index(401) == refused - 1
    assert sorted(kinds(hooks)) == ["recovered", "transition", "unreachable"]
    assert kinds(hooks)[0] == "unreachable"
    assert [line["event"] for line in watcher.log if line["event"].startswith("source ")] == [
        "source failed",
        "source recovered",
    ]
