from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watcher.core.maintenance import Window
from watcher.core.routing import Matcher

MON, TUE, WED, THU, FRI, SAT, SUN = range(7)
DAILY = (MON, TUE, WED, THU, FRI, SAT, SUN)
TICK = timedelta.resolution
YEAR = timedelta(days=380)


def window(zone: str, days: tuple[int, ...], start: str, /, **duration: float) -> Window:
    return Window(
        name="w",
        days=frozenset(days),
        start=time.fromisoformat(start),
        duration=timedelta(**duration),
        timezone=ZoneInfo(zone),
        match=Matcher(),
    )


def check(quiet: Window, begin: str, end: str) -> None:
    began, ended = datetime.fromisoformat(begin), datetime.fromisoformat(end)
    assert quiet.ends_at(began - TICK) is None
    assert quiet.ends_at(began) == ended
    assert quiet.ends_at(began + (ended - began) / 2) == ended
    assert quiet.ends_at(ended - TICK) == ended
    assert quiet.ends_at(ended) is None


@pytest.mark.parametrize(
    ("quiet", "begin", "end"),
    [
        (window("UTC", (WED,), "22:00", minutes=90), "2026-01-07T22:00Z", "2026-01-07T23:30Z"),
        (window("UTC", DAILY, "00:00", hours=1), "2026-01-01T00:00Z", "2026-01-01T01:00Z"),
        (window("UTC", (WED,), "22:00", hours=4), "2026-01-07T22:00Z", "2026-01-08T02:00Z"),
        (window("UTC", (FRI,), "18:00", hours=62), "2026-01-09T18:00Z", "2026-01-12T08:00Z"),
        (window("UTC", (SUN,), "23:30", hours=1), "2026-01-11T23:30Z", "2026-01-12T00:30Z"),
        (window("UTC", (THU,), "12:00", days=6), "2026-12-31T12:00Z", "2027-01-06T12:00Z"),
        (window("Asia/Singapore", (SAT,), "02:00", hours=3), "2026-01-10T02:00+08:00", "2026-01-10T05:00+08:00"),
        (window("Asia/Kathmandu", (SUN,), "22:00", hours=4), "2026-01-11T22:00+05:45", "2026-01-12T02:00+05:45"),
        (window("Pacific/Kiritimati", (MON,), "01:00", hours=1), "2026-01-12T01:00+14:00", "2026-01-12T02:00+14:00"),
        (window("Pacific/Pago_Pago", (MON,), "23:00", hours=1), "2026-01-12T23:00-11:00", "2026-01-13T00:00-11:00"),
    ],
)
def test_it_is_quiet_from_the_begin_to_just_before_the_end(quiet: Window, begin: str, end: str) -> None:
    check(quiet, begin, end)


@pytest.mark.parametrize(
    ("quiet", "begin", "end"),
    [
        (window("Europe/Berlin", (SUN,), "02:30", hours=1), "2026-03-29T03:30+02:00", "2026-03-29T04:30+02:00"),
        (window("Europe/Berlin", (SUN,), "02:00", hours=1), "2026-03-29T03:00+02:00", "2026-03-29T04:00+02:00"),
        (window("Europe/Berlin", (SUN,), "01:00", hours=4), "2026-03-29T01:00+01:00", "2026-03-29T06:00+02:00"),
        (window("Europe/Berlin", (SAT,), "22:00", hours=8), "2026-03-28T22:00+01:00", "2026-03-29T07:00+02:00"),
        (window("America/New_York", (SUN,), "02:30", hours=1), "2026-03-08T03:30-04:00", "2026-03-08T04:30-04:00"),
        (window("Australia/Lord_Howe", (SUN,), "02:15", hours=1), "2026-10-04T02:45+11:00", "2026-10-04T03:45+11:00"),
        (window("Africa/Cairo", (FRI,), "00:00", hours=1), "2026-04-24T01:00+03:00", "2026-04-24T02:00+03:00"),
        (window("Pacific/Apia", (FRI,), "12:00", hours=2), "2011-12-31T12:00+14:00", "2011-12-31T14:00+14:00"),
        (window("Pacific/Apia", (SAT,), "12:00", hours=2), "2011-12-31T12:00+14:00", "2011-12-31T14:00+14:00"),
        (window("Pacific/Apia", DAILY, "12:00", hours=2), "2011-12-31T12:00+14:00", "2011-12-31T14:00+14:00"),
        (window("Pacific/Apia", (THU,), "20:00", hours=8), "2011-12-29T20:00-10:00", "2011-12-31T04:00+14:00"),
        (window("Pacific/Apia", (FRI,), "12:00", hours=167), "2011-12-23T12:00-10:00", "2011-12-31T11:00+14:00"),
    ],
)
def test_clocks_go_forward(quiet: Window, begin: str, end: str) -> None:
    check(quiet, begin, end)


