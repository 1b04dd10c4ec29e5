"""`watcher wait` against a simulated cloud that serves beside it: one line on each stream, and the exit code."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.acceptance.process import configuration
from tests.fakes.sink import Reply, Sink
from watcher.cli.main import main
from watcher.core.clock import SystemClock
from watcher.core.event_json import format_time
from watcher.simulator import Build, InstanceSpec, Scenario, Simulator


@pytest.fixture
def elsewhere() -> Iterator[asyncio.AbstractEventLoop]:
    """A loop in a thread of its own: the command wants one for itself."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield loop
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture
def cloud(elsewhere: asyncio.AbstractEventLoop) -> Iterator[Simulator]:
    instances = (
        InstanceSpec(id="1", name="office", status="BUILT"),
        InstanceSpec(id="2", name="lab", status="BUILDING", build=Build(outcome="error")),
        InstanceSpec(id="3", name="gpu", status="BUILDING", build=Build(outcome="no_image")),
        InstanceSpec(id="4", name="old", status="DELETING"),
        InstanceSpec(id="5", name="new", status="CREATING"),
    )
    simulator = Simulator(Scenario(instances=instances), speed=0)
    simulator.advance(3600)
    simulator.world.recreate("5")
    asyncio.run_coroutine_threadsafe(simulator.start(), elsewhere).result(10)
    yield simulator
    asyncio.run_coroutine_threadsafe(simulator.stop(), elsewhere).result(10)


@pytest.mark.parametrize(
    ("arguments", "code", "out", "err"),
    [
        (["1"], 0, "office (1) is BUILT, image {image}\n", ""),
        (["2"], 1, "lab (2) is ERROR\n", "watcher: waited for BUILT: lab (2): it is in ERROR\n"),
        (["2", "--for", "built,error"], 0, "lab (2) is ERROR\n", ""),
        (
            ["3"],
            1,
            "gpu (3) is BUILT\n",
            "watcher: waited for BUILT: gpu (3): it is BUILT without a product image\n",
        ),
        (["4", "--for", "deleted"], 0, "4 is not there\n", ""),
        (["4"], 1, "4 is not there\n", "watcher: waited for BUILT: 4: the cloud knows no such instance\n"),
        (
            ["office"],
            1,
            "office is not there\n",
            (
                "watcher: waited for BUILT: office: the cloud knows no such instance: "
                "did you mean 1, which has this name?\n"
            ),
        ),
        (["5", "--for", "active", "--for", "BUILDING"], 0, "new (5) is BUILDING\n", ""),
        (
            ["1", "--new-image", "--timeout", "0"],
            3,
            "office (1) is BUILT, image {image}\n",
            (
                "office (1) is BUILT\n"
                "watcher: waited for BUILT with a new image: office (1): asked once: it is BUILT, "
                "not BUILT with a new image\n"
            ),
        ),
    ],
)
def test_what_is_said_and_returned(
    arguments: list[str],
    code: int,
    out: str,
    err: str,
    cloud: Simulator,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    config = configuration(cloud, tmp_path, receivers=[])
    assert main(["wait", "-c", str(config), *arguments]) == code
    output = capsys.readouterr()
    assert (output.out, output.err) == (out.format(image=cloud.world.get("1").image_id), err)


def test_as_json(cloud: Simulator, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = configuration(cloud, tmp_path, receivers=[])
    assert main(["wait", "-c", str(config), "1", "-o", "json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told.pop("instance")["name"] == "office"
    assert told.pop("waited_s") < 30
    assert told == {
        "outcome": "reached",
        "message": None,
        "for": ["BUILT"],
        "source": "prod",
        "instance_id": "1",
        "instance_name": "office",
        "status": "BUILT",
        "presence": "present",
        "image_id": cloud.world.get("1").image_id,
        "reason": None,
    }
    assert main(["wait", "-c", str(config), "nobody", "-o", "json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["outcome"], told["status"], told["presence"]) == ("failed", None, None)


def test_a_credential_that_is_refused(cloud: Simulator, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key = {"method": "aksk", "access_key": cloud.credentials.access_key, "secret_key": "c" * 40}
    config = configuration(cloud, tmp_path, receivers=[], auth=key)
    assert main(["wait", "-c", str(config), "1", "-o", "json"]) == 1
    output = capsys.readouterr()
    assert (output.err.count("\n"), "HTTP 401" in output.err, "c" * 40 in output.err) == (1, True, False)
    told = json.loads(output.out)
    assert (told["outcome"], told["status"], told["instance"]) == ("failed", None, None)


def test_a_watcher_that_runs_knows_better(
    cloud: Simulator, elsewhere: asyncio.AbstractEventLoop, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    since = SystemClock().now() - timedelta(minutes=10)
    known = {"status": "BUILDING", "since": format_time(since), "expected": {"median_s": 1800.0}}
    daemon = Sink(Reply(body=json.dumps(known)))
    asyncio.run_coroutine_threadsafe(daemon.__aenter__(), elsewhere).result(10)
    config = configuration(cloud, tmp_path, receivers=[], web={"listen": daemon.url.split("/")[2]})
    assert main(["wait", "-c", str(config), "5", "--timeout", "0"]) == 3
    asyncio.run_coroutine_threadsafe(daemon.__aexit__(None, None, None), elsewhere).result(10)
    ends_at = (since + timedelta(minutes=30)).astimezone()
    assert [request.path for request in daemon.received] == ["/api/v1/instances/prod/5"]
    line = capsys.readouterr().err.splitlines()[0]
    assert line == f"new (5) is BUILDING; usually 30 min, ends about {ends_at:%H:%M}"
