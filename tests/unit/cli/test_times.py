"""Times as commands take and show them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes.values import at
from watcher.cli.axis import ticks
from watcher.cli.tables import Since, cell
from watcher.cli.times import age, how_long, parse_moment, read_time
from watcher.core.event_json import format_time

DAY = 86400


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-1, "0s"),
        (0.9, "0s"),
        (119, "119s"),
        (120, "2m"),
        (312, "5m12s"),
        (1470, "24m"),
        (3 * 3600 - 1, "179m"),
        (3 * 3600 + 300, "3h5m"),
        (8 * 3600, "8h"),
        (2 * DAY + 4 * 3600, "2d4h"),
        (12 * DAY, "12d"),
        (740 * DAY, "2y10d"),
    ],
)
def test_ages_are_written_as_kubectl_writes_them(seconds: float, said: str) -> None:
    assert how_long(seconds) == said


def test_how_old_a_time_is() -> None:
    assert age(format_time(at(0)), at(1470)) == "24m"
    assert age(format_time(at(7200)), at(0)) == "in 120m"
    assert age("yesterday", at(0)) == "yesterday"


def test_a_time_in_a_table_is_an_age_for_people_and_exact_for_programs() -> None:
    time = format_time(at(0))
    assert cell(Since(time), now=at(60)).plain == "60s"
    assert cell(Since(time)).plain == time
    assert cell(Since(None), now=at(60)).plain == "-"


@pytest.mark.parametrize(
    "value", [None, 7, [], {}, "", "now", "2026-01-01", "2026-01-01T00:00:00", "0001-01-01T00:00+05:00"]
)
def test_what_is_no_time(value: object) -> None:
    assert read_time(value) is None


def test_a_moment() -> None:
    now = at(0)
    assert parse_moment("2h").at(now) == at(-7200)
    assert parse_moment("2026-01-01T00:00:00Z").at(now) == now
    assert parse_moment("2026-01-01T08:00+08:00").at(now) == now
    assert parse_moment("2026-01-01").at(now) == datetime(2026, 1, 1).astimezone()
    with pytest.raises(typer.BadParameter, match="too long ago"):
        parse_moment("900000d").at(now)
    with pytest.raises(typer.BadParameter, match="not a time"):
        parse_moment("soon")


def test_an_axis_has_round_times() -> None:
    marks = ticks(at(300), at(3 * 3600), at_most=4, zone=UTC)
    assert [label for _, label in marks] == ["01:00", "02:00", "03:00"]
    days = ticks(at(0), at(7 * DAY), at_most=8, zone=UTC)
    assert [label for _, label in days][:2] == ["Jan 01", "Jan 02"]


def test_an_axis_stays_at_midnight_when_clocks_change() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    begin = datetime(2026, 3, 27, tzinfo=berlin)
    marks = ticks(begin, begin + timedelta(days=5), at_most=6, zone=berlin)
    assert [(moment.astimezone(berlin).hour, label) for moment, label in marks] == [
        (0, f"Mar {day}") for day in (27, 28, 29, 30, 31)
    ] + [(0, "Apr 01")]


@settings(deadline=None)
@given(
    begin=st.datetimes(datetime(1980, 1, 1), datetime(2090, 1, 1)),  # noqa: DTZ001 - hypothesis wants them so
    length_s=st.floats(0, 4e9),
    at_most=st.integers(1, 40),
    hours=st.integers(-12, 14),
)
def test_an_axis_never_has_more_marks_than_there_is_room_for(
    begin: datetime, length_s: float, at_most: int, hours: int
) -> None:
    begins_at = begin.replace(tzinfo=UTC)
    ends_at = begins_at + timedelta(seconds=length_s)
    marks = ticks(begins_at, ends_at, at_most=at_most, zone=timezone(timedelta(hours=hours)))
    assert len(marks) <= at_most + 1
    assert all(begins_at <= moment <= ends_at for moment, _ in marks)
    assert [moment for moment, _ in marks] == sorted(moment for moment, _ in marks)