@pytest.mark.parametrize(
    ("quiet", "begin", "end"),
    [
        (window("Europe/Berlin", (SUN,), "02:30", hours=1), "2026-10-25T02:30+02:00", "2026-10-25T02:30+01:00"),
        (window("Europe/Berlin", (SUN,), "02:30", minutes=5), "2026-10-25T02:30+02:00", "2026-10-25T02:35+02:00"),
        (window("Europe/Berlin", (SUN,), "01:00", hours=4), "2026-10-25T01:00+02:00", "2026-10-25T04:00+01:00"),
        (window("America/New_York", (SUN,), "01:30", hours=2), "2026-11-01T01:30-04:00", "2026-11-01T02:30-05:00"),
        (window("Australia/Lord_Howe", (SUN,), "01:45", hours=1), "2026-04-05T01:45+11:00", "2026-04-05T02:15+10:30"),
        # At 00:01 it was 23:01 again: on Sunday's window followed a second end of Saturday.
        (window("America/St_Johns", (SUN,), "00:00", minutes=31), "2010-11-07T00:00-02:30", "2010-11-06T23:31-03:30"),
    ],
)
def test_clocks_go_back(quiet: Window, begin: str, end: str) -> None:
    check(quiet, begin, end)


@pytest.mark.parametrize(
    ("quiet", "begin", "end"),
    [
        (window("UTC", (SAT, SUN), "00:00", hours=24), "2026-01-10T00:00Z", "2026-01-12T00:00Z"),
        (window("UTC", (SUN, MON), "12:00", hours=30), "2026-01-11T12:00Z", "2026-01-13T18:00Z"),
        (window("UTC", (MON, WED, FRI), "08:00", days=2), "2026-01-05T08:00Z", "2026-01-11T08:00Z"),
        (window("UTC", (MON, TUE), "08:00", days=5, hours=23), "2026-01-05T08:00Z", "2026-01-12T07:00Z"),
        # A day of 25 hours breaks a chain of 24: once a year, in 2015/2016 after the longest time there is.
        (window("America/New_York", DAILY, "00:00", days=1), "2015-11-02T00:00-05:00", "2016-11-06T23:00-05:00"),
        (window("Europe/Berlin", (SUN,), "00:00", days=7), "2025-11-02T00:00+01:00", "2026-10-31T23:00+01:00"),
    ],
)
def test_what_overlaps_or_touches_is_one(quiet: Window, begin: str, end: str) -> None:
    check(quiet, begin, end)


@pytest.mark.parametrize(
    "quiet",
    [
        window("UTC", DAILY, "12:00", days=1),
        window("UTC", (WED,), "12:00", days=7),
        window("Asia/Singapore", (WED,), "12:00", days=30),
        window("Europe/Berlin", DAILY, "02:30", hours=25),
        window("Pacific/Apia", (THU, SUN), "00:00", days=1000),
    ],
)
def test_always_on_it_ends_in_more_than_a_year_and_goes_on_then(quiet: Window) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    for _ in range(3):
        end = quiet.ends_at(now)
        assert end is not None
        assert end > now + YEAR
        now = end


def test_without_days_it_is_never_quiet() -> None:
    assert window("UTC", (), "00:00", days=1).ends_at(datetime(2026, 1, 1, tzinfo=UTC)) is None


def test_now_may_be_in_any_timezone_and_the_end_is_in_utc() -> None:
    quiet = window("Europe/Berlin", (SUN,), "02:30", hours=1)
    first = datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"))
    end = quiet.ends_at(first)
    assert end == datetime(2026, 10, 25, 1, 30, tzinfo=UTC)
    assert end.tzinfo is UTC
    assert quiet.ends_at(first.astimezone(ZoneInfo("Asia/Kathmandu"))) == end
    assert quiet.ends_at(first.replace(fold=1)) is None


