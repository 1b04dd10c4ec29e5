from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.fakes.values import at, event, history, instance, observation
from watcher.core.alerts import AlertRules
from watcher.core.detector import detect
from watcher.core.lessons import SAMPLES_KEPT, Lessons, far_longer_s, lesson_of
from watcher.core.model import Event, EventKind, Expectation, InstanceState, Reason, Step
from watcher.core.news import Context


def step(duration_s: float, *, image_source: str = "gold:1", status: str = "BUILDING") -> Step:
    return Step(source="prod", image_source=image_source, status=status, duration_s=duration_s)


def test_fewer_than_five_teach_nothing() -> None:
    lessons = Lessons(step(60.0 * n) for n in range(4))
    assert lessons.expectation("gold:1", "BUILDING") is None
    lessons.learn(step(240.0))
    assert lessons.expectation("gold:1", "BUILDING") == Expectation(median_s=120.0, p95_s=240.0, samples=5)


def test_each_source_of_images_and_each_status_by_itself() -> None:
    lessons = Lessons(step(60.0) for _ in range(5))
    assert lessons.expectation("gold:2", "BUILDING") is None
    assert lessons.expectation("gold:1", "CREATING") is None
    assert lessons.expectation("gold:1", None) is None


def test_the_latest_count() -> None:
    lessons = Lessons([*(step(1.0) for _ in range(100)), *(step(600.0) for _ in range(SAMPLES_KEPT))])
    assert lessons.expectation("gold:1", "BUILDING") == Expectation(median_s=600.0, p95_s=600.0, samples=SAMPLES_KEPT)


def test_one_in_twenty_may_be_slow() -> None:
    lessons = Lessons([step(9000.0), step(9000.0), *(step(60.0) for _ in range(48))])
    expected = lessons.expectation("gold:1", "BUILDING")
    assert expected is not None
    assert expected.p95_s == 60.0


def test_far_longer_is_half_as_long_again_and_more_than_can_be_told() -> None:
    expected = Expectation(median_s=1440.0, p95_s=1860.0, samples=9)
    assert far_longer_s(expected, resolution_s=30.0) == 2790.0
    assert far_longer_s(Expectation(median_s=1.0, p95_s=2.0, samples=9), resolution_s=30.0) == 32.0


def lived(*statuses: tuple[str | None, float]) -> tuple[InstanceState, InstanceState, Event]:
    """The last two states and the last event of an instance seen so at these times, each 15 s after the look before."""
    state, before = None, None
    events: tuple[Event, ...] = ()
    for status, seconds in statuses:
        before = state
        context = Context(rules=AlertRules(), previous_observed_at=at(seconds - 15))
        seen = observation(status, seconds)
        state, events = detect(state, seen, context)
    assert before is not None
    assert state is not None
    return before, state, events[-1]


def test_a_build_that_went_well_is_a_lesson() -> None:
    before, _, ended = lived(("ACTIVE", 0), ("BUILDING", 60), ("BUILT", 1500))
    assert lesson_of(before, ended, resolution_s=30.0) == Step(
        source="prod", image_source="", status="BUILDING", duration_s=1440.0
    )


def test_a_build_that_failed_is_none_though_it_ended_in_built() -> None:
    before, _, _ = lived(("ACTIVE", 0), ("BUILDING", 60), ("BUILT", 1500))
    why = Reason(code="WKS.0017", message="sysprep failed", exact=False)
    ended = event(observed_at=at(1500), previous_observed_at=at(1485), duration_s=1440.0)
    assert lesson_of(before, ended, resolution_s=30.0) is not None
    assert lesson_of(before, replace(ended, reason=why), resolution_s=30.0) is None


def test_a_deletion_is_one_too() -> None:
    before, _, ended = lived(("BUILT", 0), ("DELETING", 60), (None, 120))
    lesson = lesson_of(before, ended, resolution_s=30.0)
    assert lesson is not None
    assert (lesson.status, lesson.duration_s) == ("DELETING", 60.0)


@pytest.mark.parametrize(
    "life",
    [
        [("BUILDING", 60), ("BUILT", 1500)],  # its beginning was not seen
        [("ACTIVE", 0), ("BUILDING", 60), ("ERROR", 1500)],  # it went wrong
        [("ACTIVE", 0), ("BUILDING", 60), ("DELETING", 1500)],
        [("NULL", 0), ("CREATING", 60), ("BUILT", 1500)],  # when it was ACTIVE was not seen
        [("BUILDING", 0), ("BUILT", 60), ("BUILDING", 1500)],  # at rest it may stay for ever
    ],
)
def test_what_teaches_nothing(life: list[tuple[str | None, float]]) -> None:
    before, _, ended = lived(*life)
    assert lesson_of(before, ended, resolution_s=30.0) is None


@pytest.mark.parametrize(("unseen_s", "is_lesson"), [(15, True), (144, True), (145, False), (1000, False)])
def test_an_end_that_was_not_looked_at_for_long_teaches_nothing(unseen_s: float, is_lesson: bool) -> None:
    before, _, _ = lived(("ACTIVE", 0), ("BUILDING", 60), ("BUILT", 1500))
    ended = event(observed_at=at(1500), previous_observed_at=at(1500 - unseen_s), duration_s=1440.0)
    assert (lesson_of(before, ended, resolution_s=30.0) is not None) is is_lesson


def test_the_first_sight_teaches_nothing() -> None:
    first: dict[str, Any] = {"kind": EventKind.DISCOVERED, "from_status": None, "duration_s": None}
    assert lesson_of(None, event(**first), resolution_s=30.0) is None
    assert lesson_of(history("BUILT")[0], event(previous_observed_at=None), resolution_s=30.0) is None


def test_a_state_knows_what_its_instance_is_made_from() -> None:
    state, _ = history("BUILDING")
    assert state.image_source == instance("BUILDING").image_source
