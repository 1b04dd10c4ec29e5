from __future__ import annotations

import random
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watcher.core.backoff import Backoff
from watcher.core.planner import Mode, Plan, PollPolicy, Schedule, pages_for

FAST_S, SLOW_S = 15.0, 60.0


class Planned:
    """A schedule whose instances are all due at once at the beginning."""

    def __init__(self, *ids: str, mode: Mode = Mode.AUTO, discovers: bool = False) -> None:
        self.ids: set[str] = set()
        self.schedule = Schedule(PollPolicy(mode=mode), ids=self.ids, discovers=discovers)
        for key in ids:
            self.set(key, 0.0)

    def set(self, key: str, due_s: float) -> None:
        self.ids.add(key)
        self.schedule.set(key, due_s)

    def plan(self, now_s: float) -> Plan:
        return self.schedule.plan(now_s=now_s, together_s=1.0)

    def sweep(self, now_s: float, statuses: Mapping[str, str], *, pages: int) -> None:
        """Read the list, which shows these."""
        self.schedule.sweep_begins(now_s=now_s, budget_per_s=3.0)
        assert self.schedule.sweep_counted(pages, now_s=now_s)
        for key, status in statuses.items():
            self.see(key, status, now_s)
        self.schedule.sweep_ended(pages=pages, factor=1.0)

    def see(self, key: str, status: str, now_s: float) -> None:
        self.ids.add(key)
        self.schedule.seen(key, status, asked_s=now_s, factor=1.0)


def ids(count: int) -> list[str]:
    return [f"i{number:05}" for number in range(count)]


def test_nothing_is_due_before_its_time() -> None:
    planned = Planned()
    planned.set("a", 10.0)
    assert not planned.plan(9.9)
    assert planned.schedule.next_due_s() == 10.0


def test_most_overdue_first_and_those_close_behind_with_them() -> None:
    planned = Planned(mode=Mode.GET)
    for key, due_s in {"late": 1.0, "due": 5.0, "soon": 5.9, "later": 6.1}.items():
        planned.set(key, due_s)
    plan = planned.plan(5.0)
    assert plan.gets == ("late", "due", "soon")
    assert plan.lag_s == 4.0


def test_the_first_sweep_is_not_late_however_long_the_machine_is_up() -> None:
    planned = Planned(discovers=True)
    first = planned.plan(86_400.0)
    assert (first.sweep, first.lag_s) == (True, 0.0)


def test_an_empty_schedule() -> None:
    assert Planned().schedule.next_due_s() is None
    assert not Planned().plan(0.0)


@pytest.mark.parametrize(
    ("status", "wait_s"), [("BUILDING", 15.0), ("CREATING", 15.0), ("DELETING", 15.0), ("BUILT", 60.0)]
)
def test_fast_while_changing_slow_at_rest(status: str, wait_s: float) -> None:
    planned = Planned(mode=Mode.GET)
    planned.see("a", status, 100.0)
    assert planned.schedule.next_due_s() == 100.0 + wait_s


def test_one_instance_is_asked_by_itself_and_two_are_worth_a_look_at_the_list() -> None:
    assert Planned("a").plan(0.0) == Plan(gets=("a",))
    assert Planned("a", "b").plan(0.0) == Plan(sweep=True)


def test_many_at_rest_are_one_sweep() -> None:
    planned = Planned(*ids(3000))
    planned.sweep(0.0, dict.fromkeys(ids(3000), "BUILT"), pages=30)
    assert planned.schedule.next_due_s() == SLOW_S
    assert planned.plan(SLOW_S) == Plan(sweep=True)


def test_a_few_that_change_among_many_are_asked_by_themselves() -> None:
    planned = Planned(*ids(3000))
    planned.sweep(0.0, {key: "BUILDING" if key < "i00020" else "BUILT" for key in ids(3000)}, pages=30)
    plan = planned.plan(FAST_S)
    assert not plan.sweep
    assert len(plan.gets) == 20


def test_as_many_as_there_are_pages_are_asked_by_list_which_refreshes_all() -> None:
    planned = Planned(*ids(3000))
    planned.sweep(0.0, {key: "BUILDING" if key < "i00030" else "BUILT" for key in ids(3000)}, pages=30)
    assert planned.plan(FAST_S) == Plan(sweep=True)
    planned.sweep(FAST_S, dict.fromkeys(ids(3000), "BUILT"), pages=30)
    assert planned.schedule.next_due_s() == FAST_S + SLOW_S