CHANGES = {
    "UTC": "2026-01-01T00:00Z",
    "Africa/Cairo": "2026-04-23T22:00Z",
    "Africa/Casablanca": "2026-02-15T02:00Z",
    "America/Havana": "2025-11-02T05:00Z",
    "America/New_York": "2026-11-01T06:00Z",
    "America/Sao_Paulo": "2018-11-04T03:00Z",
    "America/St_Johns": "2010-11-07T02:31Z",
    "Antarctica/Troll": "2026-03-29T01:00Z",
    "Asia/Kathmandu": "1985-12-31T18:30Z",
    "Asia/Pyongyang": "2018-05-04T15:00Z",
    "Asia/Singapore": "1981-12-31T16:00Z",
    "Australia/Lord_Howe": "2026-10-03T15:30Z",
    "Europe/Berlin": "2026-10-25T01:00Z",
    "Europe/Dublin": "2026-03-29T01:00Z",
    "Pacific/Apia": "2011-12-30T10:00Z",
    "Pacific/Kwajalein": "1969-09-30T13:00Z",
}
"""Zones, and when clocks changed there."""

MINUTES = st.integers(0, 179) | st.integers(0, 24 * 60 - 1)
WINDOWS = st.builds(
    lambda zone, days, start, duration: Window(
        name="w", days=days, start=start, duration=duration, timezone=ZoneInfo(zone), match=Matcher()
    ),
    zone=st.sampled_from(sorted(CHANGES)),
    days=st.frozensets(st.sampled_from(DAILY), min_size=1),
    start=MINUTES.map(lambda minutes: time(*divmod(minutes, 60))),
    duration=st.integers(1, 240).map(lambda hours: timedelta(hours=hours))
    | st.timedeltas(TICK, timedelta(days=10)).filter(bool),
)
NEAR = st.timedeltas(timedelta(days=-12), timedelta(days=12))
ANY = st.datetimes(datetime(1970, 1, 1), datetime(2037, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001


def begin_of(quiet: Window, day: date) -> datetime:
    """By the clock on the wall alone: asked at an instant what it shows, never at which instant it shows something."""
    shown = datetime.combine(day, quiet.start)
    around = (shown.replace(tzinfo=UTC) + timedelta(days=days) for days in (-1, 1))
    offsets = [instant.astimezone(quiet.timezone).utcoffset() or timedelta() for instant in around]
    instants = [(shown - offset).replace(tzinfo=UTC) for offset in offsets]
    exact = [instant for instant in instants if instant.astimezone(quiet.timezone).replace(tzinfo=None) == shown]
    return min(exact, default=instants[0])


def spans(occurrences: list[tuple[datetime, datetime]]) -> list[tuple[datetime, datetime]]:
    merged: list[tuple[datetime, datetime]] = []
    for begin, end in sorted(occurrences):
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((begin, end))
    return merged


@given(quiet=WINDOWS, near=NEAR, anywhen=st.none() | ANY, zone=st.sampled_from(sorted(CHANGES)))
def test_it_is_quiet_as_all_days_written_down_one_by_one_say(
    quiet: Window, near: timedelta, anywhen: datetime | None, zone: str
) -> None:
    now = anywhen or datetime.fromisoformat(CHANGES[quiet.timezone.key]) + near
    days = (now.date() + timedelta(days=days) for days in range(-30, 480))
    begins = [begin_of(quiet, day) for day in days if day.weekday() in quiet.days]
    written = spans([(begin, begin + quiet.duration) for begin in begins])
    edges = {
        edge for begin in begins for edge in (begin, begin + quiet.duration) if abs(edge - now) < timedelta(days=9)
    }
    for instant in {now, *edges, *(edge - TICK for edge in edges)}:
        expected = next((end for begin, end in written if begin <= instant < end), None)
        end = quiet.ends_at(instant.astimezone(ZoneInfo(zone)))
        if expected is not None and expected > instant + YEAR:
            assert end is not None
            assert end > instant + YEAR
        else:
            assert end == expected


@given(quiet=WINDOWS, near=NEAR)
def test_the_end_is_ahead_and_is_not_quiet(quiet: Window, near: timedelta) -> None:
    now = datetime.fromisoformat(CHANGES[quiet.timezone.key]) + near
    end = quiet.ends_at(now)
    if end is not None:
        assert end > now
        assert end > now + YEAR or (quiet.ends_at(end), quiet.ends_at(end - TICK)) == (None, end)
