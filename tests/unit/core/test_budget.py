from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from watcher.core.budget import Budget


def spend_all(budget: Budget, now_s: float) -> int:
    count = budget.available(now_s)
    for _ in range(count):
        budget.spend(now_s)
    return count


def test_a_burst_is_paid_back_before_the_next() -> None:
    budget = Budget(requests=180, period_s=60)
    assert spend_all(budget, 0.0) == 180
    assert budget.available(59.9) == 0
    assert budget.free_s(30.0) == 60.0
    assert spend_all(budget, 60.0) == 180


@given(steps=st.lists(st.tuples(st.floats(0, 20), st.integers(0, 30)), max_size=60))
def test_no_stretch_of_a_period_sees_more_than_the_limit(steps: list[tuple[float, int]]) -> None:
    budget, now_s, spent = Budget(requests=50, period_s=60), 0.0, list[float]()
    for wait_s, wanted in steps:
        now_s += wait_s
        for _ in range(min(wanted, budget.available(now_s))):
            budget.spend(now_s)
            spent.append(now_s)
    for began_s in spent:
        assert sum(began_s <= at < began_s + 60 for at in spent) <= 50


def test_what_is_urgent_may_overdraw_and_is_paid_back() -> None:
    budget = Budget(requests=2, period_s=60)
    for now_s in (0.0, 1.0, 2.0):
        budget.spend(now_s)
    assert budget.available(3.0) == 0
    assert budget.free_s(3.0) == 61.0
    assert budget.available(61.0) == 1


def test_throttled_the_pace_is_halved_and_comes_back_slowly() -> None:
    budget = Budget(requests=180, period_s=60)
    budget.throttled(0.0)
    assert budget.pace(0.0) == 0.5
    assert budget.available(0.0) == 90
    assert budget.per_s(0.0) == 1.5
    assert 0.59 < budget.pace(60.0) < 0.61
    assert budget.pace(301.0) == 1.0
    budget.throttled(60.0)
    assert 0.29 < budget.pace(60.0) < 0.31


def test_however_often_it_is_throttled_one_request_remains() -> None:
    budget = Budget(requests=10, period_s=60)
    for _ in range(50):
        budget.throttled(0.0)
    assert budget.available(0.0) == 1


def test_another_rate_counts_what_was_spent() -> None:
    budget = Budget(requests=10, period_s=60.0)
    budget.spend(0.0)
    budget.spend(0.0)
    budget.resize(requests=6, period_s=30.0)
    assert budget.available(1.0) == 4
    assert budget.available(30.0) == 6
