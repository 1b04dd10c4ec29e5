"""Which builds there were, as the detector's own events tell it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes.stories import Story
from tests.fakes.values import KEY, at, event
from watcher.cli.report.builds import builds_of
from watcher.core.model import Event, EventKind, InstanceKey, Reason

REASON = Reason(code="WKS.0017", message="sysprep failed", exact=True)
STEP_S = 20.0


def seen(*steps: tuple[str | None, float], reason: Reason | None = None, images: bool = True) -> list[Event]:
    """The events of an instance that is in each status for so many seconds, looked at every 20 s.

    Each time it is BUILT it has a new image, unless there are to be no `images`.
    """
    story, events, now, built = Story(), list[Event](), 0.0, 0
    for status, lasts_s in steps:
        built += status == "BUILT" and images
        end = now + lasts_s
        while now < end:
            events += story.see(
                status, now, image_id=f"img-{built}", reason=reason if status in ("ERROR", "BUILT") else None
            )
            now += STEP_S
    return events


def told(events: list[Event]) -> list[tuple[bool, float | None, str | None]]:
    """Of each build: whether it succeeded, how long it took, why it failed."""
    return [
        (build.succeeded, build.duration_s, build.reason.code if build.reason is not None else None)
        for build in builds_of(events)
    ]


def test_a_build_takes_as_long_as_the_instance_is_building() -> None:
    events = seen(
        ("CREATING", 400), ("ACTIVE", 3600), ("BUILDING", 1400), ("BUILT", 100), ("BUILDING", 900), ("BUILT", 20)
    )
    assert told(events) == [(True, 1400, None), (True, 900, None)]


def test_one_that_is_under_way_has_not_ended() -> None:
    assert told(seen(("BUILT", 100), ("BUILDING", 1400))) == []
    assert told(seen(("CREATING", 100), ("ACTIVE", 1400))) == []
    assert told(seen(("BUILT", 100), ("DELETING", 100), (None, 60))) == []


def test_one_that_comes_to_error_has_failed() -> None:
    assert told(seen(("BUILT", 100), ("BUILDING", 600), ("ERROR", 20), reason=REASON)) == [(False, 600, "WKS.0017")]
    assert told(seen(("CREATING", 400), ("ERROR", 20))) == [(False, None, None)]
    assert told(seen(("CREATING", 400), ("ACTIVE", 100), ("ERROR", 20))) == [(False, None, None)]


def test_an_instance_that_breaks_at_rest_is_no_build() -> None:
    assert told(seen(("BUILT", 100), ("ERROR", 40), ("BUILT", 40))) == []


def test_one_whose_job_failed_has_failed_though_it_is_built() -> None:
    events = seen(("BUILT", 100), ("BUILDING", 600), ("BUILT", 20), reason=REASON, images=False)
    assert EventKind.BUILD_FAILED in {each.kind for each in events}
    assert told(events) == [(False, 600, "WKS.0017")]


def test_one_without_a_new_image_has_failed_unless_it_comes_after_all() -> None:
    story, events = Story(), list[Event]()
    for seconds, status in ((0, "BUILT"), (20, "BUILDING"), (1000, "BUILDING"), (1020, "BUILT")):
        events += story.see(status, seconds, image_id="img-1")
    assert told(events) == [(True, 1000, None)]
    events += story.wait(1200)
    assert told(events) == [(False, 1000, None)]
    events += story.see("BUILT", 1300, image_id="img-2")
    assert told(events) == [(True, 1000, None)]
    assert {each.kind for each in events} > {EventKind.BUILD_FAILED, EventKind.RECOVERED}


def test_a_failure_is_of_the_build_before_it_only() -> None:
    again = [*seen(("BUILT", 100), ("BUILDING", 600), ("BUILT", 20)), event(kind=EventKind.BUILD_FAILED, reason=REASON)]
    late = [*again, event(from_status="BUILT", to_status="BUILDING"), event(kind=EventKind.BUILD_FAILED)]
    assert [build.succeeded for build in builds_of(late)] == [False]
    assert builds_of([event(kind=EventKind.BUILD_FAILED)]) == []


def test_one_that_was_passed_unseen_counts_with_no_duration() -> None:
    assert told(seen(("BUILT", 100), ("BUILT", 20))) == [(True, None, None)]
    assert told(seen(("CREATING", 100), ("BUILT", 20))) == [(True, None, None)]


def test_a_duration_that_was_not_seen_from_end_to_end_is_not_known() -> None:
    assert told(seen(("BUILDING", 1000), ("BUILT", 20))) == [(True, None, None)]
    story, events = Story(), list[Event]()
    for seconds, status in ((0, "BUILT"), (20, "BUILDING"), (400, "BUILT")):
        events += story.see(status, seconds, image_id=str(seconds))
    assert told(events) == [(True, None, None)]


def test_of_one_that_began_before_these_events_the_last_one_says_how_long_it_took() -> None:
    events = seen(("BUILT", 100), ("BUILDING", 600), ("BUILT", 20))
    assert told(events[-1:]) == [(True, 600, None)]


@pytest.mark.parametrize("word", ["NULL", "VERIFYING"])
def test_a_word_that_says_nothing_ends_nothing(word: str) -> None:
    events = seen(("BUILT", 100), ("BUILDING", 600), (word, 40), ("BUILDING", 60), (word, 40), ("BUILT", 20))
    [(succeeded, duration_s, _)] = told(events)
    assert (succeeded, duration_s) == (True, 740 if word == "NULL" else 100)


def test_one_that_was_missing_meanwhile_goes_on() -> None:
    events = seen(("BUILT", 100), ("BUILDING", 600), (None, 60), ("BUILDING", 200), ("BUILT", 20))
    assert EventKind.RECOVERED in {each.kind for each in events}
    assert [succeeded for succeeded, *_ in told(events)] == [True]


def test_instances_do_not_disturb_each_other_and_sources_build_nothing() -> None:
    other = InstanceKey("prod", "2")
    events = [
        event(from_status="BUILT", to_status="BUILDING", observed_at=at(0)),
        event(from_status="BUILT", to_status="BUILDING", observed_at=at(50), instance_id=other.id),
        event(observed_at=at(100), previous_observed_at=at(90)),
        event(kind=EventKind.UNREACHABLE, instance_id="", observed_at=at(110)),
        event(observed_at=at(200), previous_observed_at=at(190), to_status="ERROR", instance_id=other.id),
    ]
    ended = [(build.key, build.duration_s, build.succeeded) for build in builds_of(events)]
    assert ended == [(KEY, 100, True), (other, 150, False)]


_STATUSES = st.sampled_from(["CREATING", "ACTIVE", "BUILDING", "BUILT", "ERROR", "DELETING", "NULL", "WHATEVER", None])


@settings(deadline=None)
@given(steps=st.lists(st.tuples(_STATUSES, st.sampled_from([20.0, 40.0, 400.0])), max_size=12))
def test_whatever_happens_builds_are_within_it(steps: list[tuple[str | None, float]]) -> None:
    events = seen(*steps)
    builds = builds_of(events)
    ends = {each.observed_at for each in events}
    assert all(build.ended_at in ends for build in builds)
    assert all(build.duration_s is None or 0 < build.duration_s <= sum(lasts for _, lasts in steps) for build in builds)
    assert len(builds) <= sum(each.to_status in ("BUILT", "ERROR") for each in events)
    assert not any(build.succeeded and build.reason for build in builds)
