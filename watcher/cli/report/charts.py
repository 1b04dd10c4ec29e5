"""Where everything in the report's pictures stands, in units of an SVG that is 1000 wide."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from itertools import count

from watcher.cli.axis import ticks
from watcher.cli.lives import Life
from watcher.cli.report.builds import Build
from watcher.cli.report.figures import Bucket
from watcher.core.model import Status
from watcher.core.timeline import Span
from watcher.receivers.words import format_length

WIDTH = 1000.0
LEFT, RIGHT = 76.0, 14.0
SCATTER_HEIGHT, BARS_HEIGHT = 260.0, 170.0
TOP, BOTTOM = 14.0, 26.0
_MOST_POINTS = 5000
_MARKS, _DURATION_MARKS, _COUNT_MARKS = 8, 5, 4
_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_STEPS_S = (1, 5, 15, 30, *(_MINUTE * count for count in (1, 2, 5, 10, 15, 30)), _HOUR, 2 * _HOUR, 6 * _HOUR, _DAY)
_LOUD = (Status.ERROR, None)
_LEAST_LOUD = 2.5  # wide: a failure is never too short to be seen


@dataclass(frozen=True, slots=True)
class Mark:
    """A mark of an axis: where, and what is written there."""

    at: float
    label: str


@dataclass(frozen=True, slots=True)
class Point:
    """A build in the scatter."""

    x: float
    y: float
    build: Build


@dataclass(frozen=True, slots=True, kw_only=True)
class Scatter:
    """Builds by when they ended and how long they took; `left_out` are too many to draw."""

    points: Sequence[Point]
    times: Sequence[Mark]
    durations: Sequence[Mark]
    median_y: float | None
    left_out: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A day's bar: failed builds stand on those that succeeded."""

    x: float
    width: float
    succeeded_y: float
    succeeded_height: float
    failed_y: float
    failed_height: float
    bucket: Bucket
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bars:
    """Builds a day."""

    columns: Sequence[Column]
    counts: Sequence[Mark]


@dataclass(frozen=True, slots=True)
class Piece:
    """A span of a life's bar."""

    x: float
    width: float
    span: Span


def time_marks(begins_at: datetime, ends_at: datetime, *, zone: tzinfo | None, left: float = LEFT) -> list[Mark]:
    """The marks of a time axis."""
    place = _placer(begins_at, ends_at, left=left)
    return [Mark(place(at), label) for at, label in ticks(begins_at, ends_at, at_most=_MARKS, zone=zone)]


def scatter(
    builds: Sequence[Build], *, begins_at: datetime, ends_at: datetime, median_s: float | None, zone: tzinfo | None
) -> Scatter | None:
    """The builds of which it is known how long they took, the latest 5000 of them; None where there is none."""
    timed = [build for build in builds if build.duration_s is not None]
    if not timed:
        return None
    highest_s = max(build.duration_s or 0.0 for build in timed)
    step_s = next((step for step in _STEPS_S if highest_s <= step * _DURATION_MARKS), None)
    if step_s is None:
        step_s = math.ceil(highest_s / _DURATION_MARKS / _DAY) * _DAY
    top_s = step_s * max(1, math.ceil(highest_s / step_s))
    place = _placer(begins_at, ends_at)

    def height(seconds: float) -> float:
        return TOP + (SCATTER_HEIGHT - TOP - BOTTOM) * (1 - seconds / top_s)

    shown = timed[-_MOST_POINTS:]
    return Scatter(
        points=[Point(place(build.ended_at), height(build.duration_s or 0.0), build) for build in shown],
        times=time_marks(begins_at, ends_at, zone=zone),
        durations=[Mark(height(each), format_length(each)) for each in _steps(step_s, top_s)],
        median_y=height(median_s) if median_s is not None else None,
        left_out=len(timed) - len(shown),
    )


def bars(buckets: Sequence[Bucket]) -> Bars:
    """A column for each bucket, with a label below as many as there is room for."""
    highest = max([1, *(bucket.succeeded + bucket.failed for bucket in buckets)])
    step = next(each for each in _round_counts() if highest <= each * _COUNT_MARKS)
    top = step * math.ceil(highest / step)
    room = (WIDTH - LEFT - RIGHT) / max(1, len(buckets))
    scale = (BARS_HEIGHT - TOP - BOTTOM) / top
    every = max(1, math.ceil(len(buckets) / (2 * _MARKS)))
    columns = []
    for place, bucket in enumerate(buckets):
        succeeded, failed = bucket.succeeded * scale, bucket.failed * scale
        columns.append(
            Column(
                x=LEFT + room * (place + 0.5) - min(room * 0.7, 60.0) / 2,
                width=min(room * 0.7, 60.0),
                succeeded_y=BARS_HEIGHT - BOTTOM - succeeded,
                succeeded_height=succeeded,
                failed_y=BARS_HEIGHT - BOTTOM - succeeded - failed,
                failed_height=failed,
                bucket=bucket,
                label=f"{bucket.begins_on:%b %d}" if place % every == 0 else "",
            )
        )
    counts = [Mark(BARS_HEIGHT - BOTTOM - number * scale, f"{number:g}") for number in _steps(step, top)]
    return Bars(columns=columns, counts=counts)


def pieces(life: Life, *, begins_at: datetime, ends_at: datetime) -> list[Piece]:
    """A life's bar across the whole width; what matters is drawn last, and is wide enough to be seen."""
    place = _placer(begins_at, ends_at, left=0.0, right=0.0)
    found = []
    for span in sorted(life.spans, key=lambda span: span.status in _LOUD):
        x, end = place(span.began_at), place(span.ended_at or ends_at)
        found.append(Piece(x, max(end - x, _LEAST_LOUD if span.status in _LOUD else 0.5), span))
    return found


def _round_counts() -> Iterator[int]:
    """1, 2, 5, 10, 20, 50 …"""
    return (digit * 10**power for power in count() for digit in (1, 2, 5))


def _steps(step: float, top: float) -> Iterable[float]:
    return (step * number for number in range(round(top / step) + 1))


def _placer(begins_at: datetime, ends_at: datetime, *, left: float = LEFT, right: float = RIGHT) -> _Placer:
    return _Placer(begins_at, max(ends_at - begins_at, timedelta(milliseconds=1)), left, WIDTH - left - right)


@dataclass(frozen=True, slots=True)
class _Placer:
    begins_at: datetime
    length: timedelta
    left: float
    width: float

    def __call__(self, at: datetime) -> float:
        return self.left + self.width * min(1.0, max(0.0, (at - self.begins_at) / self.length))
