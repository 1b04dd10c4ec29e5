"""`watcher wait` as pipelines call it: exit codes, and what is on which stream."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.acceptance.process import configuration, coverage_environment
from watcher.simulator import Build, InstanceSpec, Scenario, Simulator

EVIL = "off\x1b[31mice\n[red]\u202e"


@pytest.fixture
async def cloud() -> AsyncIterator[Simulator]:
    """Instances that go on when a test has time pass."""
    instances = (
        InstanceSpec(id="1", name="office", status="BUILDING"),
        InstanceSpec(id="2", name="lab", status="BUILDING", build=Build(outcome="error")),
        InstanceSpec(id="3", name="gpu", status="BUILDING", build=Build(outcome="no_image")),
        InstanceSpec(id="5", name=EVIL, status="BUILDING"),
    )
    async with Simulator(Scenario(instances=instances), speed=0) as simulator:
        yield simulator


@pytest.fixture
def config(cloud: Simulator, tmp_path: Path) -> Path:
    return configuration(cloud, tmp_path, instances=["1"], receivers=[])


class Waiting:
    """A `watcher wait` under way."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    @classmethod
    async def begin(cls, config: Path, *arguments: str) -> Waiting:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "watcher", "wait", "-c", str(config), *arguments),
            env={"PATH": "/usr/bin:/bin", "HOME": str(config.parent), **coverage_environment()},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        return cls(process)

    async def line(self) -> str:
        """The next line on standard error."""
        assert self.process.stderr is not None
        async with asyncio.timeout(30.0):
            return (await self.process.stderr.readline()).decode()

    async def end(self) -> tuple[int, str, str]:
        async with asyncio.timeout(30.0):
            out, err = await self.process.communicate()
        assert self.process.returncode is not None
        return self.process.returncode, out.decode(), err.decode()


async def test_three_builds_side_by_side(cloud: Simulator, config: Path) -> None:
    good, bad, without = [await Waiting.begin(config, each, "-o", "json") for each in ("1", "2", "3")]
    lines = [await each.line() for each in (good, bad, without)]
    assert [line.partition(";")[0] for line in lines] == [
        "office (1) is BUILDING",
        "lab (2) is BUILDING",
        "gpu (3) is BUILDING",
    ]
    assert all("usually 24 min, ends about " in line for line in lines)
    cloud.advance(3600)
    ended = [await each.end() for each in (good, bad, without)]
    assert [code for code, _, _ in ended] == [0, 1, 1]
    told = [json.loads(out) for _, out, _ in ended]
    assert [(each["outcome"], each["status"]) for each in told] == [
        ("reached", "BUILT"),
        ("failed", "ERROR"),
        ("failed", "BUILT"),
    ]
    assert told[0]["image_id"] == told[0]["instance"]["image_id"] != ""
    assert (told[0]["message"], told[0]["reason"], ended[0][2]) == (None, None, "")
    assert set(told[0]) == {
        *("outcome", "message", "for", "source", "instance_id", "instance_name", "status", "presence", "image_id"),
        *("waited_s", "reason", "instance"),
    }
    assert told[1]["reason"]["code"] == "WKS.00170206"
    assert ended[1][2].startswith("watcher: waited for BUILT: lab (2): it went to ERROR: likely sysprep failed")
    assert "its build ended without a new product image: " in ended[2][2]
    assert [err.count("\n") for _, _, err in ended] == [0, 1, 1]


async def test_out_of_time_and_interrupted(config: Path) -> None:
    late = await Waiting.begin(config, "5", "--timeout", "2s", "--for", "BUILT", "--for", "deleted")
    others = {number: await Waiting.begin(config, "5") for number in (signal.SIGINT, signal.SIGTERM)}
    shown = "off [31mice [red] (5)"
    for number, other in others.items():
        assert (await other.line()).startswith(shown + " is BUILDING; ")
        other.process.send_signal(number)
        assert await other.end() == (130, "", "watcher: interrupted\n")
    code, out, err = await late.end()
    assert (code, out) == (3, f"{shown.replace('  ', ' ')} is BUILDING\n")
    assert err.endswith(": 2 s passed and it is BUILDING, not BUILT or deleted\n")
    assert all(line.isprintable() for line in err.splitlines())


async def test_a_terminal_shows_a_bar(cloud: Simulator, config: Path) -> None:
    """On a terminal: the name does nothing to it, and the bar is gone in the end."""
    terminal, end = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "watcher", "wait", "-c", str(config), "5", "--timeout", "2s"),
        env={"PATH": "/usr/bin:/bin", "TERM": "xterm", "COLUMNS": "120", **coverage_environment()},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=end,
    )
    os.close(end)
    shown = b""
    while data := await asyncio.to_thread(_read, terminal):
        shown += data
    os.close(terminal)
    assert process.stdout is not None
    out = (await process.stdout.read()).decode()
    assert (await process.wait(), out) == (3, "off [31mice [red] (5) is BUILDING\n")
    text = shown.decode()
    assert "off [31mice [red] (5) BUILDING" in text
    assert "usually 24 min, ends about " in text
    assert "\x1b[31m" not in text
    assert "\x1b[2K" in text  # the bar is wiped away


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # so a terminal ends
        return b""
