from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest

from tests.fakes.values import KEY, START, at, history, observation, outage
from watcher.core.alerts import AlertRules
from watcher.core.detector import detect
from watcher.core.lessons import Lessons
from watcher.core.model import Event, EventKind, Expectation, InstanceState, Presence, Severity, Step
from watcher.core.news import Context
from watcher.core.timers import close, due_at, ring

RULES = AlertRules()
NO_REMINDERS = AlertRules(repeat_interval_s=0.0)
UNTAUGHT = Lessons()


def context(rules: AlertRules = RULES, lessons: Lessons = UNTAUGHT) -> Context:
    return Context(rules=rules, lessons=lessons, labels={"team": "vdi"})


def taught(*minutes: float, status: str = "BUILDING") -> Lessons:
    steps = (Step(source="prod", image_source="", status=status, duration_s=60 * each) for each in minutes)
    return Lessons(steps)


def fires(event: Event) -> list[tuple[str, str]]:
    return [(alert.name, alert.status.value) for alert in event.alerts]


def after(state: InstanceState, rules: AlertRules = RULES, lessons: Lessons = UNTAUGHT) -> float | None:
    """In how many seconds after the start there will be news."""
    moment = due_at(state, rules, lessons)
    return (moment - START).total_seconds() if moment is not None else None


@pytest.mark.parametrize(
    ("status", "seconds"),
    [("CREATING", 1800), ("BUILDING", 7200), ("DELETING", 1800), ("ACTIVE", None), ("BUILT", None), ("NULL", None)],
)
def test_who_is_on_the_way_is_stuck_after_a_while(status: str, seconds: float | None) -> None:
    state, _ = history(status)
    assert after(state) == seconds
    if seconds is None:
        return
    assert ring(state, now=at(seconds - 0.001), context=context()) == (state, ())
    state, [event] = ring(state, now=at(seconds), context=context())
    assert (event.kind, event.from_status, event.to_status) == (EventKind.STUCK, status, status)
    assert (event.severity, event.duration_s, event.labels) == (Severity.WARNING, seconds, {"team": "vdi"})
    assert fires(event) == [("stuck", "firing")]
    assert state.since == START  # it is still the same stay
    assert ring(state, now=at(seconds + 1), context=context()) == (state, ())


def test_who_moves_on_is_stuck_no_more() -> None:
    state, _ = history("BUILDING")
    state, _ = ring(state, now=at(7200), context=context())
    state, [event] = detect(state, observation("BUILT", 8000), context())
    assert fires(event) == [("stuck", "resolved")]
    assert state.alerts == ()


def test_a_status_whose_limit_is_zero_is_never_stuck_and_any_may_have_one() -> None:
    rules = AlertRules(stuck_after_s={"BUILDING": 0.0, "ACTIVE": 60.0})
    assert after(history("BUILDING")[0], rules, taught(1, 1, 1, 1, 1)) is None
    assert after(history("ACTIVE")[0], rules) == 60.0


def test_who_is_not_there_is_not_stuck() -> None:
    state, _ = history("BUILDING", None, None)
    assert state.presence is Presence.MISSING
    assert after(state, NO_REMINDERS) is None


def test_far_longer_than_ever_is_stuck_before_the_limit() -> None:
    state, _ = history("BUILDING")
    lessons = taught(20, 24, 24, 25, 31)
    assert after(state, lessons=lessons) == 31 * 60 * 1.5
    _, [event] = ring(state, now=at(52 * 60), context=context(lessons=lessons))
    assert event.expected == Expectation(median_s=24 * 60, p95_s=31 * 60, samples=5)
    assert event.duration_s == 52 * 60


@pytest.mark.parametrize(
    ("rules", "lessons", "seconds"),
    [
        (RULES, taught(20, 24, 24, 25), 7200.0),  # four are too few to learn from
        (AlertRules(learned=False), taught(20, 24, 24, 25, 31), 7200.0),
        (RULES, taught(300, 300, 300, 300, 300), 7200.0),  # the limit holds, whatever is usual
        (RULES, taught(0.1, 0.1, 0.1, 0.1, 0.1), 36.0),  # no duration is known better than the resolution
        (RULES, taught(20, 20, 20, 20, 20, status="CREATING"), 7200.0),
    ],
)
def test_what_is_learned_counts_within_reason(rules: AlertRules, lessons: Lessons, seconds: float) -> None:
    assert after(history("BUILDING")[0], rules, lessons) == seconds


def test_of_one_not_seen_of_late_nobody_says_that_it_is_stuck() -> None:
    state, _ = history("BUILDING")
    assert ring(state, now=at(9000), context=context(), is_fresh=False) == (state, ())


def test_what_goes_on_firing_is_told_again_and_again() -> None:
    state, _ = history("BUILDING", "ERROR")
    told: list[Event] = []
    for _ in range(3):
        moment = due_at(state, RULES, UNTAUGHT)
        assert moment is not None
        state, events = ring(state, now=moment, context=context())
        told += events
    assert [event.kind for event in told] == [EventKind.REMINDER] * 3
    assert [(event.observed_at - at(15)).total_seconds() for event in told] == [14400, 28800, 43200]
    assert [event.sequence for event in told] == [3, 4, 5]
    assert {(event.from_status, event.to_status, event.severity) for event in told} == {
        ("ERROR", "ERROR", Severity.CRITICAL)
    }
    assert {fires(event)[0] for event in told} == {("error", "firing")}
    assert len({event.id for event in told}) == 3
    assert len({event.alerts[0].fingerprint for event in told}) == 1
    assert {event.alerts[0].starts_at for event in told} == {at(15)}


