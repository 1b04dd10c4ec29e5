"""`python -m benchmarks` runs every measurement and prints the results as Markdown tables."""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import signal
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from time import monotonic

from benchmarks import efficiency, latency, replicas, scale, stores, storm, stream


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    names = ("efficiency", "latency", "scale", "storm", "stream", "stores", "replicas", "idling")
    parser.add_argument("--only", action="append", choices=names, help="a section; may be given again (default: all)")
    parser.add_argument("--rounds", type=int, default=3, help="of the efficiency section (default: 3)")
    parser.add_argument(
        "--quick", action="store_true", help="rougher and about a minute long: one round, smaller sizes"
    )
    arguments = parser.parse_args()
    if not Path("/proc/self/stat").exists():
        sys.exit("benchmarks: needs Linux: what processes cost is read from /proc")
    if arguments.rounds < 1:
        parser.error("--rounds: at least 1")
    quick: bool = arguments.quick
    sections: dict[str, Callable[[], Awaitable[str]]] = {
        "efficiency": partial(efficiency.run, rounds=1 if quick else arguments.rounds, quick=quick),
        "latency": partial(latency.run, quick=quick),
        "scale": partial(scale.run, quick=quick),
        "storm": partial(storm.run, quick=quick),
        "stream": partial(stream.run, quick=quick),
        "stores": partial(stores.run, quick=quick),
        "replicas": partial(replicas.run, quick=quick),
        "idling": partial(replicas.run_idle, quick=quick),
    }
    try:
        asyncio.run(_measure([sections[name] for name in names if name in (arguments.only or names)]))
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.exit("benchmarks: interrupted")


async def _measure(sections: list[Callable[[], Awaitable[str]]]) -> None:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)  # so that children are ended, too
    began_s = monotonic()
    print(f"{_machine()}\n", flush=True)
    for section in sections:
        print(await section(), flush=True)
    print(f"Measured in {monotonic() - began_s:.0f} s.")


def _machine() -> str:
    facts = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in facts if line.startswith("model name")), "unknown CPU")
    return f"Python {platform.python_version()}, {os.cpu_count()} CPUs ({model}), Linux {platform.release()}"


if __name__ == "__main__":
    main()
