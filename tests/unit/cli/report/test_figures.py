"""The figures of a report."""

from __future__ import annotations

from datetime import UTC, date, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes.stories import stories
from tests.fakes.values import KEY, at, event
from watcher.cli.report import charts, figures
from watcher.cli.report.builds import Build
from watcher.core.model import Alert, AlertStatus, Reason, Severity

DAY = 86400.0
WEEK = {"begins_at": at(0), "ends_at": at(7 * DAY)}


def build(seconds: float = 0, duration_s: float | None = 60.0, **changes: Any) -> Build:
    """A build that succeeded."""
    given = {"key": KEY, "name": "office", "image_source": "gold:1", "succeeded": True, **changes}
    return Build(ended_at=at(seconds), duration_s=duration_s, **given)


def failed(seconds: float = 0, code: str | None = "WKS.1", message: str = "sysprep failed") -> Build:
    """A build that failed."""
    reason = Reason(code=code, message=message, exact=True) if code is not None else None
    return build(seconds, 30.0, succeeded=False, reason=reason)


def alert(begins: float, ends: float | None = None, *, fingerprint: str = "f", name: str = "error") -> Alert:
    """An alert that fires from then, until then."""
    return Alert(
        name=name,
        fingerprint=fingerprint,
        status=AlertStatus.FIRING if ends is None else AlertStatus.RESOLVED,
        severity=Severity.CRITICAL,
        starts_at=at(begins),
        ends_at=at(ends) if ends is not None else None,
    )


def test_the_headline() -> None:
    builds = [build(duration_s=float(seconds)) for seconds in range(1, 101)] + [build(duration_s=None), failed()]
    found = figures.headline(builds, [], [])
    assert (found.builds, found.succeeded, found.failed) == (102, 101, 1)
    assert (found.median_s, found.p95_s) == (50.5, 95.0)
    assert found.longest is builds[99]
    empty = figures.headline([], [], [])
    assert (empty.builds, empty.median_s, empty.p95_s, empty.longest, empty.error_s) == (0, None, None, None, 0)


def test_builds_by_day_in_their_zone() -> None:
    builds = [build(DAY - 1), build(DAY), failed(DAY + 1), build(6.5 * DAY)]
    found = figures.per_day(builds, **WEEK, zone=UTC)
    assert [(each.begins_on, each.succeeded, each.failed) for each in found][:3] == [
        (date(2026, 1, 1), 1, 0),
        (date(2026, 1, 2), 1, 1),
        (date(2026, 1, 3), 0, 0),
    ]
    east = figures.per_day(builds, **WEEK, zone=timezone(timedelta(hours=8)))
    assert [each.succeeded + each.failed for each in east] == [0, 3, 0, 0, 0, 0, 1, 0]


def test_builds_by_week_when_there_are_many_days() -> None:
    found = figures.per_day([build(99 * DAY)], begins_at=at(0), ends_at=at(100 * DAY), zone=UTC)
    assert len(found) == 15
    assert [each.succeeded for each in found] == [0] * 14 + [1]


@settings(deadline=None)
@given(
    moments=st.lists(st.floats(0, 500 * DAY), max_size=30),
    length_s=st.floats(1, 500 * DAY),
    hours=st.integers(-12, 14),
)
def test_no_build_is_lost_between_days(moments: list[float], length_s: float, hours: int) -> None:
    builds = [build(seconds, succeeded=seconds % 2 < 1) for seconds in moments if seconds <= length_s]
    zone = timezone(timedelta(hours=hours))
    found = figures.per_day(builds, begins_at=at(0), ends_at=at(length_s), zone=zone)
    assert sum(each.succeeded for each in found) == sum(each.succeeded for each in builds)
    assert sum(each.failed for each in found) == sum(not each.succeeded for each in builds)
    assert len(found) <= 500 / 7 + 1 or length_s < 63 * DAY
    columns = charts.bars(found).columns
    assert all(each.x >= 0 and each.x + each.width <= charts.WIDTH for each in columns)
    assert all(each.failed_y >= 0 for each in columns)


