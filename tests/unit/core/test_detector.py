from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.values import KEY, at, context, history, observation
from watcher.core.detector import detect, is_unchanged
from watcher.core.model import AlertStatus, EventKind, Presence, Reason, Severity
from watcher.core.reasons import Finding


def test_first_sight_is_discovered() -> None:
    state, [event] = history("BUILDING")
    assert (event.kind, event.from_status, event.to_status) == (EventKind.DISCOVERED, None, "BUILDING")
    assert (event.sequence, event.severity, event.duration_s, event.alerts) == (1, Severity.INFO, None, ())
    assert event.previous_observed_at is None
    assert (state.status, state.sequence, state.since) == ("BUILDING", 1, at(0))


def test_first_sight_in_error_fires_the_alert() -> None:
    state, [event] = history("ERROR")
    assert event.severity is Severity.CRITICAL
    [alert] = event.alerts
    assert (alert.name, alert.status, alert.starts_at) == ("error", AlertStatus.FIRING, at(0))
    assert state.alerts == (alert,)


@pytest.mark.parametrize(
    ("before", "after", "inferred", "severity"),
    [
        ("BUILDING", "BUILT", (), Severity.INFO),
        ("CREATING", "BUILT", ("ACTIVE", "BUILDING"), Severity.INFO),
        ("BUILDING", "ERROR", (), Severity.CRITICAL),
        ("BUILT", "DELETING", (), Severity.INFO),
        ("BUILT", "FROBNICATING", (), Severity.INFO),
        ("FROBNICATING", "NULL", (), Severity.INFO),
    ],
)
def test_a_transition(before: str, after: str, inferred: tuple[str, ...], severity: Severity) -> None:
    state, [_, event] = history(before, after)
    assert (event.kind, event.from_status, event.to_status) == (EventKind.TRANSITION, before, after)
    assert (event.inferred, event.severity, event.sequence) == (inferred, severity, 2)
    assert (event.duration_s, event.observed_at, event.previous_observed_at) == (15.0, at(15), None)
    assert (state.status, state.since) == (after, at(15))


def test_the_last_observation_before_the_change_is_told() -> None:
    state, _ = detect(None, observation("BUILDING", 0), context())
    _, [event] = detect(state, observation("BUILT", 60), context(previous_observed_at=at(45)))
    assert event.previous_observed_at == at(45)
    assert event.duration_s == 60.0


def test_a_new_image_without_a_status_seen_between_is_a_build() -> None:
    state, _ = detect(None, observation("BUILT", 0, image_id="one"), context())
    state, [event] = detect(state, observation("BUILT", 15, image_id="two"), context())
    assert (event.kind, event.from_status, event.to_status, event.inferred) == (
        EventKind.TRANSITION,
        "BUILT",
        "BUILT",
        ("BUILDING",),
    )
    assert state.since == at(15)


@pytest.mark.parametrize(("first", "second"), [("", "one"), ("one", ""), ("one", "one")])
def test_an_image_id_that_comes_or_goes_is_no_build(first: str, second: str) -> None:
    state, _ = detect(None, observation("BUILT", 0, image_id=first), context())
    assert detect(state, observation("BUILT", 15, image_id=second), context())[1] == ()


def test_the_error_alert_ends_when_the_error_does() -> None:
    state, [_, began, ended] = history("BUILDING", "ERROR", "BUILDING")
    assert [alert.status for alert in (*began.alerts, *ended.alerts)] == [AlertStatus.FIRING, AlertStatus.RESOLVED]
    assert began.alerts[0].fingerprint == ended.alerts[0].fingerprint
    assert (ended.alerts[0].starts_at, ended.alerts[0].ends_at) == (at(15), at(30))
    assert ended.severity is Severity.CRITICAL  # who was told of the beginning is told of the end
    assert state.alerts == ()


def test_not_set_neither_begins_nor_ends_an_alert() -> None:
    state, events = history("ERROR", "NULL", "ERROR", "ACTIVE")
    assert [len(event.alerts) for event in events] == [1, 0, 0, 1]
    assert state.alerts == ()


def test_gone_while_deleting_is_deleted_at_once() -> None:
    state, events = history("BUILT", "DELETING", None)
    assert (events[-1].kind, events[-1].from_status, events[-1].to_status) == (EventKind.DELETED, "DELETING", None)
    assert state.presence is Presence.DELETED


def test_gone_otherwise_is_believed_when_seen_twice() -> None:
    state, events = history("BUILT", None)
    assert len(events) == 1
    assert (state.presence, state.absences) == (Presence.PRESENT, 1)
    state, events = history("BUILT", None, None)
    assert (events[-1].kind, events[-1].severity) == (EventKind.MISSING, Severity.WARNING)
    assert [alert.name for alert in state.alerts] == ["missing"]


def test_one_absence_between_two_sights_is_forgotten() -> None:
    state, events = history("BUILT", None, "BUILT", None)
    assert len(events) == 1
    assert state.absences == 1