def test_nobody_is_reminded_where_nobody_wants_it_nor_of_what_is_over() -> None:
    failed, _ = history("BUILDING", "ERROR")
    assert after(failed, NO_REMINDERS) is None
    better, _ = history("BUILDING", "ERROR", "BUILT")
    assert after(better) is None
    assert better.told_at is None


def test_a_source_is_reminded_of_too() -> None:
    down, _ = outage()
    state = replace(history("BUILT")[0], key=KEY._replace(id=""), status=None, alerts=down.alerts, told_at=at(300))
    _, [event] = ring(state, now=at(300 + 14400), context=context())
    assert (event.kind, event.from_status, event.to_status) == (EventKind.REMINDER, None, None)
    assert event.duration_s is not None


class TestFlapping:
    """Six changes within half an hour, as it is by default."""

    def flapping(self, *more: str) -> tuple[InstanceState, list[Event]]:
        return history("BUILT", "BUILDING", "BUILT", "BUILDING", "BUILT", "BUILDING", "BUILT", *more, step_s=60)

    def test_one_alert_tells_of_it_after_the_change_that_was_one_too_many(self) -> None:
        state, events = self.flapping()
        assert [event.kind.value for event in events] == ["discovered", *["transition"] * 6, "flapping"]
        assert not any(event.flapping for event in events)
        begun = events[-1]
        assert fires(begun) == [("flapping", "firing")]
        assert (begun.severity, begun.changes, begun.to_status) == (Severity.WARNING, 6, "BUILT")
        assert [event.sequence for event in events] == list(range(1, 9))
        assert state.since == at(360)

    def test_from_then_on_single_changes_are_marked(self) -> None:
        _, events = self.flapping("BUILDING", "ERROR")
        assert [(event.kind.value, event.flapping) for event in events[8:]] == [
            ("transition", True),
            ("transition", True),
        ]

    def test_changes_far_apart_are_none(self) -> None:
        _, events = history(*["BUILT", "BUILDING"] * 10, step_s=400)
        assert {event.kind.value for event in events} == {"discovered", "transition"}

    def test_it_ends_with_a_summary_when_it_has_been_calm_for_a_while(self) -> None:
        state, _ = self.flapping("BUILDING", "ACTIVE")
        calm_s = after(state, NO_REMINDERS)
        assert calm_s == 360 + 1800  # from then on fewer than half of six lie within half an hour
        state, [event] = ring(state, now=at(calm_s), context=context(NO_REMINDERS))
        assert (event.kind, event.changes, event.to_status) == (EventKind.FLAPPING, 8, "ACTIVE")
        assert fires(event) == [("flapping", "resolved")]
        assert (state.alerts, state.flaps) == ((), 0)

    def test_what_fires_by_then_is_told_with_the_end(self) -> None:
        state, _ = self.flapping("BUILDING", "ERROR")
        state, [event] = ring(state, now=at(5000), context=context(NO_REMINDERS))
        assert sorted(fires(event)) == [("error", "firing"), ("flapping", "resolved")]
        assert event.severity is Severity.CRITICAL
        assert [alert.name for alert in state.alerts] == ["error"]

    def test_it_goes_on_while_changes_do(self) -> None:
        state, _ = self.flapping()
        for turn in range(20):
            now = 420 + turn * 300
            state, [event] = detect(state, observation("BUILDING" if turn % 2 else "ERROR", now), context())
            assert event.flapping
            assert "flapping" not in dict(fires(event))
        assert state.flaps == 26

    def test_one_that_is_deleted_flaps_no_more(self) -> None:
        state, _ = self.flapping("DELETING")
        state, [event] = detect(state, observation(None, 500), context())
        assert fires(event) == [("flapping", "resolved")]
        assert after(state) is None

    def test_with_the_reminder_due_at_once(self) -> None:
        state, _ = self.flapping("ERROR")
        state, events = ring(state, now=at(86400), context=context())
        assert [event.kind.value for event in events] == ["flapping"]
        assert fires(events[0])[0] == ("flapping", "resolved")


def test_who_is_watched_no_more_has_its_alerts_closed_and_is_new_when_watched_again() -> None:
    state, _ = history("BUILDING", "ERROR")
    state, event = close(state, now=at(100), context=context())
    assert (event.kind, event.from_status, event.to_status) == (EventKind.RECOVERED, "ERROR", None)
    assert fires(event) == [("error", "resolved")]
    assert event.reason is not None
    assert event.reason.code == "unwatched"
    assert after(state) is None
    _, [again] = detect(state, observation("ERROR", 200), context())
    assert (again.kind, again.sequence, fires(again)) == (EventKind.DISCOVERED, 4, [("error", "firing")])


def test_a_state_of_an_earlier_version_is_reminded_of_from_its_alert_on() -> None:
    state, _ = history("BUILDING", "ERROR")
    assert due_at(replace(state, told_at=None), RULES, UNTAUGHT) == at(15 + 14400)


def test_moments_are_times() -> None:
    assert isinstance(due_at(history("BUILDING")[0], RULES, UNTAUGHT), datetime)
