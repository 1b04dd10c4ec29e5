"""What the simulation found, each as the small case that it is."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from tests.fakes.values import at, event, history
from watcher.core.maintenance import Window
from watcher.core.model import AlertStatus, Delivery, InstanceKey
from watcher.core.ports import Waiting
from watcher.core.routing import Matcher
from watcher.delivery.judge import judge
from watcher.delivery.parcels import Parcel, choose
from watcher.delivery.sender import _halves


def waiting(number: int, instance_id: str, digest_id: str | None = None) -> Waiting:
    return Waiting(id=number, key=InstanceKey("prod", instance_id), digest_id=digest_id, size=100)


def delivery(number: int, **changes: object) -> Delivery:
    told = event(**changes)
    return Delivery(id=number, receiver="hooks", event=told, attempts=0, queued_at=at(0), next_attempt_at=at(0))


def test_what_is_loose_and_older_than_a_digest_goes_first_when_each_waits_for_the_other() -> None:
    stuck = [waiting(1, "a"), waiting(2, "b", "dig_1"), waiting(3, "a", "dig_1"), waiting(4, "b"), waiting(5, "a")]
    parcels = choose(stuck, busy=(), room=1, is_idle=True, digest_over=2, digest_bytes=None)
    assert parcels == [Parcel((1,))]


def test_an_end_is_not_told_because_an_earlier_alert_of_the_same_name_was() -> None:
    _, told = history("BUILDING", "ERROR", "BUILT", "ERROR", "BUILT")
    first, _, _, second_end = told[1:]
    deliveries = [
        replace(delivery(number), event=each, is_routed=each is first)
        for number, each in enumerate((first, second_end))
    ]
    verdicts = judge(deliveries, send_resolved=True, why_quiet=lambda _: None)
    assert [verdict.suppression is None for verdict in verdicts] == [True, False]
    [sent] = [verdict.delivery for verdict in verdicts if verdict.suppression is None]
    assert [alert.status for alert in sent.event.alerts] == [AlertStatus.FIRING]


@pytest.mark.parametrize("ids", ["ab", "aabb", "abab", "aaab", "baaa", "abcabc", "aaaaab"])
def test_no_instance_is_in_both_halves(ids: str) -> None:
    parcel = [delivery(number, instance_id=instance_id) for number, instance_id in enumerate(ids)]
    first, second = ([each.event.key for each in half] for half in _halves(parcel))
    assert first
    assert second
    assert not set(first) & set(second)
    assert len(first) + len(second) == len(parcel)


def test_of_one_instance_the_second_half_goes_one_by_one() -> None:
    parcel = [delivery(number) for number in range(5)]
    assert [[each.id for each in half] for half in _halves(parcel)] == [[0, 1], [2], [3], [4]]


def test_a_window_that_is_always_on_ends_more_than_a_year_ahead() -> None:
    always = Window(
        name="always",
        days=frozenset(range(7)),
        start=time(0),
        duration=timedelta(days=1),
        timezone=ZoneInfo("UTC"),
        match=Matcher(),
    )
    now = datetime(2026, 1, 1, 12, tzinfo=UTC)
    ends_at = always.ends_at(now)
    assert ends_at is not None
    assert ends_at > now + timedelta(days=366)
