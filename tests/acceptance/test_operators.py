"""The commands of people who look: as processes, on a terminal and in a pipe, while the watcher comes and goes."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import pty
import re
import signal
import socket
import struct
import sys
import termios
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from pathlib import Path
from typing import IO

import pytest

from tests.acceptance.process import command, configuration, coverage_environment, running
from watcher.simulator import Simulator


@pytest.fixture
async def cloud() -> AsyncIterator[Simulator]:
    async with Simulator(speed=0) as simulator:
        yield simulator


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def start(*arguments: str, cwd: Path, out: int | IO[bytes] = PIPE) -> Process:
    """`watcher …`, and go on."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "watcher", *arguments),
        cwd=cwd,
        env={"PATH": "/usr/bin:/bin", "HOME": str(cwd), "TERM": "xterm-256color", **coverage_environment()},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=out,
        stderr=PIPE,
    )


async def lines(stream: asyncio.StreamReader | None, count: int) -> list[str]:
    assert stream is not None
    async with asyncio.timeout(30):
        return [(await stream.readline()).decode().rstrip("\n") for _ in range(count)]


async def test_events_are_followed_through_a_restart(cloud: Simulator, tmp_path: Path) -> None:
    ids = list(cloud.world.ids())
    web = {"listen": f"127.0.0.1:{free_port()}"}
    config = configuration(cloud, tmp_path, instances=ids, receivers=[], web=web)
    async with running(config) as watcher:
        await watcher.until_ready()
        following = await start("events", "-f", "-o", "json", "-c", str(config), cwd=tmp_path)
        first = [json.loads(line) for line in await lines(following.stdout, len(ids))]
        assert {event["kind"] for event in first} == {"discovered"}
        await watcher.end()
    assert (await lines(following.stderr, 1))[0].endswith("Trying again until it is back.")
    cloud.world.put(id=ids[0], status="ERROR")
    async with running(config) as watcher:
        [line] = await lines(following.stdout, 1)
        assert (json.loads(line)["to"], json.loads(line)["instance_id"]) == ("ERROR", ids[0])
        assert await lines(following.stderr, 1) == ["It is back."]
        following.send_signal(signal.SIGINT)
        out, err = await following.communicate()
        assert (following.returncode, out, err) == (130, b"", b"watcher: interrupted\n")

        # Nothing happens any more; that nobody reads is noticed all the same.
        ours, theirs = os.pipe()
        with os.fdopen(theirs, "wb") as pipe:
            following = await start("events", "-f", "--limit", "1", "-c", str(config), cwd=tmp_path, out=pipe)
        with os.fdopen(ours, "rb") as reader:
            head, shown = await asyncio.to_thread(lambda: (reader.readline(), reader.readline()))
        assert (head.split()[0], b"ERROR" in shown) == (b"TIME", True)
        async with asyncio.timeout(30):
            assert await following.wait() == 1
        assert await lines(following.stderr, 1) == [""]

        async with asyncio.TaskGroup() as group:
            report = group.create_task(command("report", "-c", str(config), cwd=tmp_path))
            for arguments in (["status"], ["events"], ["events", "--timeline"]):
                group.create_task(on_a_terminal(config, tmp_path, *arguments))
        code, out_text, err_text = report.result()
        assert (code, out_text.partition(":")[0], err_text) == (0, "report.html", "")
        assert (tmp_path / "report.html").stat().st_size > 10_000
        await watcher.end()


async def on_a_terminal(config: Path, folder: Path, *arguments: str) -> None:
    """On a terminal there are colours and ages, and no line is wider than it is."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    with os.fdopen(theirs, "wb") as terminal:
        process = await start(*arguments, "-c", str(config), cwd=folder, out=terminal)
    reading = asyncio.create_task(asyncio.to_thread(_all_of, ours))
    assert await process.wait() == 0
    text = (await reading).decode()
    assert "\x1b[" in text, arguments
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
    assert max(len(line.rstrip()) for line in plain.splitlines()) <= 80
    assert re.search(r"\dZ\b", plain) is None, arguments  # no exact times


def _all_of(number: int) -> bytes:
    content = b""
    try:
        while chunk := os.read(number, 65536):
            content += chunk
    except OSError:
        pass  # what the kernel says when the other side is closed
    os.close(number)
    return content
