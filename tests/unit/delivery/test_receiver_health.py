from __future__ import annotations

import random

from tests.fakes.receivers import refusal
from watcher.core.backoff import Backoff
from watcher.delivery.health import ReceiverHealth


def health() -> ReceiverHealth:
    return ReceiverHealth(backoff=Backoff(initial_s=1.0, max_s=300.0), rng=random.Random(1))


def test_one_never_tried_is_neither_well_nor_down() -> None:
    fresh = health()
    assert (fresh.well, fresh.down, fresh.paused_until_s) == (False, False, 0.0)
    assert fresh.answered() is False
    assert fresh.well


def test_its_first_failure_means_that_it_is_down() -> None:
    fresh = health()
    wait_s, first = fresh.failed("a", refusal(), attempts=1, now_s=100.0)
    assert (fresh.down, first) == (True, True)
    assert 0.1 <= wait_s <= 1.0
    assert fresh.paused_until_s == 100.0 + wait_s


def test_of_one_that_is_well_the_notification_is_suspected_first() -> None:
    known = health()
    known.answered()
    for attempts in range(1, 6):
        wait_s, first = known.failed("a", refusal(), attempts=attempts, now_s=0.0)
        assert (known.down, first, known.paused_until_s) == (False, False, 0.0)
        assert wait_s <= 2.0 ** (attempts - 1)
    assert known.failed("b", refusal(), attempts=1, now_s=0.0)[1] is False
    assert known.failed("c", refusal(), attempts=1, now_s=0.0)[1] is True
    assert known.down


def test_a_good_answer_clears_the_suspicion() -> None:
    known = health()
    for notification in "abcdefgh":
        known.answered()
        known.failed(notification, refusal(), attempts=1, now_s=0.0)
    assert known.well


def test_down_it_is_left_alone_longer_and_longer_and_those_under_way_change_nothing() -> None:
    down = health()
    now_s, pauses = 0.0, []
    for turn in range(12):
        wait_s, first = down.failed(str(turn), refusal(), attempts=1, now_s=now_s)
        assert first is (turn == 0)
        again_s, _ = down.failed(f"{turn} too", refusal(), attempts=1, now_s=now_s)
        assert again_s == wait_s
        pauses.append(wait_s)
        now_s += wait_s
    assert pauses[0] <= 1.0
    assert min(pauses[-2:]) >= 30.0
    assert max(pauses) <= 300.0
    assert down.answered() is True
    assert down.answered() is False


def test_a_wish_to_be_left_alone_is_granted_and_never_shortened() -> None:
    known = health()
    known.answered()
    assert known.failed("a", refusal(retry_after_s=30.0), attempts=1, now_s=0.0) == (30.0, False)
    assert known.paused_until_s == 30.0
    assert known.failed("b", refusal(retry_after_s=5.0), attempts=1, now_s=1.0) == (5.0, False)
    assert known.paused_until_s == 30.0
    known.failed("c", refusal(retry_after_s=-5.0), attempts=1, now_s=2.0)
    assert known.paused_until_s == 30.0
