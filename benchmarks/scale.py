"""How time, memory and CPU grow with the number of instances in one source."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from benchmarks.cloud import Cloud, serving
from benchmarks.daemon import Daemon, Reading, watching
from benchmarks.tables import number, table

_SIZES = (1000, 10_000, 100_000)
_INTERVALS = {"interval": "3s", "steady_interval": "3s"}
_LOOK_AGAIN_S = 0.1
_SETTLE_S = 0.5
_TIMEOUT_S = 150.0


@dataclass(frozen=True)
class _Grown:
    """What one size took."""

    instances: int
    first_s: float
    rss_mib: float
    peak_mib: float
    cycle_cpu_s: float
    cycle_s: float


async def run(*, quick: bool) -> str:
    """Every size; the table."""
    sizes, cycles = (_SIZES[:2], 1) if quick else (_SIZES, 3)
    grown = [await _measure(count, cycles) for count in sizes]
    return table(
        "Scale: one source in list mode, pages unchanged",
        [
            "instances",
            "s to the first look at all",
            "ms each",
            "RSS MiB then",
            "peak MiB",
            "KiB for each more",
            "CPU s of a steady cycle",
            "CPU µs each",
            "cycle s",
        ],
        [_row(now, before) for now, before in zip(grown, [None, *grown], strict=False)],
        f"From the start of the process. A steady cycle looks at every instance once: the mean of {cycles}.",
    )


async def _measure(count: int, cycles: int) -> _Grown:
    with tempfile.TemporaryDirectory(prefix="watcher-bench-") as name:
        folder = Path(name)
        async with serving(folder, instances=count) as cloud:
            began_s = monotonic()
            async with watching(cloud, folder, mode="list", intervals=_INTERVALS) as daemon:
                await _until_shown(cloud, daemon, count)
                await daemon.until_known(count)
                first_s = monotonic() - began_s
                rss_mib, _ = daemon.process.memory_mib()
                done = await _steady(cloud, daemon, cycles * count)
                _, peak_mib = daemon.process.memory_mib()
    looks = done.observations / count
    return _Grown(count, first_s, rss_mib, peak_mib, done.cpu_s / looks, done.cycles_s / looks)


async def _steady(cloud: Cloud, daemon: Daemon, observations: int) -> Reading:
    """What so many more observations cost, from the second cycle on: the first one's commits may go on into it."""
    await _until_shown(cloud, daemon, await cloud.shown() + len(cloud.ids))
    await asyncio.sleep(_SETTLE_S)
    before = await daemon.reading()
    await _until_shown(cloud, daemon, await cloud.shown() + observations)
    await asyncio.sleep(_SETTLE_S)
    return await daemon.reading() - before


async def _until_shown(cloud: Cloud, daemon: Daemon, count: int) -> None:
    """Wait by the server's count: to read the daemon's metrics again and again would be measured, too."""
    async with asyncio.timeout(_TIMEOUT_S):
        while await cloud.shown() < count:
            daemon.process.check()
            await asyncio.sleep(_LOOK_AGAIN_S)


def _row(now: _Grown, before: _Grown | None) -> list[str]:
    more = ""
    if before is not None:
        more = number((now.rss_mib - before.rss_mib) * 1024 / (now.instances - before.instances))
    return [
        f"{now.instances:,}",
        number(now.first_s),
        number(now.first_s / now.instances * 1e3),
        number(now.rss_mib),
        number(now.peak_mib),
        more,
        number(now.cycle_cpu_s),
        number(now.cycle_cpu_s / now.instances * 1e6),
        number(now.cycle_s),
    ]
