"""Three replicas that Prometheus scrapes: the rules count each thing once while sources move, and nothing fires."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.process import Watcher, configuration, running, source
from tests.acceptance.test_alerts import hook
from tests.components import Prometheus, prometheus
from tests.deploy.monitoring import ALERTS, RECORDING
from tests.deploy.test_dashboards import TIMES, all_queries, values_of_variables
from tests.fakes.sink import Sink
from watcher.simulator import Scenario, Simulator

pytestmark = pytest.mark.unmeasured

DEADLINE_S = 60.0
SOURCES = ("east", "west", "north", "south")
INSTANCES = 3
LEASES = len(SOURCES) + 1
# All of the test lies within this; each second was one evaluation.
THROUGHOUT = "[5m:1s]"


async def test_each_thing_counts_once_while_replicas_come_and_go(tmp_path: Path, postgres_url: str) -> None:
    async with Simulator(Scenario(), speed=0) as cloud, Sink() as sink, AsyncExitStack() as stack:
        for office in range(INSTANCES):
            cloud.world.put(name=f"office-{office}", status="BUILT")
        configs = [config(cloud, sink, tmp_path / name, postgres_url) for name in "abc"]
        replicas = await asyncio.gather(*(stack.enter_async_context(running(each)) for each in configs))
        server = await stack.enter_async_context(prometheus(tmp_path, scraping(replicas)))
        await settled(server, replicas=3)
        values = await values_of_variables(server)
        for query in all_queries({**TIMES, **values}):
            await server.query(query.expression)  # none finds two where it wants one
        drained, killed, last = replicas
        assert await drained.end() == 0
        await settled(server, replicas=2)
        await killed.end(signal.SIGKILL)
        await settled(server, replicas=1)
        assert await number(server, "count(up == 0)") == 2

        # Whoever showed them: never more sources and instances than there are, and none was lost sight of.
        counted = "count(last_over_time(source:watcher_source_up:max[5m]))"
        assert await number(server, f"max_over_time({counted}{THROUGHOUT})") == len(SOURCES)
        assert await number(server, f"{counted}") == len(SOURCES)
        instances = "sum(source:watcher_instances:max)"
        assert await number(server, f"max_over_time({instances}{THROUGHOUT})") == len(SOURCES) * INSTANCES
        at_once = "max(count by (source) (watcher_source_up))"
        assert await number(server, f"max_over_time({at_once}{THROUGHOUT})") in (1, 2)
        firing = await server.query('count_over_time(ALERTS{alertstate="firing"}[5m])')
        assert [series["metric"] for series in firing] == []
        assert await last.end() == 0


def config(cloud: Simulator, sink: Sink, folder: Path, url: str) -> Path:
    """The same for all of them, in a folder of its own."""
    folder.mkdir()
    return configuration(
        cloud,
        folder,
        receivers=[hook(sink)],
        sources=[source(cloud, name=name, discover=[{}]) for name in SOURCES],
        store={"url": url},
        cluster={"lease_ttl": "2s"},
    )


def scraping(replicas: Sequence[Watcher]) -> dict[str, Any]:
    """A configuration of Prometheus with our rules as they are, which asks each replica every second."""
    targets = [replica.url.removeprefix("http://") for replica in replicas]
    return {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(RECORDING), str(ALERTS)],
        "scrape_configs": [{"job_name": "watcher", "static_configs": [{"targets": targets}]}],
    }


async def settled(server: Prometheus, *, replicas: int) -> None:
    """Wait until so many replicas hold everything, each of them something, and every source answers."""
    expressions = {
        "sum(watcher_leases_held)": LEASES,
        "count(watcher_leases_held > 0)": replicas,
        "job:watcher_replicas:max": replicas,
        "min(watcher_replicas)": replicas,
        "count(watcher_source_up)": len(SOURCES),
        "count(source:watcher_source_up:max == 1)": len(SOURCES),
        "sum(source:watcher_instances:max)": len(SOURCES) * INSTANCES,
    }
    found: dict[str, float | None] = {}
    try:
        async with asyncio.timeout(DEADLINE_S):
            while found != expressions:
                found = {expression: await number(server, expression) for expression in expressions}
    except TimeoutError:
        raise AssertionError(found) from None


async def number(server: Prometheus, expression: str) -> float | None:
    """The one number that an expression is now; None when it is nothing."""
    series = await server.query(expression)
    assert len(series) <= 1, series
    return float(series[0]["value"][1]) if series else None