def test_few_instances_of_a_long_list_are_asked_by_themselves() -> None:
    planned = Planned(*ids(5))
    assert planned.plan(0.0).sweep  # nobody knows yet how long the list is
    planned.schedule.sweep_begins(now_s=0.0, budget_per_s=3.0)
    assert not planned.schedule.sweep_counted(30, now_s=0.0)
    assert set(planned.plan(0.0).gets) == set(ids(5))
    for key in ids(5):
        planned.see(key, "BUILT", 0.0)
    assert set(planned.plan(SLOW_S).gets) == set(ids(5))


def test_when_the_list_has_grown_too_long_it_is_left() -> None:
    planned = Planned(*ids(50))
    planned.sweep(0.0, dict.fromkeys(ids(50), "BUILT"), pages=1)
    planned.sweep(SLOW_S, dict.fromkeys(ids(50), "BUILT"), pages=50)
    assert planned.plan(2 * SLOW_S).sweep
    planned.schedule.sweep_begins(now_s=2 * SLOW_S, budget_per_s=3.0)
    assert not planned.schedule.sweep_counted(51, now_s=2 * SLOW_S)
    assert len(planned.plan(2 * SLOW_S).gets) == 50


def test_mode_get_never_lists() -> None:
    planned = Planned(*ids(3000), mode=Mode.GET)
    plan = planned.plan(0.0)
    assert not plan.sweep
    assert len(plan.gets) == 3000


def test_mode_list_lists_even_for_one() -> None:
    planned = Planned("a", mode=Mode.LIST)
    assert planned.plan(0.0) == Plan(sweep=True)
    planned.sweep(0.0, {"a": "BUILDING"}, pages=30)
    assert planned.plan(FAST_S) == Plan(sweep=True)


@pytest.mark.parametrize("mode", [Mode.AUTO, Mode.LIST])
def test_what_the_list_does_not_show_is_asked_by_itself(mode: Mode) -> None:
    planned = Planned("a", "b", "c", mode=mode)
    planned.sweep(0.0, dict.fromkeys("ab", "BUILT"), pages=1)
    planned.schedule.unlisted("c", now_s=1.0)
    assert planned.plan(1.0) == Plan(gets=("c",))
    planned.see("c", "BUILT", 5.0)
    planned.schedule.unlisted("c", now_s=6.0)  # known already: no reason to hurry
    assert planned.plan(SLOW_S) == Plan(sweep=True, gets=())
    planned.sweep(SLOW_S, dict.fromkeys("ab", "BUILT"), pages=1)
    assert planned.plan(SLOW_S + 5.0) == Plan(gets=("c",))


def test_a_list_that_showed_nobody_is_read_again_after_a_while() -> None:
    planned = Planned("a", "b", "c")
    planned.sweep(0.0, {}, pages=1)
    for key in planned.ids:
        planned.schedule.unlisted(key, now_s=0.0)
    now_s, sweeps = 0.0, 0
    while now_s < 20 * SLOW_S:
        plan = planned.plan(now_s)
        if plan.sweep:
            sweeps += 1
            planned.sweep(now_s, {}, pages=1)
            for key in planned.ids:
                planned.schedule.unlisted(key, now_s=now_s)
        for key in plan.gets:
            planned.see(key, "BUILT", now_s)
        now_s = planned.schedule.next_due_s() or now_s
    assert 5 <= sweeps <= 7


def test_a_sweep_takes_no_due_time_but_of_those_who_wait_for_it() -> None:
    planned = Planned("due", "due too", "unlisted", "later")
    planned.schedule.unlisted("unlisted", now_s=0.0)
    planned.set("later", 40.0)
    planned.schedule.sweep_begins(now_s=0.0, budget_per_s=3.0)
    planned.schedule.sweep_ended(pages=1, factor=1.0)
    assert planned.plan(0.0) == Plan(gets=("unlisted",))
    planned.see("unlisted", "BUILT", 0.0)
    assert planned.schedule.next_due_s() == 40.0


def test_leaving_the_list_moves_nobody_who_has_a_due_time() -> None:
    planned = Planned("rides", "rides too")
    planned.set("later", 40.0)
    planned.schedule.sweep_begins(now_s=0.0, budget_per_s=3.0)
    planned.schedule.avoid_list(now_s=5.0)
    assert set(planned.plan(5.0).gets) == {"rides", "rides too"}


