"""What a report says in figures: pure functions of builds, lives and events."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from statistics import median

from watcher.cli.lives import Life
from watcher.cli.report.builds import Build
from watcher.core.lessons import p95
from watcher.core.model import Alert, AlertStatus, Event, Severity, Status

_MOST_DAYS = 62  # beyond, weeks are counted
_UNKNOWN = "no reason is known"


@dataclass(frozen=True, slots=True, kw_only=True)
class Headline:
    """The figures on top; durations are those of builds that succeeded, None where there is none to judge by."""

    builds: int
    succeeded: int
    failed: int
    median_s: float | None
    p95_s: float | None
    longest: Build | None
    alerts: int
    error_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """The builds that ended on a day, or in the week that begins then."""

    begins_on: date
    succeeded: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFigures:
    """The builds from one image."""

    image_source: str
    builds: int
    failed: int
    median_s: float | None
    p95_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why builds failed: so many with this code, and the last of them."""

    code: str
    count: int
    last: Build


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertFigures:
    """How often an alert fired, of how many, how long in all and at most; `firing` still do at the end."""

    name: str
    severity: Severity
    count: int
    affected: int
    total_s: float
    longest_s: float
    firing: int


@dataclass(slots=True)
class _Firing:
    name: str
    severity: Severity
    begins_at: datetime
    whom: str
    ends_at: datetime | None = None


def durations_s(builds: Iterable[Build]) -> list[float]:
    """How long those took that succeeded and of which that is known."""
    return [build.duration_s for build in builds if build.succeeded and build.duration_s is not None]


def headline(builds: Sequence[Build], lives: Iterable[Life], alerts: Iterable[AlertFigures]) -> Headline:
    """The figures on top."""
    known = durations_s(builds)
    succeeded = sum(build.succeeded for build in builds)
    return Headline(
        builds=len(builds),
        succeeded=succeeded,
        failed=len(builds) - succeeded,
        median_s=median(known) if known else None,
        p95_s=p95(known) if known else None,
        longest=next(iter(slowest(builds, at_most=1)), None),
        alerts=sum(each.count for each in alerts),
        error_s=sum(life.seconds_in(Status.ERROR) for life in lives),
    )


def slowest(builds: Iterable[Build], *, at_most: int) -> list[Build]:
    """The builds that took longest, failed ones, too."""
    timed = [build for build in builds if build.duration_s is not None]
    return sorted(timed, key=lambda build: (-(build.duration_s or 0.0), build.ended_at))[:at_most]


def per_day(builds: Iterable[Build], *, begins_at: datetime, ends_at: datetime, zone: tzinfo | None) -> list[Bucket]:
    """Builds by the day on which they ended, in this zone; by weeks where that would be more than two months."""
    first, last = (at.astimezone(zone).date() for at in (begins_at, ends_at))
    step = 1 if (last - first).days < _MOST_DAYS else 7
    count = (last - first).days // step + 1
    by_place: dict[int, Counter[bool]] = defaultdict(Counter)
    for build in builds:
        by_place[(build.ended_at.astimezone(zone).date() - first).days // step][build.succeeded] += 1
    return [
        Bucket(
            begins_on=first + timedelta(days=step * place),
            succeeded=by_place[place][True],
            failed=by_place[place][False],
        )
        for place in range(count)
    ]


def by_image_source(builds: Iterable[Build]) -> list[SourceFigures]:
    """Builds by what their instances are made from, those with the most first."""
    grouped: dict[str, list[Build]] = defaultdict(list)
    for build in builds:
        grouped[build.image_source].append(build)
    found = []
    for image_source, theirs in grouped.items():
        known = durations_s(theirs)
        found.append(
            SourceFigures(
                image_source=image_source,
                builds=len(theirs),
                failed=sum(not build.succeeded for build in theirs),
                median_s=median(known) if known else None,
                p95_s=p95(known) if known else None,
            )
        )
    return sorted(found, key=lambda each: (-each.builds, each.image_source))


def failures(builds: Iterable[Build]) -> list[Failure]:
    """Builds that failed by the code of the reason, the most frequent first."""
    grouped: dict[str, list[Build]] = defaultdict(list)
    for build in builds:
        if not build.succeeded:
            grouped[_code(build)].append(build)
    found = [
        Failure(code=code, count=len(theirs), last=max(theirs, key=lambda build: build.ended_at))
        for code, theirs in grouped.items()
    ]
    return sorted(found, key=lambda each: (-each.count, each.code))


def _code(build: Build) -> str:
    if build.reason is None:
        return _UNKNOWN
    return build.reason.code or "no code"


def alerts_of(
    events: Iterable[Event], firing_now: Iterable[Alert], *, begins_at: datetime, ends_at: datetime
) -> list[AlertFigures]:
    """The alerts that fired in a time, by name, those that fired longest first; only what is within it is counted.

    `firing_now` are those that fire at the end: of some, no event in this time may tell.
    """
    found: dict[tuple[str, datetime], _Firing] = {}
    for event in events:
        for alert in event.alerts:
            firing = found.setdefault(_key(alert), _new(alert))
            firing.severity = alert.severity
            if alert.status is AlertStatus.RESOLVED:
                firing.ends_at = alert.ends_at or event.observed_at
    for alert in firing_now:
        found.setdefault(_key(alert), _new(alert))
    by_name: dict[str, list[_Firing]] = defaultdict(list)
    for firing in found.values():
        if firing.begins_at <= ends_at and (firing.ends_at is None or firing.ends_at >= begins_at):
            by_name[firing.name].append(firing)
    figures = [_figures(name, theirs, begins_at, ends_at) for name, theirs in by_name.items()]
    return sorted(figures, key=lambda each: (-each.total_s, each.name))


def _new(alert: Alert) -> _Firing:
    return _Firing(alert.name, alert.severity, alert.starts_at, whom=alert.fingerprint)


def _key(alert: Alert) -> tuple[str, datetime]:
    return alert.fingerprint, alert.starts_at.astimezone(UTC)


def _figures(name: str, firings: Sequence[_Firing], begins_at: datetime, ends_at: datetime) -> AlertFigures:
    lengths_s = [
        max(0.0, (min(each.ends_at or ends_at, ends_at) - max(each.begins_at, begins_at)).total_seconds())
        for each in firings
    ]
    return AlertFigures(
        name=name,
        severity=max((each.severity for each in firings), key=lambda severity: severity.rank),
        count=len(firings),
        affected=len({each.whom for each in firings}),
        total_s=sum(lengths_s),
        longest_s=max(lengths_s),
        firing=sum(each.ends_at is None or each.ends_at > ends_at for each in firings),
    )
