"""What people ask of a running watcher, by its commands: to be quiet, to know that somebody is at it, to try again."""

from __future__ import annotations

import asyncio
import json
import resource
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.process import Watcher, command, configuration, running
from tests.fakes.sink import Reply, Sink
from watcher.simulator import Simulator

pytestmark = pytest.mark.unmeasured


def receiver(sink: Sink) -> dict[str, Any]:
    return {"name": "hooks", "type": "webhook", "url": sink.url, "digest_over": 0}


async def ok(watcher: Watcher, folder: Path, *arguments: str) -> str:
    """What a command for this watcher prints."""
    code, out, err = await command(*arguments, cwd=folder, WATCHER_URL=watcher.url, USER="ada")
    assert (code, err) == (0, "")
    return out


async def items(watcher: Watcher, folder: Path, *arguments: str) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = json.loads(await ok(watcher, folder, *arguments, "-o", "json"))["items"]
    return listed


async def suppressed(watcher: Watcher, count: int, *, reason: str) -> None:
    metric = f'watcher_notifications_suppressed_total{{reason="{reason}"}}'
    await watcher.until(lambda metrics: metrics.get(metric, 0.0) >= count)


async def settled(watcher: Watcher, status: str) -> None:
    metric = f'watcher_instances{{source="prod",status="{status}"}}'
    await watcher.until(lambda metrics: metrics.get(metric, 0.0) > 0)


def told(sink: Sink) -> list[tuple[str, str | None, list[str]]]:
    """The kind, the status and the alerts of each notification."""
    data = [request.json["data"] for request in sink.received]
    return [(each["kind"], each["to"], [alert["status"] for alert in each["alerts"]]) for each in data]


async def test_a_silence_holds_back_an_error_which_is_told_when_it_ends(
    cloud: Simulator, hooks: Sink, tmp_path: Path
) -> None:
    office = cloud.world.put(name="office", status="BUILDING")
    other = cloud.world.put(name="lab", status="BUILDING")
    config = configuration(cloud, tmp_path, instances=[office, other], receivers=[receiver(hooks)])
    async with running(config) as watcher:
        await settled(watcher, "BUILDING")
        match = ("--name", "off*", "--label", "team=vdi")
        silence = (await ok(watcher, tmp_path, "silence", "add", *match, "--duration", "1h", "--comment", "x")).strip()
        cloud.world.put(id=office, status="ERROR")
        cloud.world.put(id=other, status="ERROR")
        await suppressed(watcher, 1, reason="silence")
        await hooks.until(lambda received: len(received) == 1)
        [kept] = await items(watcher, tmp_path, "deliveries", "--state", "suppressed")
        assert (kept["event"]["instance_id"], kept["reason"]) == (office, "silence")
        assert kept["held_by"] == f"silence {silence} by ada: x"
        assert await ok(watcher, tmp_path, "silence", "expire", silence) == f"{silence} is over\n"
        await hooks.until(lambda received: len(received) == 2)
        assert await items(watcher, tmp_path, "silence", "list") == []
        [over] = await items(watcher, tmp_path, "silence", "list", "--all")
        assert (over["id"], over["state"], over["author"]) == (silence, "expired", "ada")
        assert await watcher.end() == 0
    assert [request.json["data"]["instance_name"] for request in hooks.received] == ["lab", "office"]
    assert told(hooks) == [("transition", "ERROR", ["firing"])] * 2


async def test_the_end_of_what_was_told_comes_through_a_silence(cloud: Simulator, hooks: Sink, tmp_path: Path) -> None:
    office = cloud.world.put(name="office", status="BUILDING")
    config = configuration(cloud, tmp_path, instances=[office], receivers=[receiver(hooks)])
    async with running(config) as watcher:
        await settled(watcher, "BUILDING")
        cloud.world.put(id=office, status="ERROR")
        await hooks.until(lambda received: len(received) == 1)
        await ok(watcher, tmp_path, "silence", "add", "--all", "--until", "2999-01-01T00:00:00Z", "--comment", "x")
        cloud.world.put(id=office, status="BUILT")
        await hooks.until(lambda received: len(received) == 2)
        cloud.world.put(id=office, status="BUILDING")
        await suppressed(watcher, 1, reason="silence")
        assert await watcher.end() == 0
    assert told(hooks) == [("transition", "ERROR", ["firing"]), ("transition", "BUILT", ["resolved"])]


