"""The daemon on virtual time, with all around it going wrong: see `run`, and for what must hold `history` and `told`.

    WATCHER_SIMULATION_SEEDS=20000 python -m pytest tests/simulation      so many seeds (2000)
    WATCHER_SIMULATION_FIRST=12345 python -m pytest tests/simulation      other seeds, from this one on (0)
    python -m tests.simulation 1234                                       this seed alone, with all that happens in it
    WATCHER_SIMULATION_PROCESSES=8 python -m pytest tests/simulation      in so many processes (2)

A seed is a whole world with its faults: the same seed is the same run, on every machine.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from tests.simulation.check import digest_of, violations_of

_ROOT = Path(__file__).parents[2]
_COUNT = int(os.environ.get("WATCHER_SIMULATION_SEEDS", "2000"))
_FIRST = int(os.environ.get("WATCHER_SIMULATION_FIRST", "0"))
_PROCESSES = int(os.environ.get("WATCHER_SIMULATION_PROCESSES", "2"))
_SHOWN = 5


pytestmark = pytest.mark.unmeasured


@pytest.mark.long
def test_nothing_is_lost_invented_or_told_twice() -> None:
    seeds = range(_FIRST, _FIRST + _COUNT)
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(_PROCESSES, mp_context=spawn) as pool:
        bad = [found for found in pool.map(violations_of, seeds, chunksize=20) if found[1]]
    told = "\n".join(f"{_replay(seed)}\n    {'    '.join(wrong[:_SHOWN])}" for seed, wrong in bad[:_SHOWN])
    assert not bad, f"{len(bad)} of {len(seeds)} seeds, such as:\n{told}"


def test_the_same_seed_is_the_same_run() -> None:
    seeds = random.SystemRandom().sample(range(10**6), 3)
    assert list(map(digest_of, seeds)) == list(map(digest_of, seeds)), seeds


def test_a_run_is_the_same_in_every_process() -> None:
    program = "\n".join(
        (
            "import sys",
            "from tests.simulation.check import digest_of",
            "sys.stdout.write(' '.join(map(digest_of, range(12))))",
        )
    )
    environments = [{**os.environ, "PYTHONHASHSEED": str(chosen), "PYTHONPATH": str(_ROOT)} for chosen in (1, 2)]
    first, second = (
        subprocess.run([sys.executable, "-c", program], cwd=_ROOT, env=env, capture_output=True, text=True, check=True)
        for env in environments
    )
    assert first.stdout == second.stdout


def _replay(seed: int) -> str:
    return f"python -m tests.simulation {seed}"
