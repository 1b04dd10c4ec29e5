"""Polling by list: pages, absences, discovery, budget."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.fakes.cloud import Answer
from tests.fakes.polling import AUTO, BY_GET, Bench
from tests.fakes.values import START, at, built, failed_step, history, instance
from watcher.core.errors import (
    CloudAuthError,
    CloudEndpointError,
    CloudError,
    CloudMalformedError,
    CloudPermissionError,
    CloudThrottledError,
    CloudUnavailableError,
)
from watcher.core.facts import (
    BudgetMet,
    BudgetShort,
    CycleFinished,
    InstanceFailed,
    ItemsUnreadable,
    ListAvoided,
    Observed,
    SourceFailed,
    SourceRecovered,
    StoreFailed,
    StoreRecovered,
)
from watcher.core.model import Instance, InstanceKey, Observation, Presence
from watcher.core.planner import Mode
from watcher.core.ports import Change, InstancePage
from watcher.core.watchlist import DiscoverRule

EVERYTHING = (DiscoverRule(labels={"found": "yes"}),)
DOWN = CloudUnavailableError("no answer within 10 s")


def many(count: int, status: str = "BUILT") -> dict[str, list[str]]:
    return {f"i{number:05}": [status] for number in range(count)}


async def test_three_thousand_at_rest_cost_thirty_requests_a_minute() -> None:
    bench = Bench(many(3000), policy=AUTO)
    await bench.poller.start()
    for _ in range(5):
        bench.cloud.pages_asked.clear()
        bench.facts.clear()
        await bench.cycles(1)
        assert len(bench.cloud.pages_asked) == 30
        assert sum(fact.count for fact in bench.seen(Observed)) == 3000
        await bench.clock.advance(60)
    assert bench.cloud.asked == []
    assert len(bench.store.events) == 3000


async def test_pages_are_asked_together_after_the_first() -> None:
    bench = Bench(many(1000), policy=AUTO)
    await bench.poller.start()
    under_way: list[int] = []
    bench.cloud.on_page = under_way.append
    bench.cloud.gate = asyncio.Event()
    cycle = asyncio.create_task(bench.poller.cycle())
    await bench.clock.settle()
    assert under_way == [0]
    gate, bench.cloud.gate = bench.cloud.gate, asyncio.Event()
    gate.set()
    await bench.clock.settle()
    assert under_way == [0, 100, 200, 300, 400]
    bench.cloud.gate.set()
    await cycle
    assert sorted(under_way) == list(range(0, 1000, 100))


async def test_a_change_on_a_page_is_told_with_both_times() -> None:
    bench = Bench(many(300, "BUILDING"), policy=AUTO)
    await bench.poller.start()
    await bench.cycles(3)
    bench.cloud.script("i00150", "BUILT")
    await bench.cycles(2)
    change = bench.store.events[-1]
    assert (change.instance_id, change.from_status, change.to_status) == ("i00150", "BUILDING", "BUILT")
    assert change.observed_at - (change.previous_observed_at or START) == timedelta(seconds=15)
    assert len(bench.store.events) == 301
    assert bench.store.commits <= 1 + 3 + 1  # one for each batch of first sights, one for the change


async def test_what_was_at_rest_and_changes_is_followed_closely() -> None:
    bench = Bench(many(300), policy=AUTO)
    await bench.poller.start()
    await bench.cycles(1)
    bench.cloud.script("i00007", "BUILDING")
    await bench.clock.advance(60)
    assert await bench.poller.cycle() == 15.0
    await bench.clock.advance(15)
    await bench.poller.cycle()
    assert bench.cloud.asked == ["i00007"]  # one is cheaper than three pages
    bench.cloud.script("i00007", built("i00007"))
    await bench.clock.advance(15)
    assert await bench.poller.cycle() == 30.0  # at rest again it waits for the next sweep


async def test_an_instance_the_list_skips_is_asked_for_and_is_not_missing() -> None:
    bench = Bench(many(250), policy=AUTO)
    bench.cloud.listed.remove("i00123")  # it slipped from one page to the other while they were read
    await bench.poller.start()
    await bench.cycles(2)
    assert bench.cloud.asked == ["i00123"]
    bench.cloud.listed.insert(123, "i00123")
    await bench.cycles(5)
    assert {event.kind.value for event in bench.store.events} == {"discovered"}
    assert bench.cloud.asked.count("i00123") <= 2  # on the list again it rides with the others


async def test_an_id_on_two_pages_is_one_instance() -> None:
    bench = Bench(many(150), policy=AUTO)
    bench.cloud.listed.insert(100, "i00099")
    await bench.poller.start()
    await bench.cycles(4)
    assert len(bench.store.events) == 150


async def test_gone_from_the_list_it_is_missing_after_two_answers_of_its_own() -> None:
    bench = Bench(many(250), policy=AUTO)
    await bench.poller.start()
    await bench.cycles(1)
    bench.cloud.script("i00005", None)
    await bench.clock.advance(60)
    await bench.cycles(2)
    assert bench.cloud.asked == ["i00005"]
    assert len(bench.store.events) == 250  # one "no such instance" is not believed
    await bench.clock.advance(15)
    await bench.cycles(1)
    assert bench.told()[-1] == ("missing", "BUILT", None)
    assert len(bench.store.events) == 251


@pytest.mark.parametrize("failure", [DOWN, CloudMalformedError("HTML"), CloudEndpointError("404 APIGW.0101")])
async def test_one_page_that_fails_is_no_absence(failure: CloudError) -> None:
    bench = Bench(many(500), policy=AUTO)
    await bench.poller.start()
    await bench.cycles(1)
    bench.cloud.page_failures[200] = failure
    await bench.clock.advance(60)
    await bench.cycles(2)
    assert bench.cloud.pages_asked.count(200) == 1 + 3
    assert sorted(bench.cloud.asked) == [f"i{number:05}" for number in range(200, 300)]  # seen all the same
    assert not bench.seen(SourceFailed)
    assert {state.presence for state in bench.poller.states()} == {Presence.PRESENT}
    bench.cloud.page_failures.clear()
    bench.cloud.asked.clear()
    bench.cloud.script("i00222", "ERROR")
    await bench.clock.advance(60)
    await bench.cycles(3)
    assert bench.told()[-1] == ("transition", "BUILT", "ERROR")
    assert len(bench.store.events) == 501


async def test_one_bad_item_does_not_spoil_its_page() -> None:
    bench = Bench({**many(150), "i00077": [CloudMalformedError("no status")]}, policy=AUTO)
    await bench.poller.start()
    await bench.cycles(8)
    assert len(bench.store.events) == 149
    assert [fact.first for fact in bench.seen(InstanceFailed)][:2] == [True, False]
    assert not bench.seen(SourceFailed)
    (unreadable,) = bench.seen(ItemsUnreadable)  # the edge alone
    assert unreadable.items == ["item 77 (id i00077): no status"]
    assert bench.poller.view().stale == 1
    bench.cloud.script("i00077", "BUILT")
    await bench.clock.advance(60)
    await bench.cycles(1)
    assert bench.poller.view().stale == 0
    assert len(bench.store.events) == 150


async def test_an_outage_costs_one_request_at_a_time_and_tells_of_no_instance() -> None:
    bench = Bench(many(1000), policy=AUTO)
    await bench.poller.start()
    await bench.cycles(1)
    bench.cloud.page_failures = dict.fromkeys(range(0, 1000, 100), DOWN)
    for key in bench.ids:
        bench.cloud.script(key, DOWN)
    bench.cloud.pages_asked.clear()
    await bench.clock.advance(60)
    await bench.cycles(8)
    assert len(bench.seen(SourceFailed)) == len(bench.cloud.pages_asked) + len(bench.cloud.asked) == 8
    assert [fact.first for fact in bench.seen(SourceFailed)] == [True] + [False] * 7
    assert not bench.seen(InstanceFailed)
    assert bench.poller.view().stale == 1000
    bench.cloud.page_failures.clear()
    for key in bench.ids:
        bench.cloud.script(key, "BUILT")
    await bench.cycles(3)
    assert len(bench.seen(SourceRecovered)) == 1
    assert bench.poller.view().stale == 0
    assert len(bench.store.events) == 1000
    assert not bench.seen(ListAvoided)


async def test_an_outage_in_the_middle_of_the_list_is_no_absence() -> None:
    bench = Bench(many(1000), policy=AUTO)
    await bench.poller.start()
    await bench.cycles(1)
    bench.cloud.page_failures = dict.fromkeys(range(100, 1000, 100), DOWN)
    await bench.clock.advance(60)
    await bench.cycles(1)
    assert len(bench.seen(SourceFailed)) == 1
    assert bench.cloud.asked == []
    bench.cloud.page_failures.clear()
    await bench.cycles(3)
    assert len(bench.store.events) == 1000
    assert bench.cloud.asked == []


async def test_unreachable_is_told_once_and_recovered_once() -> None:
    bench = Bench(many(200), policy=AUTO)
    await bench.poller.start()
    await bench.cycles(1)
    bench.cloud.page_failures = {0: DOWN, 100: DOWN}
    bench.cloud.default = DOWN
    for key in bench.ids:
        bench.cloud.script(key, DOWN)
    await bench.clock.advance(60)
    while bench.clock.monotonic() < 2000:
        await bench.cycles(2)
    down = bench.store.events[-1]
    assert bench.told()[200:] == [("unreachable", None, None)]
    assert (down.observed_at, down.duration_s) == (at(360), 300.0)
    assert down.alerts[0].name == "unreachable"
    assert bench.poller.view().alerts == down.alerts
    bench.poller = bench.fresh_poller()  # a restart in the outage tells nothing again
    await bench.poller.start()
    await bench.clock.advance(900)
    await bench.cycles(3)
    assert len(bench.store.events) == 201
    bench.cloud.page_failures = {}
    for key in bench.ids:
        bench.cloud.script(key, "BUILT")
    await bench.clock.advance(300)
    await bench.cycles(3)
    assert bench.told()[200:] == [("unreachable", None, None), ("recovered", None, None)]
    assert bench.store.events[-1].sequence == 2
    assert bench.store.events[-1].alerts[0].fingerprint == down.alerts[0].fingerprint
    assert bench.poller.view().alerts == ()


async def test_a_short_outage_is_not_told() -> None:
    bench = Bench(many(2), policy=AUTO)
    await bench.poller.start()
    await bench.cycles(1)
    bench.cloud.page_failures = {0: DOWN}
    for key in bench.ids:
        bench.cloud.script(key, DOWN)
    await bench.clock.advance(60)
    while bench.clock.monotonic() < 200:
        await bench.cycles(2)
    bench.cloud.page_failures = {}
    for key in bench.ids:
        bench.cloud.script(key, "BUILT")
    bench.poller._health.end_pause()
    await bench.cycles(3)
    assert len(bench.store.events) == 2


async def test_a_list_that_may_not_be_read_is_done_without() -> None:
    bench = Bench(many(20), policy=AUTO)
    bench.cloud.page_failures = {0: CloudPermissionError("no permission", http_status=403)}
    await bench.poller.start()
    await bench.cycles(4)
    assert len(bench.store.events) == 20
    assert len(bench.seen(ListAvoided)) == 1
    assert not bench.seen(SourceFailed)
    while bench.clock.monotonic() < 3000:
        await bench.cycles(2)
    assert len(bench.seen(ListAvoided)) == 1  # the edge alone
    assert 6 <= len(bench.cloud.pages_asked) <= 9  # tried again after 1, 2, 4, 8 and then every 10 minutes
    bench.cloud.page_failures = {}
    while bench.clock.monotonic() < 4000:
        await bench.cycles(2)
    bench.cloud.asked.clear()
    await bench.cycles(5)
    assert bench.cloud.asked == []


async def test_a_list_that_fails_while_instances_answer_is_done_without() -> None:
    bench = Bench(many(20), policy=AUTO)
    await bench.poller.start()
    await bench.cycles(1)
    bench.cloud.page_failures = {0: DOWN}
    await bench.clock.advance(60)
    await bench.cycles(5)
    assert len(bench.seen(ListAvoided)) == 1
    bench.cloud.script("i00007", "ERROR")
    await bench.clock.advance(60)
    await bench.cycles(2)
    assert bench.told()[-1] == ("transition", "BUILT", "ERROR")


async def test_with_discovery_a_list_that_may_not_be_read_is_a_failure_of_the_source() -> None:
    bench = Bench(many(20), policy=AUTO, discover=EVERYTHING)
    bench.cloud.page_failures = {0: CloudPermissionError("no permission", http_status=403)}
    await bench.poller.start()
    await bench.cycles(1)
    assert len(bench.seen(SourceFailed)) == 1


class TestDiscovery:
    async def test_new_instances_are_watched_from_first_sight(self) -> None:
        bench = Bench(many(120), policy=AUTO, watched=["i00001"], discover=EVERYTHING)
        await bench.poller.start()
        await bench.cycles(1)
        assert bench.poller.settled
        labels = {event.instance_id: event.labels for event in bench.store.events}
        assert len(labels) == 120
        assert labels["i00001"] == {"team": "vdi", "found": "yes"}
        assert labels["i00002"] == {"found": "yes"}
        bench.cloud.script("new", "CREATING")
        bench.cloud.listed.append("new")
        await bench.clock.advance(60)
        assert await bench.poller.cycle() == 15.0
        bench.cloud.script("new", "ERROR")
        await bench.cycles(2)
        assert bench.told()[-2:] == [("discovered", None, "CREATING"), ("transition", "CREATING", "ERROR")]

    async def test_only_what_the_rules_mean_is_watched(self) -> None:
        rules = (DiscoverRule(name="office-*", enterprise_project_id="7"),)
        bench = Bench({}, policy=AUTO, discover=rules)
        for key, name in {"a": "office-1", "b": "lab", "c": "office-2"}.items():
            bench.cloud.script(key, instance("BUILT", id=key, name=name, enterprise_project_id="7"))
        bench.cloud.script("d", instance("BUILT", id="d", name="office-3", enterprise_project_id="0"))
        bench.cloud.listed = ["a", "b", "c", "d"]
        await bench.poller.start()
        await bench.cycles(3)
        assert sorted(event.instance_id for event in bench.store.events) == ["a", "c"]
        assert bench.cloud.projects_asked == {"7"}

    async def test_gone_is_deleted_not_missing_and_asked_no_more(self) -> None:
        bench = Bench(many(120), policy=AUTO, watched=[], discover=EVERYTHING)
        await bench.poller.start()
        await bench.cycles(1)
        bench.cloud.script("i00005", None)
        await bench.clock.advance(60)
        await bench.cycles(4)
        assert bench.told()[120:] == [("deleted", "BUILT", None)]
        bench.cloud.asked.clear()
        await bench.clock.advance(60)
        await bench.cycles(4)
        assert bench.cloud.asked == []
        assert len(list(bench.poller.states())) == 119

    async def test_a_list_that_lags_behind_a_deletion_brings_nothing_back(self) -> None:
        bench = Bench(many(300, "BUILT"), policy=AUTO, watched=[], discover=EVERYTHING)
        bench.cloud.script("i00042", "DELETING")
        await bench.poller.start()
        await bench.cycles(1)
        bench.cloud._answers["i00042"].clear()
        shown = bench.cloud._next

        def lagging(instance_id: str) -> Answer:
            return "DELETING" if instance_id == "i00042" else shown(instance_id)

        bench.cloud._next = lagging  # type: ignore[method-assign] # the list shows what a get finds to be gone
        bench.cloud.default = None
        await bench.clock.advance(15)
        await bench.cycles(1)
        assert bench.told()[300:] == [("deleted", "DELETING", None)]
        bench.cloud.asked.clear()
        for _ in range(3):
            await bench.clock.advance(60)
            await bench.cycles(2)
        assert bench.cloud.asked == []
        assert len(bench.told()) == 301

    async def test_gone_while_the_watcher_was_down_is_told_once(self) -> None:
        bench = Bench(many(120), policy=AUTO, watched=[], discover=EVERYTHING)
        await bench.poller.start()
        await bench.cycles(1)
        bench.cloud.script("i00005", None)
        for _ in range(2):
            bench.poller = bench.fresh_poller()
            await bench.poller.start()
            await bench.cycles(4)
            await bench.clock.advance(60)
        assert bench.told()[120:] == [("deleted", "BUILT", None)]

    async def test_should_it_come_back_its_events_go_on_being_numbered(self) -> None:
        bench = Bench(many(3), policy=AUTO, watched=[], discover=EVERYTHING)
        await bench.poller.start()
        await bench.cycles(1)
        bench.cloud.script("i00001", None)
        await bench.clock.advance(60)
        await bench.cycles(4)
        bench.cloud.script("i00001", "BUILT")
        for _ in range(2):
            await bench.clock.advance(60)
            await bench.cycles(1)
            bench.poller = bench.fresh_poller()
            await bench.poller.start()
        last = [event for event in bench.store.events if event.instance_id == "i00001"]
        assert [(event.kind.value, event.sequence) for event in last] == [
            ("discovered", 1),
            ("deleted", 2),
            ("discovered", 3),
        ]

    async def test_in_get_mode_the_list_only_finds(self) -> None:
        policy = replace(AUTO, mode=Mode.GET)
        bench = Bench(many(30), policy=policy, watched=[], discover=EVERYTHING)
        await bench.poller.start()
        await bench.cycles(1)
        assert sorted(bench.cloud.asked) == sorted(bench.cloud.listed)
        assert len(bench.store.events) == 30
        bench.cloud.asked.clear()
        await bench.clock.advance(60)
        await bench.cycles(1)
        assert sorted(bench.cloud.asked) == sorted(bench.cloud.listed)

    async def test_an_error_on_a_page_is_told_with_its_reason_looked_up_once(self) -> None:
        bench = Bench(many(250, "BUILDING"), policy=AUTO)
        await bench.poller.start()
        await bench.cycles(1)
        for number in range(150):
            bench.cloud.script(f"i{number:05}", "ERROR")
        await bench.clock.advance(15)
        await bench.cycles(1)
        assert len(bench.told()) == 250 + 150
        assert bench.cloud.asked_for_steps == ["CREATE_SERVER_IMAGE"]
        change = bench.store.events[-1]
        assert change.observed_at - (change.previous_observed_at or START) == timedelta(seconds=15)


class TestBudget:
    async def test_it_is_never_exceeded_and_nobody_starves(self) -> None:
        bench = Bench(many(400, "BUILDING"), policy=replace(BY_GET, budget_requests=60, concurrency=16))
        await bench.poller.start()
        asked_at: list[float] = []
        bench.cloud.on_show = lambda _: asked_at.append(bench.clock.monotonic())
        while bench.clock.monotonic() < 3600:
            await bench.cycles(2)
        for began_s in asked_at[::50]:
            assert sum(began_s <= moment < began_s + 60 for moment in asked_at) <= 60
        times = [bench.cloud.asked.count(key) for key in bench.ids]
        assert min(times) >= max(times) - 2 >= 5
        told = bench.seen(BudgetShort)
        assert [fact.figures for fact in told] == [
            "400 instances at 15s need 1,600 requests a minute in get mode; budget 60"
        ]
        assert bench.seen(CycleFinished)[-1].stretch == pytest.approx(1600 / 60)

    async def test_met_again_is_told_too(self) -> None:
        bench = Bench(many(40, "BUILDING"), policy=replace(BY_GET, budget_requests=100))
        await bench.poller.start()
        while bench.clock.monotonic() < 100:
            await bench.cycles(2)
        assert len(bench.seen(BudgetShort)) == 1
        for key in bench.ids:
            bench.cloud.script(key, built(key))
        while bench.clock.monotonic() < 300:
            await bench.cycles(2)
        assert len(bench.seen(BudgetMet)) == 1
        assert bench.seen(CycleFinished)[-1].stretch == 1.0

    async def test_throttled_it_goes_on_at_half_the_pace(self) -> None:
        bench = Bench(many(40), policy=replace(BY_GET, budget_requests=100))
        await bench.poller.start()
        await bench.cycles(1)
        bench.cloud.script("i00000", CloudThrottledError("too many", http_status=429), "BUILT")
        await bench.clock.advance(60)
        wait_s = await bench.poller.cycle()
        assert 2.0 <= wait_s <= 5.0  # the vendor's advice
        assert bench.seen(CycleFinished)[-1].pace == 0.5
        while bench.clock.monotonic() < 500:
            await bench.cycles(2)
        assert bench.seen(CycleFinished)[-1].pace == 1.0

    async def test_a_list_too_long_for_the_budget_is_read_piece_by_piece(self) -> None:
        bench = Bench(many(1000), policy=replace(AUTO, budget_requests=4))
        await bench.poller.start()
        while not bench.poller.settled:
            await bench.cycles(2)
        assert bench.clock.monotonic() == 120.0  # 10 pages at 4 a minute
        assert len(bench.cloud.pages_asked) == 10
        assert bench.cloud.asked == []

    async def test_a_cycle_that_takes_long_leaves_the_rest_to_the_next(self) -> None:
        bench = Bench(many(40), policy=BY_GET)
        await bench.poller.start()

        async def slow() -> None:
            await bench.clock.sleep(2.0)

        show = bench.cloud.show

        async def slowly(instance_id: str) -> object:
            await slow()
            return await show(instance_id)

        bench.cloud.show = slowly  # type: ignore[assignment, method-assign] # the cloud takes its time
        cycle = asyncio.create_task(bench.poller.cycle())
        await bench.clock.advance(60)
        assert await cycle == 0.0
        assert 8 < len(bench.cloud.asked) < 20
        for _ in range(6):
            cycle = asyncio.create_task(bench.poller.cycle())
            await bench.clock.advance(10)
            await cycle
        assert sorted(set(bench.cloud.asked)) == bench.ids
        assert len(bench.cloud.asked) <= 60


async def test_where_list_and_get_disagree_the_next_list_is_read_though_it_is_the_same() -> None:
    bench = Bench(many(300), policy=AUTO)
    bench.cloud.steps = [failed_step()]
    bench.cloud.script("i00042", "BUILDING")
    await bench.poller.start()
    await bench.cycles(1)
    bench.cloud.script("i00042", "ERROR", "BUILDING")  # once, to a get; the list says BUILDING all the time
    await bench.cycles(2)
    assert bench.told()[300:] == [("transition", "BUILDING", "ERROR")]
    await bench.cycles(2)
    assert bench.told()[301:] == [("transition", "ERROR", "BUILDING")]
    assert "i00042" not in bench.cloud.asked[1:]


async def test_a_page_that_was_not_believed_of_an_instance_is_believed_the_next_time() -> None:
    """A get that says "gone" overtakes a page asked for before it, that shows the instance; the page stays the same."""
    bench = Bench(many(20), policy=replace(AUTO, steady_interval_s=15.0))
    cloud, clock, key = bench.cloud, bench.clock, "i00007"
    list_page, show = cloud.list_page, cloud.show

    async def slow_page(**asked: Any) -> InstancePage:
        page = await list_page(**asked)
        await clock.sleep(1.0)
        return page

    async def slow_show(instance_id: str) -> Instance:
        await clock.sleep(0.5)
        return await show(instance_id)

    cloud.list_page, cloud.show = slow_page, slow_show  # type: ignore[method-assign] # the cloud takes its time

    async def cycle() -> None:
        running = asyncio.ensure_future(bench.poller.cycle())
        while not running.done():
            await clock.advance(0.25)
        await clock.advance(running.result())

    await bench.poller.start()
    await cycle()
    cloud.listed.remove(key)
    await cycle()
    await cycle()
    cloud.script(key, None)
    await cycle()
    cloud.listed.insert(7, key)
    bench.cloud._next = lambda _: "BUILT"  # type: ignore[assignment, method-assign] # the list shows it, whatever a get says
    await cycle()
    await cycle()
    cloud.script(key, "BUILT")
    for _ in range(3):
        await cycle()
    assert bench.told()[20:] == [("missing", "BUILT", None), ("recovered", "BUILT", "BUILT")]
    cloud.asked.clear()
    for _ in range(5):
        await cycle()
    assert cloud.asked == []  # the list shows it, and that is believed


async def test_an_older_answer_does_not_take_back_the_news() -> None:
    """A page asked for before, answered after a single instance was seen to change."""
    bench = Bench(many(300, "BUILDING"), policy=replace(AUTO, budget_requests=2))
    await bench.poller.start()
    await bench.cycles(1)
    key = bench.ids[0]
    assert bench.store.states[InstanceKey("prod", key)].status == "BUILDING"
    intake = bench.poller._intake
    newer = Observation(key=InstanceKey("prod", key), observed_at=at(10), instance=instance("BUILT", id=key))
    older = Observation(key=InstanceKey("prod", key), observed_at=at(11), instance=instance("BUILDING", id=key))
    await bench.clock.advance(10)
    intake._observe(key, newer, asked_s=9.0)
    intake._observe(key, older, asked_s=8.0)
    assert bench.poller._ledger.states[key].status == "BUILT"
    intake._observe(key, older, asked_s=9.5)  # asked after the news was asked for, before it came
    assert bench.poller._ledger.states[key].status == "BUILT"
    intake._observe(key, older, asked_s=10.0)
    assert bench.poller._ledger.states[key].status == "BUILDING"


class TestAsking:
    async def test_pages_of_every_sweep_are_asked_together_after_the_first(self) -> None:
        bench = Bench(many(1000), policy=AUTO)
        await bench.poller.start()
        await bench.cycles(1)
        await bench.clock.advance(60)
        bench.cloud.pages_asked.clear()
        bench.cloud.gate = asyncio.Event()
        cycle = asyncio.create_task(bench.poller.cycle())
        await bench.clock.settle()
        assert bench.cloud.pages_asked == [0]
        gate, bench.cloud.gate = bench.cloud.gate, asyncio.Event()
        gate.set()
        await bench.clock.settle()
        assert sorted(bench.cloud.pages_asked) == [0, 100, 200, 300, 400]
        bench.cloud.gate.set()
        await cycle

    async def test_a_list_that_is_longer_than_it_is_worth_costs_its_first_page(self) -> None:
        bench = Bench(many(5), policy=AUTO)
        await bench.poller.start()
        await bench.cycles(1)
        bench.cloud.listed += [f"other{number}" for number in range(2000)]
        bench.cloud.pages_asked.clear()
        await bench.clock.advance(60)
        await bench.cycles(3)
        assert bench.cloud.pages_asked == [0]
        assert sorted(set(bench.cloud.asked)) == bench.ids

    async def test_what_is_not_watched_is_not_told_when_it_fails(self) -> None:
        bench = Bench({**many(5), "other": ["ERROR"]}, policy=AUTO, watched=list(many(5)))
        await bench.poller.start()
        await bench.cycles(4)
        assert {event.instance_id for event in bench.store.events} == set(many(5))
        assert bench.cloud.asked_for_steps == []

    async def test_one_that_failed_on_a_page_was_seen_there(self) -> None:
        bench = Bench(many(250), policy=AUTO)
        await bench.poller.start()
        await bench.cycles(1)
        bench.cloud.script("i00123", "ERROR")
        bench.cloud.steps = [failed_step()]
        await bench.clock.advance(60)
        await bench.cycles(4)
        assert bench.told()[250:] == [("transition", "BUILT", "ERROR")]
        assert bench.cloud.asked == []  # nobody is missed by the list, so nobody is asked for by itself

    async def test_the_look_for_a_reason_is_paid_from_the_budget(self) -> None:
        bench = Bench({"a": ["BUILDING", "ERROR"]}, policy=replace(BY_GET, budget_requests=10))
        await bench.poller.start()
        await bench.cycles(2)
        assert len(bench.cloud.asked) + len(bench.cloud.asked_for_steps) == 3
        assert bench.poller._budget.available(bench.clock.monotonic()) == 7

    async def test_an_alert_does_not_wait_for_ever_for_its_reason(self, monkeypatch: pytest.MonkeyPatch) -> None:
        bench = Bench({"a": ["BUILDING", "ERROR"]})
        monkeypatch.setattr("watcher.polling.lookup._TIMEOUT_S", 0.0)

        async def never(_: int) -> None:
            await asyncio.Event().wait()

        bench.cloud.on_steps = never
        await bench.poller.start()
        await bench.cycles(2)
        assert bench.told()[-1] == ("transition", "BUILDING", "ERROR")

    async def test_a_source_is_settled_though_one_instance_cannot_be_observed(self) -> None:
        bench = Bench({"a": ["BUILT"], "bad": [CloudMalformedError("HTML")], "b": ["BUILT"]})
        await bench.poller.start()
        assert not bench.poller.settled
        await bench.cycles(1)
        assert bench.poller.settled

    async def test_with_discovery_it_is_settled_when_the_list_was_read_to_its_end(self) -> None:
        bench = Bench(many(300), policy=replace(AUTO, budget_requests=2), watched=[], discover=EVERYTHING)
        await bench.poller.start()
        await bench.cycles(1)
        assert len(bench.cloud.pages_asked) == 2
        assert not bench.poller.settled
        await bench.cycles(2)
        assert bench.poller.settled


class TestTaking:
    async def test_what_is_configured_stays_watched_after_it_was_deleted(self) -> None:
        bench = Bench({"a": ["DELETING", None, "BUILT"]})
        await bench.poller.start()
        await bench.cycles(3)
        assert [kind for kind, _, _ in bench.told()] == ["discovered", "deleted", "discovered"]

    async def test_the_first_change_after_a_restart_names_the_last_run_s_sight(self) -> None:
        bench = Bench({"a": ["BUILDING"]})
        await bench.poller.start()
        await bench.cycles(1)
        bench.cloud.script("a", "BUILT")
        bench.poller = bench.fresh_poller()
        await bench.poller.start()
        await bench.clock.advance(100)
        await bench.poller.cycle()
        assert bench.store.events[-1].previous_observed_at == at(0)

    async def test_a_record_that_changes_without_news_is_kept(self) -> None:
        """A second build is told from the first by the image that is remembered, also after a restart."""
        bench = Bench({"a": ["BUILT"]})
        bench.cloud.script("a", instance("BUILT", id="a"), instance("BUILT", id="a", image_id="img-1"))
        await bench.poller.start()
        await bench.cycles(2)
        assert len(bench.told()) == 1
        bench.cloud.script("a", instance("BUILT", id="a", image_id="img-2"))
        bench.poller = bench.fresh_poller()
        await bench.poller.start()
        await bench.cycles(1)
        assert bench.told()[1:] == [("transition", "BUILT", "BUILT")]

    async def test_with_get_and_discovery_nobody_is_asked_twice_and_nobody_starves(self) -> None:
        policy = replace(AUTO, mode=Mode.GET)
        bench = Bench({**many(5), "bad": ["ERROR"]}, policy=policy, watched=[], discover=EVERYTHING)
        await bench.poller.start()
        await bench.cycles(3)
        assert {event.instance_id for event in bench.store.events} == {*bench.cloud.listed}
        bench.poller = bench.fresh_poller()
        await bench.poller.start()
        for _ in range(2):
            bench.cloud.asked.clear()
            await bench.clock.advance(60)
            await bench.poller.cycle()
            await bench.poller.cycle()
            assert sorted(bench.cloud.asked) == sorted(bench.cloud.listed)

    async def test_what_was_deleted_is_not_asked_for_after_a_restart(self) -> None:
        bench = Bench({"a": ["BUILT"], "b": ["DELETING"]}, policy=AUTO, watched=[], discover=EVERYTHING)
        await bench.poller.start()
        await bench.cycles(1)
        bench.cloud.script("b", None)
        await bench.clock.advance(15)
        await bench.cycles(3)
        assert bench.told()[-1] == ("deleted", "DELETING", None)
        bench.poller = bench.fresh_poller()
        await bench.poller.start()
        assert [state.key.id for state in bench.poller.states()] == ["a"]


class TestTrouble:
    async def test_one_failing_instance_is_asked_less_and_less_and_told_once_for_each_answer(self) -> None:
        bench = Bench({"a": ["BUILT"], "bad": [CloudMalformedError("HTML")], "b": ["BUILT"]})
        await bench.poller.start()
        while bench.clock.monotonic() < 1200:
            await bench.cycles(2)
        asked = bench.cloud.asked.count("bad")
        assert 8 <= asked <= 25
        assert len(bench.seen(InstanceFailed)) == asked
        assert bench.poller.view().stale == 1
        bench.cloud.script("bad", "BUILT")
        await bench.clock.advance(300)
        await bench.cycles(2)
        assert bench.poller.view().stale == 0

    async def test_retry_after_of_one_instance_is_kept(self) -> None:
        bad = CloudUnavailableError("busy", retry_after_s=200.0)
        bench = Bench({"a": ["BUILT"], "bad": [bad], "b": ["BUILT"]})
        await bench.poller.start()
        while bench.clock.monotonic() < 130:
            await bench.cycles(2)
        assert bench.cloud.asked.count("bad") == 1

    async def test_when_all_of_a_few_fail_it_is_the_source(self) -> None:
        bench = Bench({"a": ["BUILT", DOWN], "b": ["BUILT", DOWN]})
        await bench.poller.start()
        await bench.cycles(1)
        await bench.clock.advance(60)
        await bench.poller.cycle()
        assert len(bench.seen(SourceFailed)) == 1
        assert not bench.seen(InstanceFailed)

    async def test_one_that_fails_by_itself_and_is_on_a_page_is_no_failure(self) -> None:
        bench = Bench(many(250), policy=AUTO)
        bench.cloud.listed.remove("i00123")
        await bench.poller.start()
        await bench.cycles(2)
        bench.cloud.listed.insert(123, "i00123")
        show = bench.cloud.show

        async def fail(instance_id: str) -> Instance:
            await show(instance_id)
            raise DOWN

        bench.cloud.show = fail  # type: ignore[method-assign] # by itself it cannot be observed
        bench.cloud.asked.clear()
        await bench.clock.advance(60)
        await bench.cycles(1)
        assert bench.cloud.asked == ["i00123"]
        assert not bench.seen(InstanceFailed)
        assert bench.poller.view().stale == 0

    async def test_a_list_that_failed_now_and_then_is_not_avoided(self) -> None:
        bench = Bench(many(200), policy=AUTO)
        await bench.poller.start()
        await bench.cycles(1)
        for _ in range(3):
            bench.cloud.page_failures = {0: DOWN}
            await bench.clock.advance(60)
            await bench.poller.cycle()
            bench.cloud.page_failures = {}
            await bench.clock.advance(10)
            await bench.poller.cycle()
        assert len(bench.seen(SourceFailed)) == len(bench.seen(SourceRecovered)) == 3
        assert not bench.seen(ListAvoided)

    async def test_a_list_avoided_again_is_told_again(self) -> None:
        bench = Bench(many(20), policy=AUTO)
        await bench.poller.start()
        for times in (1, 2):
            bench.cloud.page_failures = {0: CloudPermissionError("no permission", http_status=403)}
            await bench.clock.advance(60)
            await bench.cycles(2)
            assert len(bench.seen(ListAvoided)) == times
            bench.cloud.page_failures = {}
            await bench.clock.advance(600)
            await bench.cycles(2)

    async def test_a_new_credential_does_not_end_a_pause_that_is_for_something_else(self) -> None:
        bench = Bench({"a": [CloudThrottledError("slow down", retry_after_s=42.0)], "b": ["BUILT"]})
        bench.cloud.new_credential = True
        await bench.poller.start()
        await bench.poller.cycle()
        await bench.clock.advance(10)
        await bench.poller.cycle()
        assert len(bench.cloud.asked) == 1

    async def test_a_store_that_cannot_be_written_is_tried_again_soon(self) -> None:
        bench = Bench({"a": ["BUILT"]})
        await bench.poller.start()
        bench.store.broken = True
        assert await bench.poller.cycle() <= 2.0
        bench.store.broken = False
        await bench.clock.advance(2)
        await bench.poller.cycle()
        assert len(bench.told()) == 1
        assert len(bench.cloud.asked) == 1

    async def test_every_trouble_with_the_store_is_told_once_with_its_end(self) -> None:
        bench = Bench({"a": ["BUILDING", "BUILT"] * 2 + ["BUILDING"]})
        await bench.poller.start()
        for times in (1, 2):
            bench.store.broken = True
            await bench.clock.advance(60)
            await bench.cycles(2)
            bench.store.broken = False
            await bench.cycles(2)
            await bench.clock.advance(300)
            await bench.cycles(1)
            assert [fact.first for fact in bench.seen(StoreFailed)].count(True) == times
            assert len(bench.seen(StoreRecovered)) == times

    async def test_a_retry_after_of_nothing_is_no_leave_to_hammer(self) -> None:
        bench = Bench({"a": [CloudUnavailableError("busy", retry_after_s=0.0)]})
        await bench.poller.start()
        assert await bench.poller.cycle() == 0.1

    async def test_a_source_that_stays_down_is_asked_less_and_less(self) -> None:
        bench = Bench({"a": [DOWN]})
        await bench.poller.start()
        while bench.clock.monotonic() < 1200:
            await bench.cycles(2)
        assert [fact.first for fact in bench.seen(SourceFailed)][:2] == [True, False]
        assert 8 <= len(bench.cloud.asked) <= 25
        bench.cloud.script("a", "BUILT", DOWN)
        await bench.clock.advance(300)
        assert await bench.poller.cycle() == 60.0
        await bench.clock.advance(60)
        assert await bench.poller.cycle() <= 1.0  # a new outage: what was before it does not count

    async def test_failures_with_good_answers_in_between_are_no_outage(self) -> None:
        bench = Bench(many(30), policy=BY_GET)
        await bench.poller.start()
        await bench.cycles(1)
        for key in bench.ids[:8]:
            bench.cloud.script(key, CloudMalformedError("HTML"), "BUILT")
            await bench.clock.advance(60)
            await bench.cycles(2)
        assert len(bench.seen(InstanceFailed)) == 8
        assert not bench.seen(SourceFailed)

    async def test_a_credential_that_works_again_is_looked_at_no_more(self) -> None:
        bench = Bench({"a": [CloudAuthError("bad key", http_status=401), "BUILT"]})
        await bench.poller.start()
        await bench.cycles(1)
        await bench.clock.advance(360)
        assert await bench.poller.cycle() == 60.0


class TestSightings:
    async def test_after_a_page_came_again_nobody_on_it_is_asked_by_himself(self) -> None:
        bench = Bench(many(300), policy=AUTO)
        await bench.poller.start()
        await bench.cycles(1)
        bench.cloud.page_failures[200] = DOWN
        await bench.clock.advance(60)
        await bench.cycles(2)
        assert len(bench.cloud.asked) == 100
        bench.cloud.page_failures.clear()
        await bench.clock.advance(60)
        await bench.cycles(2)
        bench.cloud.asked.clear()
        await bench.clock.advance(60)
        await bench.cycles(4)
        assert bench.cloud.asked == []

    async def test_the_last_sight_by_itself_counts_as_well_as_that_on_the_page(self) -> None:
        bench = Bench({**many(300), "i00007": ["BUILDING"]}, policy=AUTO)
        await bench.poller.start()
        await bench.cycles(2)
        bench.cloud.script("i00007", "BUILT")
        await bench.clock.advance(15)
        await bench.poller.cycle()
        assert bench.cloud.asked == ["i00007", "i00007"]
        change = bench.store.events[-1]
        assert (change.previous_observed_at, change.observed_at) == (at(15), at(30))


async def test_what_is_added_during_a_commit_is_committed_next() -> None:
    bench = Bench({})
    outbox, commit = bench.poller._outbox, bench.store.commit
    first, second = (Change(state=history(status)[0], events=()) for status in ("BUILDING", "BUILT"))

    async def slow(changes: Sequence[Change], *, now: datetime) -> None:
        await commit(changes, now=now)
        if first in changes:
            outbox.add(second)

    bench.store.commit = slow  # type: ignore[method-assign] # something happens meanwhile
    outbox.add(first)
    assert await outbox.flush() is None
    assert await outbox.flush() is None
    assert [state.status for state in bench.store.states.values()] == ["BUILT"]


async def test_news_are_committed_at_once_also_when_something_quiet_comes_after_them() -> None:
    bench = Bench({})
    outbox, (state, told) = bench.poller._outbox, history("BUILT")
    outbox.add(Change(state=state, events=()))
    await outbox.flush_news()
    assert bench.store.commits == 0
    outbox.add(Change(state=state, events=tuple((event, ()) for event in told)))
    outbox.add(Change(state=state, events=()))
    await outbox.flush_news()
    assert bench.store.commits == 1
    await outbox.flush_news()
    outbox.add(Change(state=state, events=()))
    await outbox.flush_news()
    assert bench.store.commits == 1


async def test_a_store_that_stays_broken_is_tried_less_and_less() -> None:
    bench = Bench({})
    outbox = bench.poller._outbox
    outbox.add(Change(state=history("BUILT")[0], events=()))
    bench.store.broken = True
    waits_s = [await outbox.flush() or 0.0 for _ in range(12)]
    assert waits_s[0] <= 1.0
    assert min(waits_s[-3:]) >= 1.0
    assert max(waits_s) <= 10.0  # a disk that was full is soon looked at again


async def test_the_first_absence_costs_no_commit() -> None:
    bench = Bench({"a": ["BUILT", None]})
    await bench.poller.start()
    await bench.cycles(2)
    assert len(bench.cloud.asked) == 2
    assert bench.store.commits == 1


async def test_absences_with_a_sight_in_between_are_not_added_up() -> None:
    bench = Bench({"a": ["BUILT", None] * 4})
    await bench.poller.start()
    await bench.cycles(7)
    assert bench.told() == [("discovered", None, "BUILT")]


async def test_one_no_such_instance_does_not_delete_what_was_discovered() -> None:
    bench = Bench({"a": ["BUILT", None, "BUILT"]}, watched=[], policy=replace(AUTO, mode=Mode.GET), discover=EVERYTHING)
    await bench.poller.start()
    await bench.cycles(4)
    assert bench.told() == [("discovered", None, "BUILT")]


async def test_what_is_deleted_is_told_once_however_often_it_is_not_there() -> None:
    bench = Bench({"a": ["DELETING", None]})
    await bench.poller.start()
    await bench.cycles(6)
    assert bench.told()[1:] == [("deleted", "DELETING", None)]
