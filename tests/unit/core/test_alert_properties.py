"""What holds of detection and of the alerts that time makes, whatever is seen and whenever somebody looks."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes.values import KEY, START, instance
from watcher.core.alerts import BUILD_FAILED, ERROR, FLAPPING, MISSING, AlertRules, fingerprint, is_firing
from watcher.core.detector import detect
from watcher.core.lessons import Lessons
from watcher.core.model import AlertStatus, Event, EventKind, InstanceState, Observation, Presence, Reason, Step
from watcher.core.news import Context
from watcher.core.reasons import NOTHING_FOUND, Finding
from watcher.core.timers import close, due_at, ring

RULES = AlertRules(
    stuck_after_s={"CREATING": 300.0, "BUILDING": 600.0, "DELETING": 300.0},
    flapping_changes=4,
    flapping_within_s=400.0,
    repeat_interval_s=900.0,
    build_failed_after_s=100.0,
)
LESSONS = Lessons(Step(source="prod", image_source="", status="BUILDING", duration_s=100.0) for _ in range(9))
WHY = Reason(code="WKS.0017", message="sysprep failed", exact=False)
_MS = timedelta(milliseconds=1)

STATUSES = st.sampled_from(
    ["CREATING", "ACTIVE", "BUILDING", "BUILT", "BUILT", "ERROR", "ERROR", "DELETING", "NULL", "FROZEN", None, None]
)
IMAGES = st.sampled_from(["", "img-1", "img-2"])


@dataclass(frozen=True)
class Look:
    """Some time passes, then the instance is seen in a status with an image (None: it is not there).

    `finding` is what the cloud's jobs say, whether it fits or not.
    """

    after_s: float
    status: str | None
    image_id: str
    finding: Finding = NOTHING_FOUND


@dataclass(frozen=True)
class Wait:
    """Some time passes, and somebody looks whether it makes news: just when it should (`exactly`), or whenever."""

    after_s: float
    exactly: bool


FINDINGS = st.sampled_from([NOTHING_FOUND, Finding(reason=WHY), Finding(succeeded=True)])
LOOKS = st.builds(Look, st.floats(0.001, 500.0), STATUSES, IMAGES, FINDINGS)
WAITS = st.builds(Wait, st.floats(0.001, 2000.0), st.booleans())
COURSES = st.lists(LOOKS | LOOKS | WAITS, min_size=1, max_size=40)


@dataclass
class Course:
    """One instance, its state and all that was told of it, each with the state before and after."""

    context: Context
    now: datetime = START
    state: InstanceState | None = None
    told: list[tuple[InstanceState | None, Event, InstanceState]] = field(default_factory=list)

    def go(self, step: Look | Wait) -> None:
        before = self.state
        self.now += timedelta(seconds=step.after_s)
        if isinstance(step, Look):
            seen = instance(step.status, id=KEY.id, image_id=step.image_id) if step.status is not None else None
            observation = Observation(key=KEY, observed_at=self.now, instance=seen)
            self.state, events = detect(before, observation, replace(self.context, finding=step.finding))
        elif before is not None:
            moment = due_at(before, RULES, self.context.lessons)
            if step.exactly and moment is not None:
                self.now = max(self.now, moment)
            self.state, events = ring(before, now=self.now, context=self.context)
        else:
            return
        self.told += [(before, event, self.state) for event in events]

    @property
    def events(self) -> list[Event]:
        return [event for _, event, _ in self.told]


def follow(steps: list[Look | Wait], *, is_configured: bool, learns: bool = False, until: int | None = None) -> Course:
    lessons = LESSONS if learns else Lessons()
    course = Course(Context(rules=RULES, configured=is_configured, lessons=lessons))
    for step in steps[:until]:
        course.go(step)
    return course


@given(COURSES, st.booleans(), st.booleans())
def test_events_are_numbered_without_gaps_and_are_the_same_when_found_again(
    steps: list[Look | Wait], is_configured: bool, learns: bool
) -> None:
    course = follow(steps, is_configured=is_configured, learns=learns)
    assert [event.sequence for event in course.events] == list(range(1, len(course.events) + 1))
    ids = [event.id for event in course.events]
    assert len(set(ids)) == len(ids)
    again = follow(steps, is_configured=is_configured, learns=learns)
    assert (again.events, again.state) == (course.events, course.state)


@given(COURSES, st.booleans())
def test_alerts_begin_and_end_by_turns(steps: list[Look | Wait], is_configured: bool) -> None:
    course = follow(steps, is_configured=is_configured)
    firing: dict[str, datetime] = {}
    begun: dict[str, set[datetime]] = defaultdict(set)
    for _, event, after in course.told:
        for alert in event.alerts:
            assert alert.fingerprint == fingerprint(alert.name, KEY)
            assert (alert.ends_at is None) == (alert.status is AlertStatus.FIRING)
            if alert.status is AlertStatus.RESOLVED:
                assert firing.pop(alert.fingerprint) == alert.starts_at
                assert alert.ends_at == event.observed_at
            elif alert.starts_at != firing.get(alert.fingerprint):
                assert alert.fingerprint not in firing
                assert alert.starts_at == event.observed_at
                begun[alert.fingerprint].add(alert.starts_at)
                firing[alert.fingerprint] = alert.starts_at
        assert after.presence is not Presence.DELETED or not after.alerts
    assert course.state is None or firing == {alert.fingerprint: alert.starts_at for alert in course.state.alerts}


@given(COURSES, st.booleans())
def test_an_alert_that_begins_is_said_to_whoever_listens(steps: list[Look | Wait], is_configured: bool) -> None:
    """What is held back while it flaps is said when that is over, unless it is over, too."""
    course = follow(steps, is_configured=is_configured)
    unsaid: dict[str, datetime] = {}
    for _, event, after in course.told:
        for alert in event.alerts:
            if alert.status is AlertStatus.FIRING and event.flapping:
                unsaid[alert.fingerprint] = alert.starts_at
            else:
                unsaid.pop(alert.fingerprint, None)
        assert not unsaid or is_firing(FLAPPING, after.alerts) or after.presence is Presence.DELETED


def test_what_flapped_before_it_was_deleted_does_not_after() -> None:
    changes = [Look(1.0, status, "") for status in ("CREATING", "ERROR") * 4]
    course = follow(
        [*changes, Look(1.0, "DELETING", ""), Look(1.0, None, ""), Look(1.0, "CREATING", "")], is_configured=False
    )
    assert EventKind.FLAPPING in [event.kind for event in course.events]
    assert course.events[-1].kind is EventKind.DISCOVERED
    assert course.state is not None
    assert (course.state.flaps, course.state.changed_at) == (0, ())


@given(COURSES, st.booleans())
def test_changes_are_held_back_only_while_the_instance_flaps(steps: list[Look | Wait], is_configured: bool) -> None:
    course = follow(steps, is_configured=is_configured)
    for before, event, after in course.told:
        if event.flapping:
            assert before is not None
            assert is_firing(FLAPPING, before.alerts)
        if event.kind is EventKind.FLAPPING:
            assert event.changes
        if is_firing(FLAPPING, after.alerts):
            assert after.flaps >= RULES.flapping_changes
        else:
            assert after.flaps == 0 or after.presence is Presence.DELETED


@given(COURSES, st.booleans(), st.booleans())
def test_time_makes_news_at_its_moment_and_not_before(
    steps: list[Look | Wait], is_configured: bool, learns: bool
) -> None:
    course = follow(steps, is_configured=is_configured, learns=learns)
    if course.state is None:
        return
    moment = due_at(course.state, RULES, course.context.lessons)
    if moment is None:
        later = course.now + timedelta(days=100)
        assert ring(course.state, now=later, context=course.context) == (course.state, ())
        return
    assert ring(course.state, now=moment - _MS, context=course.context) == (course.state, ())
    after, events = ring(course.state, now=moment, context=course.context)
    assert events
    assert after.sequence == course.state.sequence + len(events)
    again_at = due_at(after, RULES, course.context.lessons)
    assert again_at is None or again_at > moment
    assert ring(after, now=moment, context=course.context) == (after, ())


@given(COURSES, st.booleans())
def test_nobody_is_stuck_who_was_not_seen_of_late(steps: list[Look | Wait], is_configured: bool) -> None:
    course = follow(steps, is_configured=is_configured)
    if course.state is not None:
        later = course.now + timedelta(days=1)
        _, events = ring(course.state, now=later, context=course.context, is_fresh=False)
        assert EventKind.STUCK not in {event.kind for event in events}


@given(COURSES, LOOKS, st.booleans())
def test_the_same_again_is_no_news(steps: list[Look | Wait], look: Look, is_configured: bool) -> None:
    course = follow([*steps, look], is_configured=is_configured)
    if look.status is None:
        course.go(look)  # one absence is not believed, the second is
    before, count = course.state, len(course.events)
    course.go(look)
    assert len(course.events) == count
    assert before is not None
    assert course.state is not None
    assert (course.state.alerts, course.state.status) == (before.alerts, before.status)


@given(COURSES, st.booleans())
def test_reminders_come_when_nothing_was_said_for_their_interval(steps: list[Look | Wait], is_configured: bool) -> None:
    told_at: datetime | None = None
    for _, event, after in follow(steps, is_configured=is_configured).told:
        is_said = any(alert.status is AlertStatus.FIRING for alert in event.alerts)
        if event.kind is EventKind.REMINDER:
            assert told_at is not None
            assert event.observed_at - told_at >= timedelta(seconds=RULES.repeat_interval_s)
            assert set(event.alerts) == set(after.alerts)
        told_at = event.observed_at if is_said else told_at


@given(COURSES, st.booleans())
@settings(max_examples=50)
def test_who_is_watched_no_more_has_no_alerts(steps: list[Look | Wait], is_configured: bool) -> None:
    course = follow(steps, is_configured=is_configured)
    if course.state is None:
        return
    after, event = close(course.state, now=course.now, context=course.context)
    assert not after.alerts
    assert due_at(after, RULES, course.context.lessons) is None
    assert {alert.fingerprint for alert in event.alerts} == {alert.fingerprint for alert in course.state.alerts}
    assert all(alert.status is AlertStatus.RESOLVED for alert in event.alerts)


@given(COURSES, st.booleans())
def test_a_build_that_failed_is_one_that_ended_without_a_new_image(
    steps: list[Look | Wait], is_configured: bool
) -> None:
    building = {"CREATING", "ACTIVE", "BUILDING"}
    is_seen = False
    for _, event, after in follow(steps, is_configured=is_configured).told:
        if event.kind is EventKind.BUILD_FAILED:
            assert is_seen
            assert (event.from_status, event.to_status, after.presence) == ("BUILT", "BUILT", Presence.PRESENT)
        is_seen = event.to_status in building or (is_seen and event.to_status not in ("ERROR", "DELETING"))
        if is_firing(BUILD_FAILED, after.alerts):
            assert after.status in ("BUILT", "NULL")
            assert after.image_before is not None
            assert after.unconfirmed_at is None
        if after.presence is Presence.DELETED:
            assert (after.image_before, after.unconfirmed_at, after.reason, after.search) == (None, None, None, None)


def test_what_explained_an_error_before_a_status_not_set_does_not_explain_that_it_is_missing() -> None:
    failed = Look(1.0, "ERROR", "", Finding(reason=WHY))
    steps: list[Look | Wait] = [Look(1.0, "CREATING", ""), failed, Look(1.0, "NULL", ""), *[Look(1.0, None, "")] * 2]
    course = follow(steps, is_configured=True)
    assert course.state is not None
    assert [alert.name for alert in course.state.alerts] == [MISSING]
    assert course.state.reason is None


@given(COURSES, st.booleans())
def test_a_reason_is_told_with_what_it_explains_and_never_with_its_end(
    steps: list[Look | Wait], is_configured: bool
) -> None:
    course = follow(steps, is_configured=is_configured)
    for _, event, after in course.told:
        names = {alert.name for alert in after.alerts}
        assert after.reason is None or names & {ERROR, BUILD_FAILED} or event.to_status == "BUILT"
        if event.reason is not None:
            assert event.kind is not EventKind.RECOVERED or event.to_status == "ERROR"
            assert event.to_status in ("ERROR", "BUILT", "NULL") or event.kind is EventKind.REMINDER or names
    state = course.state
    if state is not None and state.reason is not None:
        assert {ERROR, BUILD_FAILED} & {alert.name for alert in state.alerts}
        assert state.unconfirmed_at is None
