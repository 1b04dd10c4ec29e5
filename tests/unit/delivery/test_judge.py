"""Who is told what: the table of the silence stage."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.fakes.values import at, event, history, observation, outage
from watcher.core.alerts import AlertRules
from watcher.core.detector import detect
from watcher.core.model import Alert, AlertStatus, Delivery, Event, EventKind, Suppression
from watcher.core.news import Context
from watcher.core.quiet import Held
from watcher.core.timers import ring
from watcher.delivery.judge import as_judged, judge

FAILED, BETTER = history("BUILDING", "ERROR", "BUILDING")[1][1:]
FINGERPRINT = FAILED.alerts[0].fingerprint
DOWN, UP = outage()


def delivery(told: Event, **more: Any) -> Delivery:
    given = {"id": told.sequence, "receiver": "hooks", "attempts": 0, "queued_at": at(0), "next_attempt_at": at(0)}
    return Delivery(event=told, **{**given, **more})


def verdicts(
    *deliveries: Delivery, send_resolved: bool = True, quiet: bool = False
) -> list[Suppression | list[tuple[str, str]]]:
    """For each why it is kept back, or the alerts that are told with it."""
    held = Held(reason=Suppression.SILENCE, by="silence sil_1 by ann: upgrade") if quiet else None
    found = judge(deliveries, send_resolved=send_resolved, why_quiet=lambda _: held)
    return [
        each.suppression or [(alert.name, alert.status.value) for alert in each.delivery.event.alerts] for each in found
    ]


def owed(*events: Event) -> frozenset[str]:
    return frozenset(alert.fingerprint for each in events for alert in each.alerts)


@pytest.mark.parametrize("kind", [EventKind.TRANSITION, EventKind.DELETED, EventKind.STUCK, EventKind.DISCOVERED])
def test_news_is_told(kind: EventKind) -> None:
    assert verdicts(delivery(event(kind=kind))) == [[]]


def test_news_is_kept_back_while_it_is_quiet_with_the_word_of_who_wanted_it() -> None:
    held = Held(reason=Suppression.SILENCE, by="silence sil_1 by ann: upgrade")
    [verdict] = judge([delivery(event())], send_resolved=True, why_quiet=lambda _: held)
    assert (verdict.suppression, verdict.held_by) == (Suppression.SILENCE, "silence sil_1 by ann: upgrade")


def test_what_was_tried_before_the_quiet_goes_on_being_tried() -> None:
    assert verdicts(delivery(event(), attempts=1), quiet=True) == [[]]


def test_an_end_is_told_to_who_was_told_of_the_alert_whatever_is_quiet() -> None:
    resolved = [("error", "resolved")]
    assert verdicts(delivery(BETTER, owed=owed(FAILED))) == [resolved]
    assert verdicts(delivery(BETTER, owed=owed(FAILED)), quiet=True) == [resolved]
    assert verdicts(delivery(BETTER, owed=owed(FAILED), is_routed=False), quiet=True) == [resolved]


def test_an_end_is_not_told_to_who_was_not_told_of_the_alert() -> None:
    assert verdicts(delivery(BETTER)) == [[]]  # the change is news of its own
    assert verdicts(delivery(BETTER, is_routed=False)) == [Suppression.NEVER_FIRED]
    assert verdicts(delivery(UP)) == [Suppression.NEVER_FIRED]
    assert verdicts(delivery(BETTER), quiet=True) == [Suppression.SILENCE]


def test_an_end_is_told_with_its_beginning() -> None:
    both = (delivery(DOWN), delivery(UP))
    assert verdicts(*both) == [[("unreachable", "firing")], [("unreachable", "resolved")]]
    assert verdicts(*both, quiet=True) == [Suppression.SILENCE, Suppression.NEVER_FIRED]


def test_who_wants_no_ends_is_told_none() -> None:
    assert verdicts(delivery(UP, owed=owed(DOWN)), send_resolved=False) == [Suppression.SEND_RESOLVED]
    assert verdicts(delivery(BETTER, owed=owed(FAILED)), send_resolved=False) == [[]]
    unrouted = delivery(BETTER, owed=owed(FAILED), is_routed=False)
    assert verdicts(unrouted, send_resolved=False) == [Suppression.SEND_RESOLVED]
    assert verdicts(delivery(DOWN), delivery(UP), send_resolved=False) == [
        [("unreachable", "firing")],
        Suppression.SEND_RESOLVED,
    ]


def test_a_change_while_flapping_is_kept_back_unless_it_ends_what_was_told() -> None:
    marked = replace(FAILED, flapping=True)
    assert verdicts(delivery(marked)) == [Suppression.FLAPPING]
    ended = replace(BETTER, flapping=True)
    assert verdicts(delivery(ended, owed=owed(FAILED))) == [[("error", "resolved")]]
    assert verdicts(delivery(marked), delivery(ended)) == [Suppression.FLAPPING, Suppression.FLAPPING]


def test_a_reminder_is_kept_back_when_all_it_reminds_of_is_taken_on() -> None:
    reminder = event(kind=EventKind.REMINDER, alerts=(FAILED.alerts[0], DOWN.alerts[0]))
    assert verdicts(delivery(reminder, acknowledged=owed(FAILED, DOWN))) == [Suppression.ACKNOWLEDGED]
    assert verdicts(delivery(reminder, acknowledged=owed(FAILED))) == [[("error", "firing"), ("unreachable", "firing")]]


def test_the_end_of_flapping_is_told_when_its_beginning_was_or_something_still_fires() -> None:
    rules, state = AlertRules(repeat_interval_s=0.0, stuck_after_s={}), None
    told: list[Event] = []
    for turn in range(9):
        seen = observation("ERROR" if turn % 2 else "BUILDING", turn * 10)
        state, events = detect(state, seen, Context(rules=rules))
        told += events
    assert state is not None
    [begun] = [each for each in told if each.kind is EventKind.FLAPPING]
    _, [calm] = ring(state, now=at(9999), context=Context(rules=rules))
    assert verdicts(delivery(calm)) == [Suppression.NEVER_FIRED]
    assert verdicts(delivery(calm, owed=owed(begun))) == [[("flapping", "resolved")]]
    firing = Alert(
        name="error",
        fingerprint="f" * 16,
        status=AlertStatus.FIRING,
        severity=calm.severity,
        starts_at=at(80),
    )
    with_error = replace(calm, alerts=(*calm.alerts, firing))
    assert verdicts(delivery(with_error)) == [[("error", "firing")]]


def test_a_digest_says_the_same_at_every_try() -> None:
    deliveries = [delivery(DOWN), delivery(UP), delivery(BETTER)]
    first = [each.delivery for each in judge(deliveries, send_resolved=True, why_quiet=lambda _: None)]
    assert as_judged(deliveries, send_resolved=True) == first
    assert [len(each.event.alerts) for each in first] == [1, 1, 0]
