"""Instance-observations per CPU second, ours beside others, and the requests each of them spends."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from statistics import median

from benchmarks.cloud import serving
from benchmarks.daemon import FAST, SIGNED, TOKEN, watching
from benchmarks.peers import NotInstalledError, Sample, bare_loop, official_sdk, prometheus
from benchmarks.tables import number, table

Contestant = Callable[[Path, float], Awaitable[Sample]]

_INSTANCES = {"list": 10_000, "get": 1000}
_WARM_CYCLES = 4

_BARE = "bare aiohttp GET loop"
_SDK = "official SDK, 16 threads"
_PROMETHEUS = "Prometheus + blackbox_exporter"


async def ours(
    folder: Path, window_s: float, *, mode: str, differs: str = "nothing", auth: Mapping[str, str] = TOKEN
) -> Sample:
    """The whole daemon process, after its first cycles."""
    count = _INSTANCES[mode]
    async with (
        serving(folder, instances=count, differs=differs) as cloud,
        watching(cloud, folder, mode=mode, intervals=FAST, auth=auth) as daemon,
    ):
        await daemon.until_observed(_WARM_CYCLES * count)  # the first sights are committed, and most code has run
        before = await daemon.reading()
        await asyncio.sleep(window_s)
        done = await daemon.reading() - before
    return Sample(observations=done.observations, cpu_s=done.cpu_s, requests=done.requests)


CONTESTANTS: dict[str, Contestant] = {
    "ours, list, pages unchanged": partial(ours, mode="list"),
    "ours, list, one instance of every page differs": partial(ours, mode="list", differs="one"),
    "ours, list, every instance differs": partial(ours, mode="list", differs="every"),
    "ours, get, token": partial(ours, mode="get"),
    "ours, get, signed": partial(ours, mode="get", auth=SIGNED),
    _BARE: bare_loop,
    _SDK: official_sdk,
    _PROMETHEUS: prometheus,
}


async def run(*, rounds: int, quick: bool) -> str:
    """Every contestant in turn, round after round; the table."""
    window_s = 1.5 if quick else 2.5
    samples: dict[str, list[Sample]] = {name: [] for name in CONTESTANTS}
    missing: dict[str, str] = {}
    for _ in range(rounds):
        for name, contestant in CONTESTANTS.items():
            with tempfile.TemporaryDirectory(prefix="watcher-bench-") as folder:
                try:
                    samples[name].append(await contestant(Path(folder), window_s))
                except NotInstalledError as error:
                    missing[name] = str(error)
    return table(
        "Instance-observations per CPU second",
        [
            "contestant",
            "observations per CPU s",
            "CPU µs each (range)",
            "vs bare loop",
            "vs SDK",
            "vs Prometheus",
            "requests each",
        ],
        [_row(name, samples, missing) for name in CONTESTANTS],
        f"Medians of {rounds} windows of {window_s:g} s, contestants in turns; ratios within each round. "
        f"Ours is the whole daemon process; it polls every 200 ms, or as fast as it can: {_INSTANCES['list']:,} "
        f"instances in list mode, {_INSTANCES['get']:,} in get mode. What differs is a description; it is stored.",
    )


def _row(name: str, samples: Mapping[str, list[Sample]], missing: Mapping[str, str]) -> list[str]:
    if name in missing:
        return [f"{name}: not measured: {missing[name]}", *["" for _ in range(6)]]
    of_name = samples[name]
    costs = [sample.cpu_us for sample in of_name]
    spent = median(sample.requests / sample.observations for sample in of_name)
    return [
        name,
        number(1e6 / median(costs)),
        f"{number(median(costs))} ({number(min(costs))}…{number(max(costs))})",
        *(_ratio(of_name, samples[peer]) for peer in (_BARE, _SDK, _PROMETHEUS)),
        number(spent),
    ]


def _ratio(ours: list[Sample], theirs: list[Sample]) -> str:
    """How many times as much we observe for the same CPU, round by round."""
    if not theirs:
        return ""
    return number(median(them.cpu_us / us.cpu_us for us, them in zip(ours, theirs, strict=True))) + "x"
