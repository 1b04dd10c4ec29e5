"""Every way the simulated cloud can break, switched on and off again under a running daemon."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest

from tests.acceptance.process import Watcher, configuration, running, sample
from tests.fakes.sink import Sink
from watcher.simulator import Fault, Scenario, Simulator

pytestmark = pytest.mark.unmeasured

FAULTS: dict[str, dict[str, Any]] = {
    "latency": {"ms": 100},
    "throttle": {"retry_after": 1},
    "error": {"status": 503},
    "hang": {},
    "reset": {},
    "truncated": {},
    "html": {},
    "empty": {},
    "bad_json": {},
    "wrong_types": {},
    "token_expiry": {},
}
HARMLESS = {"latency", "token_expiry"}  # answered late, or after one renewal of the token


def test_none_is_left_out() -> None:
    assert set(FAULTS) == set(get_args(Fault.model_fields["kind"].annotation))


async def up(watcher: Watcher) -> float:
    return sample(await watcher.metrics(), "watcher_source_up", source="prod")


@pytest.mark.parametrize("kind", FAULTS)
async def test_a_fault_is_no_news_and_heals_without_restart(kind: str, tmp_path: Path) -> None:
    async with Simulator(Scenario(), speed=0) as cloud, Sink() as hooks:
        ids = [cloud.world.put(name=f"office-{number}", status="BUILT") for number in range(40)]
        config = configuration(
            cloud,
            tmp_path,
            instances=ids,
            receivers=[{"name": "hooks", "type": "webhook", "url": hooks.url}],
            poll={
                "interval": "100ms",
                "steady_interval": "100ms",
                "timeout": "2s" if kind == "hang" else "30s",  # no answer late by a loaded machine is a failure
                "concurrency": 8,
                "backoff": {"initial": "100ms", "max": "500ms"},
            },
            auth={
                "method": "password",
                "user": cloud.credentials.user,
                "domain": cloud.credentials.domain,
                "password": cloud.credentials.password,
            },
        )
        async with running(config) as watcher:
            while not await up(watcher):  # the first cycle has seen them all
                pass
            cloud.faults.add(Fault(kind=kind, **FAULTS[kind]))
            if kind in HARMLESS:
                seen = sum(cloud.requests.counts.values())
                while sum(cloud.requests.counts.values()) < seen + 20:
                    assert await up(watcher)
            else:
                while await up(watcher):
                    pass
            cloud.faults.clear()
            while not await up(watcher):
                pass
            assert hooks.received == []
            cloud.world.put(id=ids[7], status="ERROR")
            await hooks.until(lambda received: len(received) == 1)
            assert await watcher.end() == 0
        assert [request.json["data"]["to"] for request in hooks.received] == ["ERROR"]
        edges = [line["event"] for line in watcher.log if line["event"].startswith("source ")]
        assert edges == ([] if kind in HARMLESS else ["source failed", "source recovered"])