def test_discovery_reads_the_list_whatever_it_costs_and_gets_are_by_get() -> None:
    planned = Planned("a", mode=Mode.GET, discovers=True)
    plan = planned.plan(0.0)
    assert (plan.sweep, plan.gets) == (True, ("a",))
    planned = Planned(discovers=True)
    assert planned.plan(0.0) == Plan(sweep=True)
    planned.sweep(0.0, {}, pages=100)
    assert planned.schedule.next_due_s() == SLOW_S


def test_with_discovery_a_few_that_change_do_not_have_the_list_read_for_them() -> None:
    planned = Planned(*ids(300), discovers=True)
    planned.sweep(0.0, {key: "BUILDING" if key < "i00001" else "BUILT" for key in ids(300)}, pages=3)
    assert planned.plan(FAST_S) == Plan(gets=("i00000",))


def test_during_a_long_sweep_the_changing_ones_are_still_asked() -> None:
    planned = Planned(*ids(100))
    planned.sweep(0.0, {key: "BUILDING" if key < "i00003" else "BUILT" for key in ids(100)}, pages=90)
    planned.schedule.sweep_begins(now_s=SLOW_S, budget_per_s=3.0)  # 90 pages take 30 s, longer than the interval
    plan = planned.plan(SLOW_S)
    assert not plan.sweep
    assert len(plan.gets) == 3


def test_while_one_sweep_is_under_way_no_other_begins() -> None:
    planned = Planned(*ids(100))
    planned.sweep(0.0, dict.fromkeys(ids(100), "BUILDING"), pages=90)
    planned.schedule.sweep_begins(now_s=FAST_S, budget_per_s=0.1)
    plan = planned.plan(FAST_S)
    assert not plan.sweep
    assert len(plan.gets) == 100


def test_a_short_sweep_is_waited_for_by_the_changing_ones() -> None:
    planned = Planned(*ids(100))
    planned.sweep(0.0, dict.fromkeys(ids(100), "BUILDING"), pages=10)
    planned.schedule.sweep_begins(now_s=FAST_S, budget_per_s=3.0)  # 10 pages take 4 s
    assert not planned.plan(FAST_S)


def test_when_too_few_are_left_for_the_list_each_is_asked_at_its_interval() -> None:
    planned = Planned(*ids(30))
    planned.sweep(0.0, dict.fromkeys(ids(30), "BUILT"), pages=30)
    for key in ids(30)[10:]:
        planned.ids.remove(key)
        planned.schedule.forget(key)
    assert planned.plan(SLOW_S) == Plan(gets=tuple(ids(10)))
    for key in ids(10):
        planned.see(key, "BUILT", SLOW_S)
    assert planned.schedule.next_due_s() == 2 * SLOW_S


def test_a_sweep_that_came_to_nothing_is_due_again() -> None:
    planned = Planned("a", "b")
    planned.schedule.sweep_begins(now_s=0.0, budget_per_s=3.0)
    assert planned.schedule.next_due_s() is None
    planned.schedule.sweep_failed(again_s=7.0)
    assert planned.schedule.next_due_s() == 7.0
    assert planned.plan(7.0).sweep


def test_a_list_that_is_avoided_is_not_read_until_it_is_allowed() -> None:
    planned = Planned("a", "b", "c")
    planned.schedule.sweep_begins(now_s=0.0, budget_per_s=3.0)
    planned.schedule.avoid_list(now_s=1.0)
    assert set(planned.plan(1.0).gets) == {"a", "b", "c"}
    planned.schedule.allow_list()
    assert planned.plan(1.0).sweep


def test_what_is_forgotten_is_not_asked() -> None:
    planned = Planned("a", "b")
    planned.ids.remove("a")
    planned.schedule.forget("a")
    assert planned.plan(0.0).gets == ("b",)


def test_intervals_are_stretched_alike() -> None:
    planned = Planned(mode=Mode.GET)
    planned.schedule.stretch = 4.0
    planned.see("fast", "BUILDING", 0.0)
    planned.see("slow", "BUILT", 0.0)
    assert planned.plan(60.0).gets == ("fast",)
    assert planned.plan(240.0).gets == ("fast", "slow")


def test_a_cycle_s_jitter_and_the_stretch_move_every_interval() -> None:
    planned = Planned("fast", "slow")
    planned.schedule.stretch = 4.0
    planned.schedule.sweep_begins(now_s=0.0, budget_per_s=3.0)
    planned.schedule.sweep_ended(pages=1, factor=0.5)
    assert planned.schedule.next_due_s() == SLOW_S * 4.0 * 0.5
    planned = Planned(mode=Mode.GET)
    planned.ids |= {"fast", "slow"}
    planned.schedule.seen("fast", "BUILDING", asked_s=0.0, factor=0.5)
    planned.schedule.seen("slow", "BUILT", asked_s=0.0, factor=0.5)
    assert planned.schedule._own_s == {"fast": FAST_S * 0.5, "slow": SLOW_S * 0.5}


