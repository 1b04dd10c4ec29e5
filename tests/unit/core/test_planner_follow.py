"""A schedule that goes on from another."""

from __future__ import annotations

from typing import Any

from watcher.core.planner import Mode, PollPolicy, Schedule

NOW_S = 100.0


def schedule(*ids: str, discovers: bool = False, **policy: Any) -> Schedule:
    return Schedule(PollPolicy(**policy), ids=set(ids), discovers=discovers)


def swept(*ids: str, **policy: Any) -> Schedule:
    """A schedule whose instances, all at rest but the first, were read by one sweep at 90 s."""
    found = schedule(*ids, **policy)
    for key in ids:
        found.set(key, 90.0)
    found.sweep_begins(now_s=90.0, budget_per_s=3.0)
    for key in ids:
        found.seen(key, "BUILDING" if key == ids[0] else "BUILT", asked_s=90.0, factor=1.0)
    found.sweep_ended(pages=1, factor=1.0)
    return found


def due(found: Schedule, now_s: float) -> tuple[bool, tuple[str, ...]]:
    plan = found.plan(now_s=now_s, together_s=0.0)
    return plan.sweep, plan.gets


def test_who_stays_is_due_when_he_was_and_who_comes_at_once() -> None:
    after = schedule("a", "b", "new")
    after.follow(swept("a", "b", "gone"), now_s=NOW_S)
    assert due(after, NOW_S) == (True, ())  # the new one, by a list of one page
    after = schedule("a", "b")
    after.follow(swept("a", "b", "gone"), now_s=NOW_S)
    assert after.next_due_s() == 105.0
    assert due(after, 104.9) == (False, ())
    assert due(after, 105.0) == (True, ())
    after.sweep_begins(now_s=105.0, budget_per_s=3.0)
    after.sweep_ended(pages=1, factor=1.0)
    assert after.next_due_s() == 165.0


def test_shorter_intervals_count_from_now_and_longer_ones_from_the_next_time() -> None:
    after = schedule("a", "b", interval_s=2.0, steady_interval_s=4.0)
    after.follow(swept("a", "b"), now_s=NOW_S)
    assert after.next_due_s() == 102.0
    after = schedule("b", steady_interval_s=4.0)
    after.follow(swept("a", "b"), now_s=NOW_S)
    assert after.next_due_s() == 104.0
    after = schedule("a", "b", interval_s=1000.0, steady_interval_s=2000.0)
    after.follow(swept("a", "b"), now_s=NOW_S)
    assert after.next_due_s() == 105.0


def test_without_the_list_those_who_rode_it_are_due_by_themselves() -> None:
    after = schedule("a", "b", mode=Mode.GET)
    after.follow(swept("a", "b"), now_s=NOW_S)
    assert due(after, 105.0) == (False, ("a",))
    assert due(after, 150.0) == (False, ("a", "b"))


def test_a_list_half_read_is_read_anew() -> None:
    before = swept("a", "b")
    before.sweep_begins(now_s=150.0, budget_per_s=3.0)
    after = schedule("a", "b")
    after.follow(before, now_s=151.0)
    assert due(after, 151.0) == (True, ())
