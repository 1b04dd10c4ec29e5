"""How builds end: what confirms them, what says that they failed, and what is not known."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from tests.fakes.values import KEY, at, context, instance
from watcher.core.alerts import BUILD_FAILED, is_firing
from watcher.core.builds import explanation, image_known_before, is_sought, search_for
from watcher.core.detector import detect
from watcher.core.model import AlertStatus, Event, EventKind, InstanceState, Observation, Reason
from watcher.core.ports import Explanation
from watcher.core.reasons import CREATE_SERVER, CREATE_SERVER_IMAGE, NOTHING_FOUND, Finding
from watcher.core.timers import close, ring

WHY = Reason(code="WKS.0017", message="sysprep failed", exact=False)
FAILED, SUCCEEDED = Finding(reason=WHY), Finding(succeeded=True)


@dataclass(frozen=True)
class Seen:
    """A status and an image (`BUILT img-1`), and what the jobs say."""

    what: str
    finding: Finding = NOTHING_FOUND


class Course:
    """One instance, looked at every 15 s."""

    def __init__(self, *seen: str | Seen) -> None:
        self.state: InstanceState | None = None
        self.events: list[Event] = []
        self.now_s = -15.0
        for each in seen:
            self.see(each)

    def see(self, each: str | Seen) -> list[Event]:
        look = each if isinstance(each, Seen) else Seen(each)
        status, _, image_id = look.what.partition(" ")
        self.now_s += 15
        there = instance(status, image_id=image_id) if status != "-" else None
        seen = Observation(key=KEY, observed_at=at(self.now_s), instance=there)
        self.state, events = detect(self.state, seen, context(finding=look.finding))
        self.events += events
        return list(events)

    def wait(self, seconds: float) -> list[Event]:
        assert self.state is not None
        self.now_s += seconds
        self.state, events = ring(self.state, now=at(self.now_s), context=context())
        self.events += events
        return list(events)

    @property
    def known(self) -> InstanceState:
        assert self.state is not None
        return self.state

    @property
    def outcome(self) -> str:
        """What is held of the last build."""
        if is_firing(BUILD_FAILED, self.known.alerts):
            return "failed"
        if self.known.unconfirmed_at is not None:
            return "unconfirmed"
        return "under way" if self.known.image_before is not None else "-"


def kinds(events: list[Event]) -> list[str]:
    return [event.kind.value for event in events]


def knows_nothing(state: InstanceState) -> bool:
    return not any((state.reason, state.search, state.unconfirmed_at))


BAD, GOOD = Seen("BUILT one", FAILED), Seen("BUILT one", SUCCEEDED)


@pytest.mark.parametrize(
    ("seen", "outcome"),
    [
        (["BUILT one", "BUILDING one"], "under way"),
        (["BUILT one", "BUILDING one", "BUILT two"], "-"),
        (["BUILT one", "BUILDING one", "BUILT one"], "unconfirmed"),
        (["BUILT one", "BUILDING one", "BUILT"], "unconfirmed"),
        (["BUILT one", "BUILDING one", BAD], "failed"),
        (["BUILT one", "BUILDING one", Seen("BUILT", FAILED)], "failed"),
        (["BUILT one", "BUILDING one", GOOD], "-"),
        (["BUILT one", "BUILDING one", Seen("BUILT two", FAILED)], "-"),  # a new image is beyond doubt
        (["ACTIVE", "BUILDING", "BUILT one"], "-"),
        (["ACTIVE", "BUILDING", "BUILT"], "unconfirmed"),
        (["CREATING", "ACTIVE", "BUILT one"], "-"),
        (["CREATING", "BUILT"], "unconfirmed"),
        (["ACTIVE one", "BUILT one"], "unconfirmed"),
        # An image that came while nobody looked, and before the build began, is of before.
        (["BUILT one", "ERROR one", "CREATING two", "ACTIVE two", "BUILDING two", "BUILT two"], "unconfirmed"),
        (["BUILT one", "ACTIVE two", "BUILDING two", "BUILT two"], "unconfirmed"),
        (["BUILT one", "ACTIVE two", "BUILDING two", "BUILT three"], "-"),
        # Not seen to begin: the image seen may be the new one.
        (["BUILDING one", "BUILT one"], "-"),
        (["BUILDING one", BAD], "failed"),
        (["BUILDING one", Seen("BUILT two", FAILED)], "-"),
        (["BUILDING one", "BUILT"], "unconfirmed"),
        (["BUILDING", "BUILT one"], "-"),
        (["BUILT one", "BUILDING two", BAD], "-"),
        (["BUILT one", "BUILDING two", "BUILT two"], "-"),
        (["BUILT one", "BUILDING two", Seen("BUILT two", FAILED)], "failed"),
        # Words that say nothing do not end a build.
        (["BUILT one", "BUILDING one", "NULL", "BUILT one"], "unconfirmed"),
        (["BUILT one", "BUILDING one", "FROZEN one", "BUILT one"], "unconfirmed"),
        (["BUILT one", "BUILDING one", "FROZEN one", "BUILDING one", "BUILT two"], "-"),
        (["BUILT one", "BUILDING one", "-", "-", "BUILDING one", "BUILT one"], "unconfirmed"),
        (["BUILT one", "BUILDING one", "-", "-", "BUILT one"], "unconfirmed"),
        # What is no end of a build.
        (["BUILT"], "-"),
        ([BAD], "-"),
        (["BUILT one", BAD], "-"),
        (["ERROR", BAD], "-"),
        (["NULL", BAD], "-"),
        (["BUILDING one", "ERROR one", BAD], "-"),
        (["BUILT one", "ERROR one", "NULL", BAD], "-"),
        (["BUILT one", "NULL", BAD], "-"),
        (["BUILT one", "FROZEN one", BAD], "-"),
        (["DELETING", BAD], "-"),
        (["BUILDING one", "DELETING", "-", BAD], "-"),
        # In doubt, and then?
        (["BUILT one", "BUILDING one", "BUILT one", "BUILT two"], "-"),
        (["BUILT one", "BUILDING one", "BUILT", "BUILT one"], "unconfirmed"),
        (["BUILT one", "BUILDING one", "BUILT one", "BUILT"], "unconfirmed"),
        (["BUILT one", "BUILDING one", "BUILT one", BAD], "failed"),
        (["BUILT one", "BUILDING one", "BUILT one", GOOD], "-"),
        (["BUILT one", "BUILDING one", "BUILT one", "NULL one", "BUILT one"], "unconfirmed"),
        (["BUILT one", "BUILDING one", "BUILT one", "FROZEN one", "BUILT one"], "-"),
        (["BUILT one", "BUILDING one", "BUILT one", "-", "-", "BUILT one"], "unconfirmed"),
        (["BUILT one", "BUILDING one", BAD, "BUILT one"], "failed"),
        (["BUILT one", "BUILDING one", BAD, "NULL one", "BUILT one"], "failed"),
        (["BUILT one", "BUILDING one", BAD, "NULL one", "BUILT two"], "-"),
        (["BUILT one", "BUILDING one", BAD, "-", "-", "BUILT one"], "-"),
        (["BUILT one", "BUILDING one", BAD, "BUILDING one"], "under way"),
        (["BUILT one", "BUILDING one", BAD, "BUILDING one", "BUILT one"], "unconfirmed"),
        (["BUILT one", "BUILDING one", "BUILT", "BUILDING", "BUILT one"], "unconfirmed"),
        (["BUILT one", "BUILDING one", BAD, "ERROR one"], "-"),
    ],
)
def test_what_is_held_of_a_build(seen: list[str | Seen], outcome: str) -> None:
    course = Course(*seen)
    assert course.outcome == outcome
    assert (course.known.image_before is None) == (outcome == "-")
    fired = [event for event in course.events if event.kind is EventKind.BUILD_FAILED]
    assert all(is_firing(BUILD_FAILED, event.alerts) for event in fired)
    late = Course(*seen)
    late.wait(300)
    assert late.outcome == ("failed" if outcome == "unconfirmed" else outcome)


def test_a_build_whose_job_failed_is_no_success_and_an_alert() -> None:
    course = Course("BUILT one", "BUILDING one")
    built, failed = course.see(BAD)
    assert (built.kind, built.from_status, built.to_status) == (EventKind.TRANSITION, "BUILDING", "BUILT")
    assert (built.reason, built.alerts) == (WHY, ())
    assert (failed.kind, failed.from_status, failed.to_status) == (EventKind.BUILD_FAILED, "BUILT", "BUILT")
    assert (failed.reason, failed.severity.value) == (WHY, "critical")
    assert [(alert.name, alert.status.value) for alert in failed.alerts] == [(BUILD_FAILED, "firing")]
    assert course.known.reason == WHY
    [over] = course.see("BUILDING one")
    assert [(alert.name, alert.status.value) for alert in over.alerts] == [(BUILD_FAILED, "resolved")]
    assert over.reason is None
    assert knows_nothing(course.known)


def test_without_a_word_it_fails_after_the_grace() -> None:
    course = Course("BUILT one", "BUILDING one", "BUILT one")
    assert kinds(course.wait(119)) == []
    assert kinds(course.see("BUILT one")) == []
    [failed] = course.wait(1)
    assert (failed.kind, failed.reason, failed.duration_s) == (EventKind.BUILD_FAILED, None, 135.0)
    assert kinds(course.wait(1)) == []


def test_of_one_not_seen_of_late_nobody_says_that_its_build_failed() -> None:
    state = Course("BUILT one", "BUILDING one", "BUILT one").known
    assert ring(state, now=at(9000), context=context(), is_fresh=False) == (state, ())


@pytest.mark.parametrize("late", ["BUILT two", Seen("BUILT one", SUCCEEDED)])
def test_what_seemed_to_have_failed_is_over_when_it_is_confirmed(late: str | Seen) -> None:
    course = Course("BUILT one", "BUILDING one", "BUILT one")
    course.wait(200)
    [over] = course.see(late)
    assert (over.kind, over.from_status, over.to_status, over.reason) == (EventKind.RECOVERED, "BUILT", "BUILT", None)
    assert [(alert.name, alert.status) for alert in over.alerts] == [(BUILD_FAILED, AlertStatus.RESOLVED)]
    assert (course.known.alerts, course.known.search) == ((), None)


def test_a_new_image_where_the_job_had_failed_is_of_another_build() -> None:
    course = Course("BUILT one", "BUILDING one", BAD)
    [again] = course.see("BUILT two")
    assert (again.kind, again.inferred, again.reason) == (EventKind.TRANSITION, ("BUILDING",), None)
    assert [(alert.name, alert.status) for alert in again.alerts] == [(BUILD_FAILED, AlertStatus.RESOLVED)]
    first = Course("ACTIVE", "BUILDING", Seen("BUILT", FAILED))
    assert kinds(first.see("BUILT one")) == ["recovered"]


def test_an_image_that_was_waited_for_is_no_second_build() -> None:
    course = Course("BUILT one", "BUILDING one", "BUILT one")
    assert course.see("BUILT two") == []
    assert kinds(course.see("BUILT three")) == ["transition"]


def test_while_it_flaps_a_failed_build_is_held_back_and_told_when_it_is_calm() -> None:
    course = Course(*["BUILT one", "BUILDING one"] * 4)
    assert is_firing("flapping", course.known.alerts)
    built, failed = course.see(BAD)
    assert (built.flapping, failed.flapping, failed.kind) == (True, True, EventKind.BUILD_FAILED)
    [calm] = course.wait(3000)
    assert {(alert.name, alert.status.value) for alert in calm.alerts} == {
        ("flapping", "resolved"),
        (BUILD_FAILED, "firing"),
    }
    assert calm.reason == WHY
    silent = Course(*["BUILT one", "BUILDING one"] * 4, "BUILT one")
    [failed] = silent.wait(120)
    assert (failed.kind, failed.flapping) == (EventKind.BUILD_FAILED, True)


def test_the_change_that_is_one_too_many_comes_with_its_failed_build() -> None:
    course = Course(*["BUILT one", "BUILDING one"] * 3)
    events = course.see(BAD)
    assert kinds(events) == ["transition", "build_failed", "flapping"]
    assert [event.flapping for event in events] == [False] * 3
    assert events[-1].reason == WHY


class TestReason:
    """It stays known while what it explains lasts, and no longer."""

    def error(self) -> Course:
        return Course("BUILT one", "BUILDING one", Seen("ERROR one", FAILED))

    def test_it_goes_with_the_error_and_its_reminders(self) -> None:
        course = self.error()
        assert course.events[-1].reason == WHY
        [reminder] = course.wait(14400)
        assert (reminder.kind, reminder.reason) == (EventKind.REMINDER, WHY)

    @pytest.mark.parametrize(
        ("then", "reasons", "known"),
        [
            (["BUILDING one"], [None], None),
            (["BUILT two"], [None], None),
            (["DELETING one", "-"], [None, None], None),
            (["-", "-"], [None], WHY),
            (["-", "-", "ERROR one"], [None, None], WHY),
            (["-", "-", "BUILDING one"], [None, None, None], None),
            (["NULL one"], [None], WHY),
            (["NULL one", "ERROR one"], [None, WHY], WHY),
            (["NULL one", "BUILDING one"], [None, None], None),
            (["FROZEN one", "ERROR one"], [None, None], None),
        ],
    )
    def test_what_follows_an_error(self, then: list[str], reasons: list[Reason | None], known: Reason | None) -> None:
        course = self.error()
        told = [event.reason for each in then for event in course.see(each)]
        assert (told, course.known.reason) == (reasons, known)

    def test_who_is_watched_no_more_has_the_reason_of_that_only(self) -> None:
        for course in (self.error(), Course("BUILT one", "BUILDING one", BAD)):
            state, event = close(course.known, now=at(1000), context=context())
            assert event.reason is not None
            assert event.reason.code == "unwatched"
            assert knows_nothing(state)

    def test_a_reason_that_comes_late_is_for_the_event_that_lacked_it(self) -> None:
        course = Course("BUILT one", "BUILDING one", "ERROR one")
        before, told = course.known, course.events[-1]
        assert course.see(Seen("ERROR one", FAILED)) == []
        assert explanation(before, course.known, ("chat",)) == Explanation(
            event_id=told.id, reason=WHY, receivers=("chat",)
        )
        assert (course.known.reason, course.known.search) == (WHY, None)
        assert explanation(course.known, course.known, ()) is None
        assert [event.reason for event in course.wait(14400)] == [WHY]

    def test_so_is_one_of_a_build_that_failed_without_a_word(self) -> None:
        course = Course("BUILT one", "BUILDING one", "BUILT one")
        [failed] = course.wait(120)
        before = course.known
        assert course.see(BAD) == []
        assert explanation(before, course.known, ()) == Explanation(event_id=failed.id, reason=WHY)
        assert course.outcome == "failed"

    @pytest.mark.parametrize("then", [BAD, "BUILDING one", Seen("BUILT two", FAILED), "-", Seen("NULL", FAILED)])
    def test_what_explains_nothing(self, then: str | Seen) -> None:
        course = Course("BUILT one", "BUILDING one", "ERROR one")
        before = course.known
        course.see(then)
        assert explanation(before, course.known, ()) is None
        assert explanation(None, course.known, ()) is None

    def test_the_reason_of_the_next_failure_explains_nothing_of_the_last(self) -> None:
        course = Course("BUILT one", "BUILDING one", "ERROR one", "BUILDING one")
        before = Course("BUILT one", "BUILDING one", "ERROR one").known
        course.see(BAD)
        assert explanation(before, course.known, ()) is None


class TestSearch:
    """When the jobs are asked, and of what."""

    @pytest.mark.parametrize(
        ("seen", "then", "job_type"),
        [
            ([], "ERROR", CREATE_SERVER),
            (["CREATING"], "ERROR", CREATE_SERVER),
            (["DELETING", "-"], "ERROR", CREATE_SERVER),
            (["ACTIVE"], "ERROR", CREATE_SERVER_IMAGE),
            (["BUILDING one"], "ERROR one", CREATE_SERVER_IMAGE),
            (["BUILT one"], "ERROR one", CREATE_SERVER_IMAGE),
            (["ERROR one"], "ERROR one", None),  # found in error: what is not written down by now will not be
            (["BUILDING one", "ERROR one"], "ERROR one", CREATE_SERVER_IMAGE),
            (["CREATING", "ERROR"], "ERROR", CREATE_SERVER),
            (["BUILDING one", Seen("ERROR one", FAILED)], "ERROR one", None),
            (["BUILDING one", "ERROR one"], "BUILT one", None),
            (["BUILDING one", "ERROR one"], "BUILDING one", None),
            ([], "BUILT one", None),
            (["BUILT one"], "BUILT one", None),
            (["BUILT one"], "BUILT two", None),
            (["BUILT one", "BUILDING one"], "BUILT two", None),
            (["BUILT one", "BUILDING one"], "BUILT one", CREATE_SERVER_IMAGE),
            (["BUILT one", "BUILDING one"], "BUILT", CREATE_SERVER_IMAGE),
            (["BUILDING one"], "BUILT one", CREATE_SERVER_IMAGE),
            (["BUILDING one"], "BUILT two", None),
            (["BUILT one", "BUILDING one", "BUILT one"], "BUILT one", CREATE_SERVER_IMAGE),
            (["BUILT one", "BUILDING one", "BUILT one"], "BUILT two", None),
            (["BUILT one", "BUILDING one", BAD], "BUILT one", None),
            (["BUILT one", "BUILDING one", "BUILT one", "-", "-"], "BUILT one", None),
            (["BUILT one", "BUILDING one", "BUILT one", "NULL"], "BUILT one", None),
        ],
    )
    def test_where(self, seen: list[str | Seen], then: str, job_type: str | None) -> None:
        course = Course(*seen)
        status, _, image_id = then.partition(" ")
        search = search_for(course.state, instance(status, image_id=image_id), now=at(course.now_s + 15))
        assert (search.job_type if search is not None else None) == job_type

    def test_from_when_on(self) -> None:
        course = Course("BUILT one", "BUILDING one", "BUILDING one", "BUILDING one")
        seen = instance("ERROR", image_id="one")
        first = search_for(course.state, seen, now=at(60))
        assert first is not None
        assert first.since == at(15)
        course.see("ERROR one")
        again = search_for(course.state, seen, now=at(75))
        assert again is not None
        assert (again.since, again.event_id, again.until) == (at(15), course.events[-1].id, at(660))

    def test_for_ten_minutes(self) -> None:
        course = Course("BUILDING one", "ERROR one")
        for seconds, is_open in ((15, True), (614, True), (615, False)):
            assert is_sought(course.known, now=at(seconds)) is is_open
            assert (search_for(course.state, instance("ERROR"), now=at(seconds)) is not None) is is_open

    def test_as_long_as_a_build_is_not_confirmed_and_ten_minutes_more(self) -> None:
        course = Course("BUILT one", "BUILDING one", "BUILT one")
        assert is_sought(course.known, now=at(9999))
        course.wait(200)
        told_s = course.now_s
        assert is_sought(course.known, now=at(told_s + 599))
        assert not is_sought(course.known, now=at(told_s + 600))
        assert not is_sought(replace(course.known, status="NULL"), now=at(told_s))

    @pytest.mark.parametrize(
        ("seen", "image_id"),
        [([], None), (["BUILT one"], None), (["BUILT one", "BUILDING one"], "one"), (["BUILDING one"], None)],
    )
    def test_the_image_whose_job_is_of_before(self, seen: list[str | Seen], image_id: str | None) -> None:
        assert image_known_before(Course(*seen).state) == image_id


def test_a_status_that_is_not_set_for_a_while_neither_ends_nor_begins_the_alert_of_a_build() -> None:
    course = Course("BUILT one", "BUILDING one", BAD)
    [alert] = course.known.alerts
    events = course.see("NULL one") + course.see("BUILT one")
    assert [(event.kind, event.alerts) for event in events] == [(EventKind.TRANSITION, ())] * 2
    assert course.known.alerts == (alert,)
    assert (course.known.reason, [event.reason for event in events]) == (WHY, [None, WHY])


@pytest.mark.parametrize(
    "seen",
    [
        ["BUILT one", "BUILDING one", "BUILT one"],
        ["BUILT one", "BUILDING one", BAD],
        ["BUILT one", "BUILDING one", Seen("ERROR one", FAILED)],
        ["BUILT one", "BUILDING one", "ERROR one"],
        ["BUILT one", "BUILDING one"],
    ],
)
def test_of_what_is_deleted_nothing_is_to_be_found_out(seen: list[str | Seen]) -> None:
    discovered, gone = context(configured=False), Observation(key=KEY, observed_at=at(500), instance=None)
    state, _ = detect(Course(*seen).known, gone, discovered)
    state, events = detect(state, gone, discovered)
    assert knows_nothing(state)
    assert state.image_before is None
    assert [event.reason for event in events] == [None]


def test_the_same_news_has_the_same_id() -> None:
    def course() -> Course:
        return Course("BUILT one", "BUILDING one", BAD, "BUILDING one", "BUILT one")

    assert course().events == course().events
    assert {event.key for event in course().events} == {KEY}