async def test_who_takes_on_an_alert_is_not_reminded_of_it(cloud: Simulator, hooks: Sink, tmp_path: Path) -> None:
    office = cloud.world.put(name="office", status="BUILDING")
    alerts = {"repeat_interval": "1s"}
    config = configuration(cloud, tmp_path, instances=[office], receivers=[receiver(hooks)], alerts=alerts)
    async with running(config) as watcher:
        await settled(watcher, "BUILDING")
        cloud.world.put(id=office, status="ERROR")
        await hooks.until(lambda received: len(received) >= 3)
        [alert] = await items(watcher, tmp_path, "alerts")
        assert (alert["name"], alert["instance_id"], alert["acknowledged"]) == ("error", office, None)
        said = await ok(watcher, tmp_path, "ack", alert["fingerprint"], "--comment", "on it")
        assert said == f"ada has acknowledged: error of office, since {alert['starts_at']}\n"
        await suppressed(watcher, 1, reason="acknowledged")
        before = len(hooks.received)
        await suppressed(watcher, 3, reason="acknowledged")
        assert len(hooks.received) == before
        table = await ok(watcher, tmp_path, "alerts")
        [head, line] = table.splitlines()
        assert head.split()[:3] == ["FINGERPRINT", "ALERT", "SEVERITY"]
        assert line.split()[:9] == [
            *(alert["fingerprint"], "error", "critical", alert["starts_at"], "prod", office, "office", "ERROR", "ada")
        ]
        cloud.world.put(id=office, status="BUILT")
        await hooks.until(lambda received: received[-1].json["data"]["to"] == "BUILT")
        assert await watcher.end() == 0
    assert [kind for kind, _, _ in told(hooks)][1:-1] == ["reminder"] * (len(hooks.received) - 2)


