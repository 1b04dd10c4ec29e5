"""Spans as bars on a terminal."""

from __future__ import annotations

from datetime import UTC

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes.values import KEY, at, history
from watcher.cli.history import Known
from watcher.cli.lives import Life, lives_of
from watcher.cli.timeline import bar, drawing
from watcher.core.model import InstanceKey
from watcher.core.timeline import Span


def life(*spans: tuple[str | None, float, float], name: str = "office-2026") -> Life:
    """An instance that was in each status from then until then."""
    made = tuple(Span(status=status, began_at=at(begin), ended_at=at(end)) for status, begin, end in spans)
    return Life(key=KEY, name=name, spans=made)


@pytest.mark.parametrize(
    ("spans", "drawn"),
    [
        ([("BUILT", 0, 100)], "----------"),
        ([("CREATING", 0, 20), ("ACTIVE", 20, 50), ("BUILDING", 50, 80), ("BUILT", 80, 100)], "ccaaabbb--"),
        ([("BUILT", 0, 55), ("ERROR", 55, 56), ("BUILT", 56, 100)], "-----E----"),
        ([("BUILT", 0, 55), (None, 55, 56), ("BUILT", 56, 100)], "-----?----"),
        ([("BUILT", 0, 54), ("BUILDING", 54, 56), ("BUILT", 56, 100)], "----------"),
        ([("DELETING", 10, 20)], " d        "),
        ([("VERIFYING", 0, 100)], "**********"),
        ([(None, 0, 100)], "??????????"),
        ([], "          "),
    ],
)
def test_a_bar(spans: list[tuple[str | None, float, float]], drawn: str) -> None:
    assert bar(life(*spans), begins_at=at(0), ends_at=at(100), chars=10).plain == drawn


def test_lives_are_cut_to_their_time_and_the_worst_comes_first() -> None:
    _, calm = history("BUILT", "BUILT", key=InstanceKey("prod", "1"))
    _, busy = history("BUILT", "BUILDING", "BUILT", key=InstanceKey("prod", "2"))
    _, bad = history("BUILT", "ERROR", key=InstanceKey("prod", "3"))
    resting = Known(key=InstanceKey("prod", "4"), name="a", status="BUILT", since=at(-900))
    twice = Known(key=InstanceKey("prod", "2"), name="a", status="BUILT", since=at(-900))
    future = Known(key=InstanceKey("prod", "5"), name="a", status="BUILT", since=at(900))
    lives = lives_of([*calm, *busy, *bad], [resting, twice, future], begins_at=at(10), ends_at=at(40))
    assert [each.key.id for each in lives] == ["3", "2", "4", "1"]
    assert [(span.status, span.began_at, span.ended_at) for span in lives[0].spans] == [
        ("BUILT", at(10), at(15)),
        ("ERROR", at(15), at(40)),
    ]
    assert (lives[0].trouble_s, lives[0].seconds_in("BUILT"), lives[2].seconds_in("BUILT")) == (25, 5, 30)


def test_a_drawing_has_an_axis_a_line_each_and_a_legend() -> None:
    lives = [life(("BUILT", 0, 7200), name="a\x1b[31m\nb" + "c" * 40), life((None, 0, 3600), ("WEIRD\x07", 3600, 7200))]
    lines = [line.plain for line in drawing(lives, begins_at=at(0), ends_at=at(7200), width=60, zone=UTC)]
    assert lines == [
        " " * 30 + "|Jan 01       |01:00         ",
        "a [31m bccccccccccccccccccc…  " + "-" * 29,
        "office-2026                   " + "?" * 15 + "*" * 14,
        "",
        "- BUILT   ? missing   * WEIRD    one character: 4m8s",
    ]
    assert all(len(line) <= 59 for line in lines[:3])


def test_a_drawing_of_nothing_says_so() -> None:
    assert len(drawing([], begins_at=at(0), ends_at=at(1), width=80)) == 1


_SPANS = st.lists(
    st.tuples(st.sampled_from(["BUILT", "BUILDING", "ERROR", None, "X"]), st.integers(1, 500)), max_size=8
)


@settings(deadline=None)
@given(pieces=_SPANS, chars=st.integers(1, 200), length=st.integers(1, 4000))
def test_a_bar_is_as_wide_as_it_is_to_be_and_hides_no_failure(
    pieces: list[tuple[str | None, int]], chars: int, length: int
) -> None:
    spans, now = [], 0
    for status, lasts in pieces:
        spans.append((status, now, min(now + lasts, length)))
        now += lasts
    spans = [each for each in spans if each[1] < each[2]]
    drawn = bar(life(*spans), begins_at=at(0), ends_at=at(length), chars=chars).plain
    assert len(drawn) == chars
    statuses = {status for status, *_ in spans}
    assert ("E" in drawn) is ("ERROR" in statuses)
    assert "?" in drawn or None not in statuses or "ERROR" in statuses
