import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watcher.core.backoff import Backoff
from watcher.core.planner import PollPolicy, Schedule


def test_nothing_is_due_before_its_time() -> None:
    schedule = Schedule()
    schedule.set("a", 10.0)
    assert schedule.plan(now_s=9.9, together_s=1.0).gets == ()
    assert schedule.next_due_s() == 10.0


def test_most_overdue_first_and_those_close_behind_with_them() -> None:
    schedule = Schedule()
    for key, due_s in {"late": 1.0, "due": 5.0, "soon": 5.9, "later": 6.1}.items():
        schedule.set(key, due_s)
    plan = schedule.plan(now_s=5.0, together_s=1.0)
    assert plan.gets == ("late", "due", "soon")
    assert plan.lag_s == 4.0


def test_an_empty_schedule() -> None:
    assert Schedule().next_due_s() is None
    assert Schedule().plan(now_s=0, together_s=1).gets == ()


def test_a_spread_leaves_what_is_already_planned() -> None:
    schedule = Schedule()
    schedule.set("a", 99.0)
    schedule.spread(["a", "b"], now_s=1.0)
    assert schedule.plan(now_s=1.0, together_s=0).gets == ("b",)


@pytest.mark.parametrize(("status", "base_s"), [("BUILDING", 15.0), ("CREATING", 15.0), ("BUILT", 60.0), (None, 60.0)])
def test_fast_while_changing_slow_at_rest(status: str | None, base_s: float) -> None:
    policy = PollPolicy()
    waits = [policy.interval_for(status, rng=random.Random(seed)) for seed in range(200)]
    assert base_s * 0.9 <= min(waits) < base_s < max(waits) <= base_s * 1.1


@given(st.integers(1, 10_000), st.integers())
def test_backoff_stays_in_bounds(failures: int, seed: int) -> None:
    backoff = Backoff(initial_s=1.0, max_s=300.0)
    assert 0 < backoff.delay_s(failures, rng=random.Random(seed)) <= min(300.0, 2.0 ** min(failures - 1, 20))


def test_retry_after_wins() -> None:
    assert Backoff().delay_s(9, rng=random.Random(1), retry_after_s=2.5) == 2.5
