"""`python -m tests.soak --days 7`: so many days, a line each, and what is wrong with them."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.soak.run import soak
from tests.soak.samples import table
from watcher.core.clock import SystemClock
from watcher.logging import configure_logging

_MEMORY = Path("/dev/shm")  # noqa: S108 - nothing is to wait for a disk there; a folder of its own is made in it


def main() -> int:
    """Soak, and tell; 1 when something is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--days", type=int, default=7)
    days = parser.parse_args().days
    configure_logging(level="critical", style="json")  # what goes wrong on purpose is not to be read
    clock = SystemClock()
    began_s = clock.monotonic()
    with tempfile.TemporaryDirectory(dir=_MEMORY if _MEMORY.is_dir() else None) as folder:
        result = soak(Path(folder), days=days)
    lines = [
        table(result.samples),
        ", ".join(f"{what}: {times}" for what, times in sorted(result.told.items())),
        f"{days} days in {clock.monotonic() - began_s:.1f} s",
        *(f"WRONG: {what}" for what in result.wrong[:100]),
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    return bool(result.wrong)


sys.exit(main())