def test_builds_by_what_they_are_made_from() -> None:
    builds = [build(duration_s=10), build(duration_s=20), failed(), build(duration_s=None, image_source="")]
    found = figures.by_image_source(builds)
    assert [(each.image_source, each.builds, each.failed, each.median_s) for each in found] == [
        ("gold:1", 3, 1, 15.0),
        ("", 1, 0, None),
    ]


def test_failures_by_code_with_the_last_message() -> None:
    found = figures.failures(
        [failed(1, message="old"), failed(9, message="new"), failed(5), failed(2, None), failed(2, ""), build()]
    )
    assert [(each.code, each.count) for each in found] == [("WKS.1", 3), ("no code", 1), ("no reason is known", 1)]
    assert found[0].last.reason is not None
    assert found[0].last.reason.message == "new"


def test_the_slowest() -> None:
    found = figures.slowest([build(1, 5), build(2, 7), build(3, None), failed(4)], at_most=2)
    assert [each.duration_s for each in found] == [30.0, 7]


class TestAlerts:
    @staticmethod
    def told(*alerts: Alert, now: list[Alert] | None = None) -> list[tuple[str, int, float, int]]:
        """Name, how often, how long, and how many still fire, in the first 1000 s."""
        events = [event(alerts=(each,)) for each in alerts]
        found = figures.alerts_of(events, now or [], begins_at=at(0), ends_at=at(1000))
        return [(each.name, each.count, each.total_s, each.firing) for each in found]

    def test_one_that_is_over(self) -> None:
        assert self.told(alert(100), alert(100, 250)) == [("error", 1, 150, 0)]
        assert self.told(alert(100, 250)) == [("error", 1, 150, 0)]

    def test_one_that_lasts(self) -> None:
        assert self.told(alert(100), alert(100)) == [("error", 1, 900, 1)]

    def test_only_what_is_within_the_time_counts(self) -> None:
        assert self.told(alert(-500, 100)) == [("error", 1, 100, 0)]
        assert self.told(alert(900, 5000)) == [("error", 1, 100, 1)]
        assert self.told(alert(-500, -100)) == []

    def test_one_that_fires_all_the_time_though_nothing_tells_of_it(self) -> None:
        assert self.told(now=[alert(-5000)]) == [("error", 1, 1000, 1)]
        assert self.told(alert(100), now=[alert(100)]) == [("error", 1, 900, 1)]

    def test_each_beginning_is_another_one(self) -> None:
        fired = (alert(0, 100), alert(200, 300), alert(0, 10, fingerprint="g"), alert(5, 6, name="stuck"))
        assert self.told(*fired) == [("error", 3, 210, 0), ("stuck", 1, 1, 0)]

    def test_every_sort_of_event(self) -> None:
        found = figures.alerts_of(stories().values(), [], begins_at=at(0), ends_at=at(10 * DAY))
        assert {"error", "missing", "stuck", "build_failed", "flapping", "unreachable"} <= {each.name for each in found}
        assert all(0 <= each.longest_s <= each.total_s for each in found)


@pytest.mark.parametrize("highest_s", [0.0, 0.5, 1, 59, 3600, 86400, 50 * DAY, 9e9])
def test_a_scatter_has_room_for_all_and_few_marks(highest_s: float) -> None:
    found = charts.scatter([build(0, 0.0), build(7 * DAY, highest_s)], **WEEK, median_s=highest_s / 2, zone=UTC)
    assert found is not None
    assert found.median_y is not None
    assert all(0 <= point.y <= charts.SCATTER_HEIGHT and 0 <= point.x <= charts.WIDTH for point in found.points)
    assert 2 <= len(found.durations) <= 7
    assert found.points[0].x < found.points[1].x


def test_a_scatter_of_nothing_is_none_and_one_of_too_many_says_so() -> None:
    assert charts.scatter([build(0, None)], **WEEK, median_s=None, zone=UTC) is None
    found = charts.scatter([build(0, 1.0)] * 5001, **WEEK, median_s=None, zone=UTC)
    assert found is not None
    assert (len(found.points), found.left_out) == (5000, 1)