@pytest.mark.parametrize("which", [["1"], ["--all-dead"]])
async def test_a_dead_letter_arrives_when_it_is_tried_again(
    which: Sequence[str], cloud: Simulator, tmp_path: Path
) -> None:
    office = cloud.world.put(name="office", status="BUILDING")
    async with Sink(Reply(status=400, body="no such hook")) as hooks:
        config = configuration(cloud, tmp_path, instances=[office], receivers=[receiver(hooks)])
        async with running(config) as watcher:
            await settled(watcher, "BUILDING")
            cloud.world.put(id=office, status="ERROR")
            await watcher.until(lambda metrics: metrics['watcher_notifications_dead{receiver="hooks"}'] == 1)
            [dead] = await items(watcher, tmp_path, "deliveries", "--receiver", "hooks", "--state", "dead")
            assert (dead["id"], dead["attempts"], dead["reason"]) == (1, 1, "clientError")
            assert "no such hook" in dead["answer"]
            out = await ok(watcher, tmp_path, "deliveries", "retry", *which)
            assert out == f"tried again: {'delivery ' if which == ['1'] else ''}1\n"
            await hooks.until(lambda received: len(received) == 2)
            await watcher.until(lambda metrics: metrics['watcher_notifications_pending{receiver="hooks"}'] == 0)
            [delivered] = await items(watcher, tmp_path, "deliveries", "--limit", "1")
            assert (delivered["id"], delivered["state"]) == (1, "delivered")
            code, out, err = await command("deliveries", "retry", "1", "7", cwd=tmp_path, WATCHER_URL=watcher.url)
            assert (code, out) == (1, "")
            assert [line.split(": ", 1)[1] for line in err.splitlines()] == [
                "delivery 1 is delivered: only what is dead is tried again",
                "there is no delivery 7: see /api/v1/deliveries",
            ]
            assert await watcher.end() == 0
        first, second = hooks.received
        assert first.headers["webhook-id"] == second.headers["webhook-id"]
        assert first.json["data"] == second.json["data"]


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="only Linux can limit the files of a running process")
async def test_it_is_unhealthy_while_the_store_cannot_be_written_and_heals(
    cloud: Simulator, hooks: Sink, tmp_path: Path
) -> None:
    office = cloud.world.put(name="office", status="BUILDING")
    config = configuration(cloud, tmp_path, instances=[office], receivers=[receiver(hooks)])
    async with running(config) as watcher:
        await settled(watcher, "BUILDING")
        assert await watcher.get("/-/healthy") == (200, "watcher is healthy.\n")
        _, hard = resource.prlimit(watcher.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(watcher.process.pid, resource.RLIMIT_FSIZE, (0, hard))  # as if the disk were full
        cloud.world.put(id=office, status="ERROR")
        async with asyncio.timeout(30):
            while (answer := await watcher.get("/-/healthy"))[0] == 200:
                pass
        assert answer[0] == 503
        assert answer[1].startswith("watcher is not healthy: cannot write the store: ")
        add = ("silence", "add", "--all", "--duration", "1h", "--comment", "x")
        code, out, err = await command(*add, cwd=tmp_path, WATCHER_URL=watcher.url, USER="ada")
        assert (code, out, err.count("\n")) == (1, "", 1)
        assert "answered HTTP 503: cannot write the store: " in err
        assert err.endswith(": try again when the store works\n")
        assert hooks.received == []
        resource.prlimit(watcher.process.pid, resource.RLIMIT_FSIZE, (hard, hard))
        await hooks.until(lambda received: len(received) == 1)
        async with asyncio.timeout(30):
            while (await watcher.get("/-/healthy"))[0] != 200:
                pass
        await ok(watcher, tmp_path, *add)
        assert await watcher.end() == 0
    assert told(hooks) == [("transition", "ERROR", ["firing"])]


async def test_the_configuration_says_where_it_is_and_what_opens_it(cloud: Simulator, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    web = {"listen": f":{port}", "auth": {"bearer_token": "s3cret"}}
    config = configuration(cloud, tmp_path, instances=list(cloud.world.ids()), receivers=[], web=web)
    add = ("silence", "add", "--to", "ERROR", "--duration", "1h", "--comment", "[bold]x[/] \x1b[31m", "--author", "me")
    address = f"http://127.0.0.1:{port}"
    async with running(config):
        code, out, err = await command(*add, "-c", str(config), cwd=tmp_path)
        assert (code, out[:4], err) == (0, "sil_", "")
        code, table, _ = await command("silence", "list", "-c", str(config), cwd=tmp_path)
        assert table.splitlines()[0].split() == ["ID", "STATE", "STARTS", "ENDS", "AUTHOR", "MATCH", "COMMENT"]
        assert table.splitlines()[1].split()[0] == out.strip()
        assert table.splitlines()[1].split()[4:] == ["me", "to=ERROR", "[bold]x[/]", "[31m"]
        code, _, err = await command("alerts", "--url", address, cwd=tmp_path)
        assert (code, err.count("\n"), "HTTP 401: it wants a token: set WATCHER_TOKEN" in err) == (1, 1, True)
        code, _, err = await command("alerts", "--url", address, cwd=tmp_path, WATCHER_TOKEN="s3cre")
        assert (code, err.count("\n"), "HTTP 401: " in err, "s3cre" in err) == (1, 1, True, False)
        code, _, err = await command("alerts", "--url", f"{address}/", cwd=tmp_path, WATCHER_TOKEN="s3cret")
        assert (code, err) == (0, "")


async def test_beyond_loopback_without_a_token_nothing_can_be_changed(cloud: Simulator, tmp_path: Path) -> None:
    config = configuration(
        cloud, tmp_path, instances=list(cloud.world.ids()), receivers=[], web={"listen": "0.0.0.0:0"}
    )
    async with running(config) as watcher:
        url = f"http://127.0.0.1:{watcher.url.rpartition(':')[2]}"
        add = ("silence", "add", "--all", "--duration", "1h", "--comment", "x", "--author", "me", "--url", url)
        code, out, err = await command(*add, cwd=tmp_path)
        assert (code, out, err.count("\n")) == (1, "", 1)
        assert "HTTP 403: " in err
        assert "set web.auth.bearer_token" in err
        assert (await command("silence", "list", "--url", url, cwd=tmp_path))[0] == 0
