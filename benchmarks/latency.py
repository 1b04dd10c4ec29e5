"""What the watcher adds to the wait for the next poll: from the answer that first shows a change to its webhook."""

from __future__ import annotations

import asyncio
import random
import tempfile
from pathlib import Path

from benchmarks.cloud import Cloud, serving
from benchmarks.daemon import FAST, watching
from benchmarks.tables import number, quantile, table

_INSTANCES = 1000
_GAP_S = (0.02, 0.05)
_INTERVALS = {"list": FAST, "get": {"interval": "500ms", "steady_interval": "500ms"}}


async def run(*, quick: bool) -> str:
    """Both modes; the table."""
    counts = {"list": 20 if quick else 200, "get": 10 if quick else 100}
    rows = [_row(mode, await _measure(mode, count)) for mode, count in counts.items()]
    return table(
        "Detection overhead",
        ["mode", "changes", "p50 ms", "p99 ms", "longest ms"],
        rows,
        f"{_INSTANCES:,} instances, polled every 200 ms in list mode and every 500 ms in get mode; one change at a "
        "time, 20 to 50 ms after the last webhook. From the first answer that shows the change to the webhook, on the "
        "server's clock.",
    )


async def _measure(mode: str, count: int) -> list[float]:
    with tempfile.TemporaryDirectory(prefix="watcher-bench-") as name:
        folder = Path(name)
        async with (
            serving(folder, instances=_INSTANCES) as cloud,
            watching(cloud, folder, mode=mode, intervals=_INTERVALS[mode]) as daemon,
        ):
            await daemon.until_observed(2 * _INSTANCES)
            return await changes(cloud, count)


async def changes(cloud: Cloud, count: int) -> list[float]:
    """So many changes, one at a time: the seconds from the first answer that shows each to its webhook."""
    rng = random.Random(1)  # noqa: S311 - the same changes in every run
    delays_s = []
    for instance in rng.sample(range(len(cloud.ids)), count):
        async with asyncio.timeout(30.0):
            times = await cloud.control("change", number=instance, status="BUILDING")
        delays_s.append(times["arrived"] - times["shown"])
        await asyncio.sleep(rng.uniform(*_GAP_S))
    return delays_s


def _row(mode: str, delays_s: list[float]) -> list[str]:
    figures = (quantile(delays_s, 50), quantile(delays_s, 99), max(delays_s))
    return [mode, str(len(delays_s)), *(number(figure * 1e3) for figure in figures)]