class TestDemand:
    def told(self, planned: Planned) -> str:
        demand = planned.schedule.demand()
        assert demand is not None
        return demand.told(PollPolicy(), budget_per_s=3.0)

    def test_in_get_mode(self) -> None:
        planned = Planned(mode=Mode.GET)
        for key in ids(1200):
            planned.see(key, "BUILDING", 0.0)
        assert self.told(planned) == "1,200 instances at 15s need 4,800 requests a minute in get mode; budget 180"

    def test_in_list_mode(self) -> None:
        planned = Planned(mode=Mode.LIST)
        planned.sweep(0.0, {key: "BUILDING" if key < "i00010" else "BUILT" for key in ids(200)}, pages=1000)
        told = "10 instances at 15s and 190 at 60s need 4,000 requests a minute in list mode; budget 180"
        assert self.told(planned) == told

    def test_auto_takes_the_cheaper(self) -> None:
        planned = Planned(*ids(300))
        planned.sweep(0.0, {key: "BUILDING" if key < "i00001" else "BUILT" for key in ids(300)}, pages=3)
        demand = planned.schedule.demand()
        assert demand is not None
        assert demand.requests_per_s == pytest.approx(3 / 60 + 1 / 15)
        assert demand.mode is Mode.LIST

    def test_what_is_forgotten_wants_nothing(self) -> None:
        planned = Planned(mode=Mode.GET)
        planned.see("a", "BUILDING", 0.0)
        planned.ids.remove("a")
        planned.schedule.forget("a")
        demand = planned.schedule.demand()
        assert demand is not None
        assert (demand.changing, demand.resting, demand.requests_per_s) == (0, 0, 0.0)

    def test_what_is_forgotten_is_not_reckoned_apart_from_the_list(self) -> None:
        planned = Planned("a", "b")
        planned.sweep(0.0, dict.fromkeys("ab", "BUILT"), pages=1)
        before = planned.schedule.demand()
        planned.see("c", "BUILT", 0.0)
        planned.schedule.unlisted("c", now_s=0.0)
        planned.ids.remove("c")
        planned.schedule.forget("c")
        assert planned.schedule.demand() == before

    def test_it_is_not_known_before_the_list_is(self) -> None:
        assert Planned("a", "b").schedule.demand() is None


@given(
    statuses=st.dictionaries(st.sampled_from(ids(40)), st.sampled_from(["BUILDING", "BUILT"]), min_size=1),
    seed=st.integers(),
)
def test_every_instance_is_always_awaited(statuses: dict[str, str], seed: int) -> None:
    """Whatever was seen by whatever means, each instance has a due time of its own or waits for a sweep."""
    rng = random.Random(seed)
    planned = Planned(*statuses)
    now_s = 0.0
    for _ in range(20):
        plan = planned.plan(now_s)
        asked = set(plan.gets)
        if plan.sweep:
            planned.schedule.sweep_begins(now_s=now_s, budget_per_s=3.0)
            if planned.schedule.sweep_counted(rng.choice([1, 5, 30]), now_s=now_s):
                asked |= set(statuses)
                planned.schedule.sweep_ended(pages=2, factor=1.0)
        for key in asked:
            planned.see(key, statuses[key], now_s)
        next_s = planned.schedule.next_due_s()
        assert next_s is not None
        assert next_s <= now_s + SLOW_S
        now_s = max(now_s, next_s)
    assert set(planned.schedule._own_s) <= set(statuses)


def test_a_page_is_a_hundred() -> None:
    assert [pages_for(count) for count in (0, 1, 100, 101, 3000)] == [1, 1, 1, 2, 30]


@given(st.integers(1, 10_000), st.integers())
def test_backoff_stays_in_bounds(failures: int, seed: int) -> None:
    backoff = Backoff(initial_s=1.0, max_s=300.0)
    assert 0 < backoff.delay_s(failures, rng=random.Random(seed)) <= min(300.0, 2.0 ** min(failures - 1, 20))


def test_retry_after_wins() -> None:
    assert Backoff().delay_s(9, rng=random.Random(1), retry_after_s=2.5) == 2.5
