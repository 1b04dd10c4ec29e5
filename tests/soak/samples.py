"""What is measured each day, and what must hold of a row of such days."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import os
import sqlite3
import statistics
import threading
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, fields
from pathlib import Path

MIB = 1024 * 1024
RETENTION_DAYS = 2
_DAYS_JUDGED = 3

# Days not looked at, growth a day (the median), growth in all. What comes and goes with the moment, such as kept
# connections, may differ by a few; one more each day may not.
ALLOWED: dict[str, tuple[int, float, float]] = {
    "rss_mib": (1, 0.5, 4.0),
    "objects": (1, 400.0, 4000.0),
    "tasks": (0, 0.5, 4.0),
    "sockets": (0, 0.5, 6.0),
    "files": (1, 0.34, 3.0),
    "threads": (1, 0.34, 3.0),
    "db_kib": (RETENTION_DAYS + 2, 16.0, 128.0),
    "events_kept": (RETENTION_DAYS, 10.0, 100.0),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The process at the end of a day. `observations`, `notifications` and `events` count from the beginning."""

    day: int
    rss_mib: float
    objects: int
    tasks: int
    sockets: int
    files: int
    threads: int
    db_kib: int
    observations: int
    notifications: int
    events: int
    events_kept: int


def open_files() -> tuple[list[str], list[str]]:
    """What is open in this process: sockets, and everything else."""
    found: list[str] = []
    for entry in Path("/proc/self/fd").iterdir():
        try:
            found.append(str(entry.readlink()))
        except FileNotFoundError:  # the folder itself, as it was read
            continue
    sockets = [name for name in found if name.startswith("socket:")]
    return sockets, [name for name in found if not name.startswith("socket:")]


def take_sample(day: int, *, database: Path, observations: int, notifications: int, events: int) -> Sample:
    """Look at this process, with what nobody needs any more given back to the system."""
    gc.collect()
    _trim()
    sockets, files = open_files()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        [[kept]] = connection.execute("SELECT count(*) FROM events")
    return Sample(
        day=day,
        rss_mib=round(pages * os.sysconf("SC_PAGE_SIZE") / MIB, 2),
        objects=len(gc.get_objects()),
        tasks=len(asyncio.all_tasks()),
        sockets=len(sockets),
        files=len(files),
        threads=threading.active_count(),
        db_kib=database.stat().st_size // 1024,
        observations=observations,
        notifications=notifications,
        events=events,
        events_kept=kept,
    )


def _trim() -> None:
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    except (OSError, AttributeError):  # another C library
        return


def table(samples: Sequence[Sample]) -> str:
    """The samples for people, a line a day."""
    names = [field.name for field in fields(Sample)]
    rows = [names, *([str(value) for value in asdict(sample).values()] for sample in samples)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)


def slope(values: Sequence[float]) -> float:
    """Growth by day, robust (Theil-Sen): the median of the slopes between all pairs."""
    return statistics.median(
        (later - earlier) / (j - i) for i, earlier in enumerate(values) for j, later in enumerate(values) if j > i
    )


def growth(samples: Sequence[Sample]) -> list[str]:
    """What grows, in words. The first day warms up; the database grows until the first events are forgotten."""
    found: list[str] = []
    for name, (warm_up_days, by_day, in_all) in ALLOWED.items():
        values = [float(getattr(sample, name)) for sample in samples if sample.day > warm_up_days]
        if len(values) < _DAYS_JUDGED:
            continue
        daily, since = slope(values), values[-1] - values[0]
        if daily > by_day or since > in_all:
            found.append(f"{name}: {daily:+.2f} a day, from {values[0]:g} to {values[-1]:g}")
    return found
