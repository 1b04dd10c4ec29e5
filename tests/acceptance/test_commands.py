"""The commands as people and scripts call them: what they print, and their exit codes."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import jsonschema
import pytest
import yaml

from tests.acceptance.process import command, configuration, coverage_environment, running
from tests.fakes.sink import Reply, Sink
from watcher import __version__
from watcher.simulator import Simulator

TEN_MISTAKES = """\
sources:
  - name: Prod!
    region: ap-southeast-3
    project_id: 0123456789abcdef0123456789abcdef
    auth: {method: askk}
    poll: {intervall: 15s, timeout: soon}
    instances: ["697612196993040384", "697612196993040384"]
poll:
  jitter: 7
receivers:
  - {name: chat, type: slack}
  - {name: hooks, type: webhook, url: not-a-url, secret: "${NO_SUCH_VARIABLE}"}
routes:
  - {receivers: [chatt]}
weeb: {}
"""
MISTAKES_AT = {
    2: "sources[0].name",
    5: "sources[0].auth",
    6: "sources[0].poll",
    7: "sources[0].instances[1]",
    9: "poll.jitter",
    11: "receivers[0]",
    12: "receivers[1]",
    14: "routes[0].receivers[0]",
    15: "weeb",
}


@pytest.fixture
async def cloud() -> AsyncIterator[Simulator]:
    async with Simulator(speed=0) as simulator:
        yield simulator


async def test_version(tmp_path: Path) -> None:
    assert await command("--version", cwd=tmp_path) == (0, f"watcher {__version__}\n", "")


@pytest.mark.parametrize(
    "arguments", [("frob",), ("run",), ("check", "--frob"), ("demo", "--for", "soon"), ("simulate", "--port", "x")]
)
async def test_bad_usage_is_one_line_and_2(arguments: tuple[str, ...], tmp_path: Path) -> None:
    code, out, err = await command(*arguments, cwd=tmp_path)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "--help" in err


@pytest.mark.parametrize("name", ["run", "check", "once", "test-receiver"])
async def test_ten_mistakes_are_ten_findings(name: str, tmp_path: Path) -> None:
    (tmp_path / "watcher.yaml").write_text(TEN_MISTAKES)
    arguments = [name, "-c", "watcher.yaml", *(["chat"] if name == "test-receiver" else [])]
    code, _, err = await command(*arguments, cwd=tmp_path)
    assert code == 2
    assert "Traceback" not in err
    lines = err.splitlines()
    assert len(lines) >= 10
    found = {int(line.split(":")[1]): line for line in lines}
    assert set(found) == set(MISTAKES_AT)
    for number, path in MISTAKES_AT.items():
        assert path in found[number]
    assert any("unknown key, did you mean 'interval'?" in line for line in lines)


async def test_a_good_configuration(cloud: Simulator, tmp_path: Path) -> None:
    config = configuration(cloud, tmp_path, instances=list(cloud.world.ids()), receivers=[])
    code, out, err = await command("check", "-c", str(config), cwd=tmp_path)
    assert (code, err) == (0, "")
    assert "1 sources, 5 instances" in out


async def test_what_does_nothing_is_said(cloud: Simulator, tmp_path: Path) -> None:
    config = configuration(cloud, tmp_path, instances=["1"], receivers=[], cluster={"lease_ttl": "15s"})
    code, out, _ = await command("check", "-c", str(config), cwd=tmp_path)
    assert code == 0
    assert "cluster: " in out
    assert "does nothing with SQLite" in out


async def test_check_online(cloud: Simulator, tmp_path: Path) -> None:
    ids = list(cloud.world.ids())
    async with Sink() as sink:
        receivers = [{"name": "hooks", "type": "webhook", "url": sink.url}]
        good = configuration(cloud, tmp_path, instances=ids, receivers=receivers)
        assert (await command("check", "-c", str(good), "--online", cwd=tmp_path))[0] == 0
        assert sink.received == []
        bad = configuration(
            cloud,
            tmp_path,
            instances=[*ids, "000000000000000001"],
            receivers=[*receivers, {"name": "down", "type": "webhook", "url": "http://127.0.0.1:1"}],
        )
        code, _, err = await command("check", "-c", str(bad), "--online", cwd=tmp_path)
    assert code == 1
    assert "instance 000000000000000001: the cloud knows no such instance" in err
    assert "receiver down: cannot connect to 127.0.0.1:1" in err
    assert len(err.splitlines()) == 2


async def test_check_online_reaches_the_database(cloud: Simulator, postgres_url: str, tmp_path: Path) -> None:
    for url, said in (
        (postgres_url, ""),
        (postgres_url.rpartition("/")[0] + "/nowhere", 'cannot open the store: database "nowhere" does not exist'),
    ):
        config = configuration(cloud, tmp_path, discover=[{}], receivers=[], store={"url": url})
        code, _, err = await command("check", "-c", str(config), "--online", cwd=tmp_path)
        assert (code, err.partition(": ")[2].strip()) == (1 if said else 0, said)


async def test_check_online_with_a_wrong_password(cloud: Simulator, tmp_path: Path) -> None:
    credentials = cloud.credentials
    auth = {"method": "password", "user": credentials.user, "domain": credentials.domain, "password": "canary"}
    config = configuration(cloud, tmp_path, instances=list(cloud.world.ids()), receivers=[], auth=auth)
    code, out, err = await command("check", "-c", str(config), "--online", cwd=tmp_path)
    assert code == 1
    assert "source prod: " in err
    assert "check credential" in err
    assert "canary" not in out + err
    assert cloud.requests.count("KeystoneCreateUserTokenByPassword", 401) == 1


async def test_once_as_table_and_json(cloud: Simulator, tmp_path: Path) -> None:
    ids = list(cloud.world.ids())
    config = configuration(cloud, tmp_path, instances=ids, receivers=[])
    code, out, err = await command("once", "-c", str(config), cwd=tmp_path)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].split() == ["SOURCE", "INSTANCE", "NAME", "STATUS", "UPDATED"]
    assert {line.split()[1] for line in lines[1:]} == set(ids)
    code, out, _ = await command("once", "-c", str(config), "-o", "json", cwd=tmp_path)
    items = json.loads(out)["items"]
    assert {item["instance_id"]: item["status"] for item in items} == {
        each.id: str(each.status) for each in cloud.world.instances()
    }
    assert not (tmp_path / "watcher.db").exists()


async def test_once_says_what_could_not_be_read(cloud: Simulator, tmp_path: Path) -> None:
    config = configuration(cloud, tmp_path, instances=["000000000000000001"], receivers=[])
    code, out, err = await command("once", "-c", str(config), cwd=tmp_path)
    assert code == 1
    assert "(not found)" in out
    assert "knows no such instance" in err


async def test_test_receiver(cloud: Simulator, tmp_path: Path) -> None:
    async with Sink(Reply(status=200, body="thanks"), Reply(status=410, body="gone")) as sink:
        config = configuration(
            cloud, tmp_path, instances=["1"], receivers=[{"name": "hooks", "type": "webhook", "url": sink.url}]
        )
        code, out, _ = await command("test-receiver", "-c", str(config), "hooks", cwd=tmp_path)
        assert (code, "HTTP 200 thanks" in out) == (0, True)
        code, _, err = await command("test-receiver", "-c", str(config), "hooks", cwd=tmp_path)
        assert (code, "HTTP 410: gone" in err) == (1, True)
        assert [request.json["type"] for request in sink.received] == ["instance.test"] * 2
    code, _, err = await command("test-receiver", "-c", str(config), "hook", cwd=tmp_path)
    assert (code, "configured: hooks" in err) == (2, True)


async def test_schema_takes_the_examples(tmp_path: Path) -> None:
    code, out, _ = await command("schema", cwd=tmp_path)
    assert code == 0
    schema = json.loads(out)
    for example in (Path(__file__).parents[2] / "config").glob("*.yaml"):
        jsonschema.validate(yaml.safe_load(example.read_text()), schema)


async def test_init_writes_a_configuration_that_works(cloud: Simulator, tmp_path: Path) -> None:
    region = cloud.credentials.region.upper().replace("-", "_")
    environment = {
        "HUAWEICLOUD_SDK_AK": cloud.credentials.access_key,
        "HUAWEICLOUD_SDK_SK": cloud.credentials.secret_key,
        f"HUAWEICLOUD_SDK_REGION_WORKSPACEAPP_{region}": cloud.url,
        "HUAWEICLOUD_SDK_IAM_ENDPOINT": cloud.url,
    }
    code, out, err = await command("init", "-o", "watcher.yaml", cwd=tmp_path, **environment)
    assert (code, err) == (0, "")
    text = (tmp_path / "watcher.yaml").read_text()
    assert all(f'"{instance_id}"' in text for instance_id in cloud.world.ids())
    assert cloud.credentials.secret_key not in text
    code, out, err = await command("check", "-c", "watcher.yaml", "--online", cwd=tmp_path, **environment)
    assert (code, err) == (0, "")
    assert "5 instances" in out
    code, _, err = await command("init", "-o", "watcher.yaml", cwd=tmp_path, **environment)
    assert (code, "already there" in err) == (2, True)


async def test_init_without_a_credential_says_what_was_tried(cloud: Simulator, tmp_path: Path) -> None:
    (tmp_path / "credentials").write_text("[basic]\n")
    code, _, err = await command("init", cwd=tmp_path)
    assert (code, "--region" in err) == (2, True)


async def test_simulate_prints_a_configuration_that_works(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "watcher", "simulate", "--port", "0"),
        env={"PATH": os.environ["PATH"], "PYTHONUNBUFFERED": "1", **coverage_environment()},
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    lines: list[str] = []
    while not (lines and lines[-1].startswith("# serving on")):
        lines.append((await process.stdout.readline()).decode())
    (tmp_path / "watcher.yaml").write_text("".join(lines))
    code, out, err = await command("check", "-c", "watcher.yaml", "--online", cwd=tmp_path)
    assert (code, err) == (0, "")
    assert "5 instances" in out
    for key in ("endpoint", "project_id", "access_key", "secret_key", "user", "password", "domain"):
        assert any(line.strip("# ").startswith(f"{key}: ") for line in lines), key
    process.send_signal(signal.SIGINT)
    assert await process.wait() == 0


async def test_simulate_with_a_scenario_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("instances: [{nam: x}]\n")
    code, _, err = await command("simulate", "--scenario", "bad.yaml", cwd=tmp_path)
    assert code == 2
    assert "bad.yaml" in err
    assert "Traceback" not in err


async def test_demo_shows_it_all_and_ends(tmp_path: Path) -> None:
    code, out, err = await command("demo", "--speed", "600", "--for", "8s", cwd=tmp_path)
    assert (code, err) == (0, "")
    assert "/metrics" in out
    assert "call-centre is ERROR" in out
    assert "sysprep failed" in out
    assert out.count(" is BUILT: ") >= 3
    assert "lab-linux ended its build without a new image" in out
    assert "legacy-2019 is deleted" in out
    assert "Summary: 1 build_failed, 1 deleted, 6 discovered," in out


class TestRun:
    async def test_sigint_drains_too(self, cloud: Simulator, tmp_path: Path) -> None:
        config = configuration(cloud, tmp_path, instances=list(cloud.world.ids()), receivers=[])
        async with running(config) as watcher:
            await watcher.until_ready()
            assert await watcher.end(signal.SIGINT) == 0
        assert watcher.log[-1]["event"] == "stopped"

    async def test_a_second_watcher_on_the_same_store_is_refused(self, cloud: Simulator, tmp_path: Path) -> None:
        config = configuration(cloud, tmp_path, instances=list(cloud.world.ids()), receivers=[])
        async with running(config) as watcher:
            code, _, err = await command("run", "-c", str(config), cwd=tmp_path)
            assert (code, "another watcher is using" in err) == (1, True)
            assert await watcher.end() == 0

    async def test_a_port_that_is_taken(self, cloud: Simulator, tmp_path: Path) -> None:
        port = cloud.url.rpartition(":")[2]
        config = configuration(
            cloud, tmp_path, instances=list(cloud.world.ids()), receivers=[], web={"listen": f"127.0.0.1:{port}"}
        )
        code, _, err = await command("run", "-c", str(config), cwd=tmp_path)
        assert (code, "web.listen: cannot listen on 127.0.0.1:" in err) == (2, True)

    async def test_the_log_is_one_json_object_a_line(self, cloud: Simulator, tmp_path: Path) -> None:
        config = configuration(cloud, tmp_path, instances=["000000000000000001"], receivers=[])
        async with running(config) as watcher:
            line = await watcher.logged("missing")
            assert await watcher.end() == 0
        assert {"event", "level", "timestamp", "logger", "source", "instance_id", "event_id"} <= set(line)
        assert all("level" in line for line in watcher.log)
