"""The API of a live daemon, tried by schemathesis with all its checks by the document that the daemon serves."""

from __future__ import annotations

import sys
from asyncio.subprocess import PIPE, STDOUT, create_subprocess_exec
from pathlib import Path

import pytest

from tests.acceptance.process import configuration, running
from tests.fakes.sink import Reply, Sink
from watcher.simulator import Simulator

pytestmark = pytest.mark.unmeasured

_EXAMPLES = 15
_TOKEN = "s3cret"


async def test_schemathesis_finds_nothing(cloud: Simulator, hooks: Sink, tmp_path: Path) -> None:
    hooks.good = Reply(404)
    failed = cloud.world.put(name="office-1", status="ERROR")
    config = configuration(
        cloud,
        tmp_path,
        instances=[failed],
        receivers=[{"name": "hooks", "type": "webhook", "url": hooks.url}],
        web={"listen": "127.0.0.1:0", "auth": {"bearer_token": _TOKEN}},
    )
    async with running(config) as watcher:
        await watcher.until_ready()
        tried = await create_subprocess_exec(
            *(sys.executable, "-m", "schemathesis.cli", "run", f"{watcher.url}/api/v1/openapi.json", "--no-color"),
            *("--header", f"Authorization: Bearer {_TOKEN}", "--max-examples", str(_EXAMPLES)),
            *("--exclude-path", "/api/v1/stream"),  # it does not end by itself: tests/integration/ops/test_stream.py
            cwd=tmp_path,
            stdout=PIPE,
            stderr=STDOUT,
        )
        told = (await tried.communicate())[0].decode()
        assert tried.returncode == 0, told
        assert "Tested: 15" in told
        assert "a request failed by a fault of our own" not in [line["event"] for line in watcher.log]