def test_an_instance_that_never_was_is_missing() -> None:
    state, [event] = history(None, None)
    assert (event.kind, event.from_status, event.sequence) == (EventKind.MISSING, None, 1)
    assert state.status is None
    assert history(None, None, None)[1] == [event]


def test_back_from_missing_as_it_was() -> None:
    state, events = history("BUILT", None, None, "BUILT")
    back = events[-1]
    assert (back.kind, back.from_status, back.to_status) == (EventKind.RECOVERED, "BUILT", "BUILT")
    assert [(alert.name, alert.status) for alert in back.alerts] == [("missing", AlertStatus.RESOLVED)]
    assert (state.since, state.alerts) == (at(0), ())


def test_back_from_missing_changed_is_told_as_both() -> None:
    _, events = history("BUILDING", None, None, "ERROR")
    assert [(event.kind, event.to_status) for event in events[-2:]] == [
        (EventKind.RECOVERED, "BUILDING"),
        (EventKind.TRANSITION, "ERROR"),
    ]
    assert [event.sequence for event in events] == [1, 2, 3, 4]


def test_found_after_all() -> None:
    _, events = history(None, None, "ERROR")
    assert (events[-1].kind, events[-1].from_status, events[-1].to_status) == (EventKind.RECOVERED, None, "ERROR")
    assert {(alert.name, alert.status.value) for alert in events[-1].alerts} == {
        ("missing", "resolved"),
        ("error", "firing"),
    }


def test_an_id_used_again_after_deletion_is_discovered() -> None:
    _, events = history("DELETING", None, "CREATING")
    assert (events[-1].kind, events[-1].from_status, events[-1].sequence) == (EventKind.DISCOVERED, None, 3)


def test_the_reason_goes_with_the_error_only() -> None:
    reason = Reason(code="WKS.1", message="sysprep failed", exact=False)
    state, _ = history("BUILDING")
    found = Finding(reason=reason)
    assert detect(state, observation("ERROR", 15), context(finding=found))[1][0].reason == reason
    assert detect(state, observation("DELETING", 15), context(finding=found))[1][0].reason is None


def test_other_fields_of_the_record_are_kept_and_not_told() -> None:
    state, _ = history("BUILT")
    seen = observation("BUILT", 15, name="renamed")
    assert not is_unchanged(state, seen.instance)
    after, events = detect(state, seen, context())
    assert (after.name, events) == ("renamed", ())


def test_news_of_another_life_of_the_watcher_has_another_id() -> None:
    one, _ = detect(None, observation("BUILDING", update_time="2026-01-01T00:00:00Z"), context())
    two, _ = detect(None, observation("BUILDING", update_time="2026-02-01T00:00:00Z"), context())
    [first] = detect(one, observation("BUILT", 1, update_time="2026-01-01T00:24:00Z"), context())[1]
    [second] = detect(two, observation("BUILT", 2, update_time="2026-02-01T00:24:00Z"), context())[1]
    assert first.id != second.id


STATUSES = st.sampled_from(["CREATING", "ACTIVE", "BUILDING", "BUILT", "ERROR", "DELETING", "NULL", "ODD", None])


@given(st.lists(STATUSES, min_size=1, max_size=30))
def test_sequence_has_no_gaps_and_ids_are_unique(statuses: list[str | None]) -> None:
    state, events = history(*statuses)
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    assert state.sequence == len(events)
    assert len({event.id for event in events}) == len(events)


@given(st.lists(STATUSES, min_size=1, max_size=30))
def test_found_again_it_is_the_same_news(statuses: list[str | None]) -> None:
    assert history(*statuses) == history(*statuses)


@given(st.lists(STATUSES, min_size=1, max_size=30))
def test_the_same_again_tells_nothing(statuses: list[str | None]) -> None:
    state, _ = history(*statuses)
    last = statuses[-1]
    if last is not None:
        again = observation(last, 1000)
        assert is_unchanged(state, again.instance)
        after, events = detect(state, again, context())
        assert events == ()
        assert replace(after, observed_at=state.observed_at) == state


@given(st.lists(STATUSES, min_size=1, max_size=40))
def test_every_alert_that_began_ends_or_still_fires(statuses: list[str | None]) -> None:
    state, events = history(*statuses)
    firing: set[str] = set()
    for event in events:
        for alert in event.alerts:
            if alert.status is AlertStatus.FIRING:
                assert alert.fingerprint not in firing
                firing.add(alert.fingerprint)
            else:
                firing.remove(alert.fingerprint)
    assert firing == {alert.fingerprint for alert in state.alerts}


@given(st.lists(STATUSES, min_size=1, max_size=30))
def test_the_told_transitions_are_a_chain(statuses: list[str | None]) -> None:
    _, events = history(*statuses)
    status: str | None = None
    for event in events:
        if event.kind is not EventKind.DISCOVERED:
            assert event.from_status == status
        status = event.to_status if event.to_status is not None else status
        if event.kind is EventKind.DELETED:
            status = None
    assert all(event.key == KEY for event in events)
