"""The configuration changes while the watcher runs, as its users change it."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp

from tests.acceptance.process import Watcher, configuration, history, running, sample, source
from tests.acceptance.test_alerts import hook, observed, settled
from tests.fakes.sink import Reply, Sink
from watcher.simulator import Simulator

TOKEN = {"Authorization": "Bearer opensesame"}


async def reload(watcher: Watcher, **headers: str) -> tuple[int, str]:
    """`POST /-/reload`: status and text."""
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{watcher.url}/-/reload", headers=headers) as response,
    ):
        return response.status, await response.text()


def rewrite(config: Path, **sections: Any) -> None:
    """Other sections in place of those the configuration has, in one step as editors do it."""
    replace(config, json.dumps({**json.loads(config.read_text()), **sections}))


def replace(config: Path, text: str) -> None:
    new = config.with_suffix(".new")
    new.write_text(text)
    new.replace(config)


async def metrics(watcher: Watcher) -> Mapping[str, float]:
    """All samples, by whoever has the token."""
    _, text = await watcher.get("/metrics", **TOKEN)
    samples = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in samples}


def told(sink: Sink, name: str) -> list[tuple[str, str, str | None]]:
    """Instance, kind and new status of each event a receiver was told of."""
    events = [request.json["data"] for request in sink.received if request.path == f"/{name}"]
    return [(event["instance_name"], event["kind"], event["to"]) for event in events]


def all_else(cloud: Simulator, instances: list[str], *, hooks: Sink, held: Sink, elsewhere: Sink) -> dict[str, Any]:
    """Everything that can change, changed."""
    return {
        "sources": [
            source(cloud, instances=instances, poll={"interval": "100ms", "steady_interval": "150ms"}),
            source(cloud, name="office", discover=[{"name": "comes", "labels": {"floor": "2"}}]),
        ],
        "receivers": [
            hook(hooks, digest_over=0, min_severity="info"),
            hook(elsewhere, "moves", digest_over=0),
            hook(held, "held", timeout="50s", digest_over=0),
            hook(elsewhere, "new", digest_over=0),
        ],
        "routes": [
            {"match": {"from": "BUILDING"}, "receivers": ["moves", "new"], "continue": True},
            {"receivers": ["hooks"]},
        ],
        "alerts": {"error": {"severity": "warning"}, "stuck": {"after": {"BUILDING": "2h"}}},
        "runbooks": {"error": "https://wiki.example.com/error"},
        "maintenance": [
            {"name": "never", "days": ["mon"], "start": "00:00", "duration": "1s", "match": {"name": "nobody"}}
        ],
        "heartbeat": {"url": f"{elsewhere.url}/heartbeat", "interval": "100ms"},
        "log": {"level": "debug"},
        "web": {
            "listen": "127.0.0.1:0",
            "auth": {"bearer_token": "opensesame"},
            "external_url": "https://watcher.example.com",
            "metrics_instance_limit": 1,
        },
    }


def compare(before: Mapping[str, float], after: Mapping[str, float]) -> None:
    """What is gone is not shown any more, what is new begins at zero, the rest goes on."""
    assert sample(after, "watcher_config_last_reload_successful") == 1
    loaded = "watcher_config_last_reload_success_timestamp_seconds"
    assert sample(after, loaded) > sample(before, loaded)
    assert [key for key in before if 'source="lab"' in key or 'receiver="goes"' in key]
    assert not [key for key in after if 'source="lab"' in key or 'receiver="goes"' in key]
    assert sample(after, "watcher_source_up", source="prod") == 1
    assert sample(after, "watcher_notifications_total", receiver="new", type="webhook") == 0
    assert sample(after, "watcher_alerts", source="prod", name="error", severity="critical") == 1
    sent = ("watcher_notifications_total", {"receiver": "hooks", "type": "webhook"})
    assert sample(after, sent[0], **sent[1]) >= sample(before, sent[0], **sent[1]) > 0


async def test_all_that_can_change_changes_during_a_build_and_nothing_is_lost_or_told_twice(
    cloud: Simulator, hooks: Sink, tmp_path: Path
) -> None:
    build = cloud.world.put(name="build", status="BUILT")
    cloud.world.recreate(build)
    leaves = cloud.world.put(name="leaves", status="ERROR")
    stays = cloud.world.put(name="stays", status="ERROR")
    cloud.world.put(name="lab-1", status="ERROR")
    comes = cloud.world.put(name="comes", status="BUILT")
    release = asyncio.Event()
    async with Sink() as held, Sink() as elsewhere:
        config = configuration(
            cloud,
            tmp_path,
            receivers=[hook(hooks), hook(hooks, "moves"), hook(held, "held", timeout="60s"), hook(hooks, "goes")],
        )
        rewrite(
            config,
            sources=[
                source(cloud, instances=[build, leaves, stays]),
                source(cloud, name="lab", discover=[{"name": "lab-*"}]),
            ],
        )
        held.good = Reply(after=release)
        async with running(config) as watcher:
            await observed(watcher, "BUILDING")
            await hooks.until(lambda received: len(received) >= 9)  # three errors, to three of them
            await settled(watcher, "hooks", "moves", "goes")
            await held.until(lambda received: len(received) == 1)  # one at a time until it has taken one
            before = await watcher.metrics()
            rewrite(config, **all_else(cloud, [build, stays, comes], hooks=hooks, held=held, elsewhere=elsewhere))
            assert await reload(watcher) == (200, "The configuration applies.\n")

            assert (await watcher.get("/metrics"))[0] == 401
            compare(before, await metrics(watcher))

            await elsewhere.until(lambda received: any(request.path == "/heartbeat" for request in received))
            cloud.advance(7200)
            await elsewhere.until(lambda _: len(told(elsewhere, "new")) == 1)
            release.set()
            await held.until(lambda received: len(received) >= 3)
            async with asyncio.timeout(30):
                while sample(await metrics(watcher), "watcher_notifications_pending", receiver="held"):
                    pass
            cloud.world.put(id=stays, status="BUILT")
            await held.until(lambda received: len(received) >= 6)  # and the end of the three alerts it was told of
            assert (await metrics(watcher))["watcher_config_reload_failures_total"] == 0
            _, shown = await watcher.get("/api/v1/sources", **TOKEN)
            assert [each["name"] for each in json.loads(shown)["items"]] == ["office", "prod"]
            _, shown = await watcher.get("/api/v1/alerts", **TOKEN)
            assert json.loads(shown)["items"] == []
            assert await watcher.end() == 0

        ends = {("leaves", "recovered", None), ("lab-1", "recovered", None), ("stays", "transition", "BUILT")}
        begun = {("leaves", "discovered", "ERROR"), ("lab-1", "discovered", "ERROR"), ("stays", "discovered", "ERROR")}
        built = ("build", "transition", "BUILT")
        assert told(elsewhere, "new") == [built]
        assert sorted(told(hooks, "hooks")) == sorted([*begun, *ends, built])
        assert sorted(told(hooks, "moves")) == sorted(begun)
        assert sorted(told(elsewhere, "moves")) == sorted([*ends, built])
        assert sorted(told(hooks, "goes")) == sorted(begun)
        assert sorted(told(held, "held")) == sorted([*begun, *ends])
    found = await history(tmp_path)
    assert [(event.kind.value, event.sequence) for event in found if event.instance_name == "build"] == [
        ("discovered", 1),
        ("transition", 2),
    ]


async def test_a_file_that_changes_is_applied_by_itself_and_one_that_is_wrong_is_refused(
    cloud: Simulator, hooks: Sink, tmp_path: Path
) -> None:
    office, lab = cloud.world.put(name="office", status="BUILT"), cloud.world.put(name="lab", status="BUILT")
    first = tmp_path / "..2026_01"
    first.mkdir()
    receivers = [hook(hooks, digest_over=0)]
    configuration(cloud, first, instances=[office], receivers=receivers)
    (tmp_path / "..data").symlink_to(first.name)  # a ConfigMap as Kubernetes mounts it
    config = tmp_path / "watcher.yaml"
    config.symlink_to("..data/watcher.yaml")
    async with running(config) as watcher:
        await observed(watcher, "BUILT")

        second = tmp_path / "..2026_02"
        second.mkdir()
        configuration(cloud, second, instances=[office, lab], receivers=receivers)
        (tmp_path / "..data_tmp").symlink_to(second.name)
        (tmp_path / "..data_tmp").replace(tmp_path / "..data")
        await observed(watcher, "BUILT", 2)
        assert (await watcher.logged("configuration waits"))["key"] == "store.url"

        good = config.read_text()
        replace(second / "watcher.yaml", good.replace('"interval"', '"intervall"'))
        refused = await watcher.logged("configuration refused")
        assert refused["problem"].startswith(f"{config}:1:")
        assert "did you mean 'interval'?" in refused["problem"]
        await watcher.until(lambda found: sample(found, "watcher_config_last_reload_successful") == 0)
        status, text = await reload(watcher)
        assert status == 500
        assert "unknown key, did you mean 'interval'?" in text
        assert sample(await watcher.metrics(), "watcher_config_reload_failures_total") == 2
        cloud.world.recreate(lab)
        await hooks.until(lambda received: len(received) == 1)  # the old one goes on

        replace(second / "watcher.yaml", good.replace(f'"{lab}"', '"nobody"'))
        watcher.process.send_signal(signal.SIGHUP)
        await watcher.until(lambda found: sample(found, "watcher_config_last_reload_successful") == 1)
        await watcher.until(lambda found: sample(found, "watcher_instances", source="prod", status="BUILT") == 1)
        assert (await watcher.get("/-/ready"))[0] == 200
        assert await watcher.end() == 0


async def test_what_turns_out_not_to_work_when_it_is_built_leaves_everything_as_it_was(
    cloud: Simulator, hooks: Sink, tmp_path: Path
) -> None:
    office = cloud.world.put(name="office", status="BUILT")
    config = configuration(cloud, tmp_path, instances=[office], receivers=[hook(hooks, digest_over=0)])
    (tmp_path / "ca.pem").write_text("not a certificate")
    async with running(config) as watcher:
        await observed(watcher, "BUILT")
        broken = source(cloud, name="new", instances=["other"], tls={"ca_file": str(tmp_path / "ca.pem")})
        rewrite(config, receivers=[], sources=[source(cloud, instances=["other"]), broken])
        status, text = await reload(watcher)
        assert status == 500
        assert "ca.pem" in text
        cloud.world.recreate(office)
        await hooks.until(lambda received: len(received) == 1)
        assert await watcher.end() == 0
