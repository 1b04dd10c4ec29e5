"""What the poller makes of builds that end: looking up, waiting, telling; by get and by list."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

import pytest

from tests.fakes.polling import AUTO, BY_GET, Bench
from tests.fakes.values import at, built, failed_step, instance
from watcher.core.errors import CloudError, CloudMalformedError, CloudPermissionError, CloudUnavailableError
from watcher.core.facts import CycleFinished
from watcher.core.model import Event, InstanceKey, InstanceState, Reason, SubJob
from watcher.core.planner import Mode, PollPolicy

LIKELY = Reason(code="WKS.0017", message="sysprep failed", exact=False)
BY_LIST = replace(AUTO, mode=Mode.LIST)
OLD, NEW = "img-1", "img-2"
EACH_WAY = pytest.mark.parametrize("policy", [BY_GET, AUTO, BY_LIST], ids=["get", "auto", "list"])


def beside(key: str = "a") -> dict[str, list[str]]:
    """The instance in question and enough others that a list is worth reading."""
    return {key: ["BUILT"], **{f"other{number}": ["DELETED-BY-NOBODY"] for number in range(3)}}


def bench(policy: PollPolicy, **more: tuple[str, ...]) -> Bench:
    made = Bench(beside(), policy=policy, **more)  # type: ignore[arg-type]
    made.cloud.script("a", built("a", OLD))
    return made


async def until(bench: Bench, seconds: float) -> None:
    """Run cycles until so much time has passed since the beginning, each when it is due."""
    wait_s = await bench.poller.cycle()
    while bench.clock.monotonic() + wait_s <= seconds:
        await bench.clock.advance(wait_s)
        wait_s = await bench.poller.cycle()
    await bench.clock.advance(seconds - bench.clock.monotonic())


def of_a(bench: Bench) -> list[Event]:
    return [event for event in bench.store.events if event.instance_id == "a"]


def kinds(bench: Bench) -> list[str]:
    return [event.kind.value for event in of_a(bench)]


def state(bench: Bench) -> InstanceState:
    return bench.store.states[InstanceKey("prod", "a")]


async def build(bench: Bench, image_id: str = OLD, *, steps: list[SubJob] | Exception | None = None) -> float:
    """A build begins after 100 s, is seen, and ends; when the end was seen."""
    await bench.poller.start()
    await until(bench, 100)
    bench.cloud.script("a", instance("BUILDING", id="a", image_id=OLD))
    await until(bench, 200)
    bench.cloud.asked_for_steps.clear()
    bench.cloud.script("a", built("a", image_id))
    bench.cloud.steps = steps if steps is not None else []
    count = len(of_a(bench))
    while len(of_a(bench)) == count:
        await until(bench, bench.clock.monotonic() + 1)
    return (of_a(bench)[-1].observed_at - at(0)).total_seconds()


@EACH_WAY
async def test_a_new_image_is_a_success_and_nothing_is_looked_up(policy: PollPolicy) -> None:
    going = bench(policy)
    await build(going, NEW)
    await until(going, 1000)
    assert kinds(going) == ["discovered", "transition", "transition"]
    assert going.cloud.asked_for_steps == []
    assert state(going).image_before is None


@EACH_WAY
async def test_a_failed_job_is_told_at_once(policy: PollPolicy) -> None:
    going = bench(policy)
    await build(going, steps=[failed_step()])
    assert kinds(going) == ["discovered", "transition", "transition", "build_failed"]
    done, failed = of_a(going)[-2:]
    assert (done.reason, failed.reason) == (LIKELY, LIKELY)
    assert done.observed_at == failed.observed_at
    assert going.cloud.asked_for_steps == ["CREATE_SERVER_IMAGE"]
    await until(going, 1000)
    assert len(going.cloud.asked_for_steps) == 1
    going.cloud.script("a", built("a", NEW))
    await until(going, 1200)
    assert kinds(going)[4:] == ["transition"]
    assert [alert.status.value for alert in of_a(going)[-1].alerts] == ["resolved"]


@EACH_WAY
async def test_a_job_that_succeeded_confirms_it(policy: PollPolicy) -> None:
    going = bench(policy)
    await build(going, steps=[failed_step(status="SUCCESS", error_code="", error_message="")])
    await until(going, 1000)
    assert kinds(going) == ["discovered", "transition", "transition"]
    assert len(going.cloud.asked_for_steps) == 1


@EACH_WAY
async def test_without_a_word_it_is_looked_at_soon_and_told_after_the_grace(policy: PollPolicy) -> None:
    going = bench(policy)
    ended_s = await build(going)
    await until(going, ended_s + 118)
    assert kinds(going) == ["discovered", "transition", "transition"]
    assert 7 <= len(going.cloud.asked_for_steps) <= 9
    await until(going, ended_s + 121)
    assert kinds(going)[3:] == ["build_failed"]
    failed = of_a(going)[-1]
    assert (failed.reason, failed.duration_s) == (None, 120.0)
    assert [alert.name for alert in state(going).alerts] == ["build_failed"]


@EACH_WAY
@pytest.mark.parametrize("why", ["image", "job"])
async def test_what_comes_within_the_grace_confirms_it_silently(policy: PollPolicy, why: str) -> None:
    going = bench(policy)
    ended_s = await build(going)
    await until(going, ended_s + 60)
    if why == "image":
        going.cloud.script("a", built("a", NEW))
    else:
        going.cloud.steps = [failed_step(status="SUCCESS", error_code="", error_message="")]
    await until(going, ended_s + 80)
    assert state(going).unconfirmed_at is None
    looked = len(going.cloud.asked_for_steps)
    await until(going, ended_s + 1000)
    assert kinds(going) == ["discovered", "transition", "transition"]
    assert len(going.cloud.asked_for_steps) == looked


@EACH_WAY
async def test_a_failure_that_is_written_down_within_the_grace_is_told_then(policy: PollPolicy) -> None:
    going = bench(policy)
    ended_s = await build(going)
    going.cloud.steps = [failed_step()]
    await until(going, ended_s + 20)
    assert kinds(going)[3:] == ["build_failed"]
    assert of_a(going)[-1].reason == LIKELY


@EACH_WAY
async def test_a_restart_within_the_grace_goes_on(policy: PollPolicy) -> None:
    going = bench(policy)
    ended_s = await build(going)
    await until(going, ended_s + 60)
    going.poller = going.fresh_poller()
    await going.poller.start()
    await until(going, ended_s + 119)
    assert kinds(going) == ["discovered", "transition", "transition"]
    await until(going, ended_s + 121)
    assert kinds(going)[3:] == ["build_failed"]


async def test_after_a_longer_stop_it_is_looked_at_before_it_is_told() -> None:
    going = bench(BY_GET)
    ended_s = await build(going)
    await going.clock.advance(ended_s + 5000 - going.clock.monotonic())
    going.cloud.script("a", built("a", NEW))
    going.poller = going.fresh_poller()
    await going.poller.start()
    await until(going, ended_s + 5500)
    assert kinds(going) == ["discovered", "transition", "transition"]


@EACH_WAY
async def test_nothing_is_told_while_the_source_does_not_answer(policy: PollPolicy) -> None:
    going = bench(policy)
    ended_s = await build(going)
    await until(going, ended_s + 100)
    down = CloudUnavailableError("no answer")
    for key in going.ids:
        going.cloud.script(key, down)
    going.cloud.page_failures[0] = down
    await until(going, ended_s + 900)
    assert kinds(going) == ["discovered", "transition", "transition"]
    for key in going.ids:
        going.cloud.script(key, built(key, OLD))
    going.cloud.page_failures.clear()
    await until(going, ended_s + 1900)
    assert kinds(going)[3:] == ["build_failed"]


@EACH_WAY
async def test_a_late_reason_is_for_the_event_that_lacked_it(policy: PollPolicy) -> None:
    going = bench(policy, updating=("chat",))
    await build(going)
    going.cloud.script("a", instance("ERROR", id="a", image_id=OLD))
    await until(going, 300)
    told = of_a(going)[-1]
    assert (told.to_status, told.reason) == ("ERROR", None)
    going.cloud.steps = [failed_step()]
    await until(going, going.clock.monotonic() + 61)
    [explained] = going.store.explained
    assert (explained.event_id, explained.reason, explained.receivers) == (told.id, LIKELY, ("chat",))
    assert state(going).reason == LIKELY
    looked = len(going.cloud.asked_for_steps)
    await until(going, 1500)
    assert len(going.cloud.asked_for_steps) == looked
    assert len(going.store.explained) == 1
    await until(going, 15_000)
    assert (of_a(going)[-1].kind.value, of_a(going)[-1].reason) == ("reminder", LIKELY)


@EACH_WAY
async def test_a_reason_is_found_soon_in_the_first_minute(policy: PollPolicy) -> None:
    going = bench(policy, updating=("chat",))
    await build(going)
    going.cloud.script("a", instance("ERROR", id="a", image_id=OLD))
    while of_a(going)[-1].to_status != "ERROR":
        await until(going, going.clock.monotonic() + 1)
    going.cloud.steps = [failed_step()]
    await until(going, going.clock.monotonic() + 16)
    assert [explained.event_id for explained in going.store.explained] == [of_a(going)[-1].id]


@EACH_WAY
async def test_it_is_looked_for_ten_minutes_long_and_over_a_restart(policy: PollPolicy) -> None:
    going = bench(policy)
    await build(going)
    going.cloud.script("a", instance("ERROR", id="a", image_id=OLD))
    await until(going, 300)
    told_s = (of_a(going)[-1].observed_at - at(0)).total_seconds()
    await until(going, told_s + 300)
    going.poller = going.fresh_poller()
    await going.poller.start()
    await until(going, told_s + 601)
    looked = len(going.cloud.asked_for_steps)
    assert 12 <= looked <= 20  # each 15 s for a minute, then each minute
    await until(going, told_s + 3000)
    assert len(going.cloud.asked_for_steps) == looked


async def test_a_late_reason_is_kept_by_itself_and_not_only_with_the_next_news() -> None:
    going = bench(BY_GET)
    await build(going)
    going.cloud.script("a", instance("ERROR", id="a", image_id=OLD))
    await until(going, 300)
    going.cloud.steps = [failed_step()]
    commits, wait_s = going.store.commits, 15.0
    for _ in range(3):
        await going.clock.advance(wait_s)
        wait_s = await going.poller.cycle()
    assert len(going.store.explained) == 1
    assert going.store.commits == commits + 1


FAILURES = [CloudUnavailableError("down"), CloudMalformedError("HTML"), CloudPermissionError("no"), "never"]


@EACH_WAY
@pytest.mark.parametrize("failure", FAILURES, ids=["down", "html", "forbidden", "never"])
async def test_jobs_that_cannot_be_had_delay_nothing(
    policy: PollPolicy, failure: CloudError | str, monkeypatch: pytest.MonkeyPatch
) -> None:
    going = bench(policy)
    if isinstance(failure, str):
        monkeypatch.setattr("watcher.polling.lookup._TIMEOUT_S", 0.0)

        async def never(_: int) -> None:
            await asyncio.Event().wait()

        going.cloud.on_steps = never
    ended_s = await build(going, steps=failure if isinstance(failure, CloudError) else [])
    assert kinds(going) == ["discovered", "transition", "transition"]
    await until(going, ended_s + 121)
    assert kinds(going)[3:] == ["build_failed"]


class TestManyAtOnce:
    """More than one page of steps."""

    async def fail(
        self, count: int, *, policy: PollPolicy = AUTO, at_page: Callable[[Bench, int], None] | None = None
    ) -> Bench:
        ids = [f"i{number:03}" for number in range(count)]
        going = Bench({key: [instance("BUILDING", id=key, name=key)] for key in ids}, policy=policy)
        await going.poller.start()
        await going.cycles(6)
        for key in ids:
            going.cloud.script(key, instance("ERROR", id=key, name=key))
        going.cloud.steps = [
            failed_step(id=key, resource_name=key, begin_at=at(1), end_at=at(70)) for key in reversed(ids)
        ]
        if at_page is not None:

            async def on_steps(offset: int) -> None:
                at_page(going, offset)

            going.cloud.on_steps = on_steps
        await going.clock.advance(15)
        await going.poller.cycle()
        return going

    @pytest.mark.parametrize("policy", [AUTO, BY_GET], ids=["list", "get"])
    async def test_each_of_300_has_its_reason(self, policy: PollPolicy) -> None:
        going = await self.fail(300, policy=policy)
        failed = [event for event in going.store.events if event.to_status == "ERROR"]
        assert len(failed) == 300
        assert all(event.reason == LIKELY for event in failed)
        assert len(going.cloud.asked_for_steps) == 4  # the fourth is empty

    async def test_five_pages_are_enough(self) -> None:
        going = await self.fail(700)
        assert len(going.cloud.asked_for_steps) == 5
        failed = [event for event in going.store.events if event.to_status == "ERROR"]
        assert sum(event.reason is not None for event in failed) == 500

    async def test_a_page_that_came_is_used_though_the_next_fails(self) -> None:
        def break_down(going: Bench, offset: int) -> None:
            if offset == 100:
                going.cloud.steps = CloudMalformedError("HTML")

        going = await self.fail(300, at_page=break_down)
        failed = [event for event in going.store.events if event.to_status == "ERROR"]
        assert (len(failed), sum(event.reason is not None for event in failed)) == (300, 100)

    async def test_no_page_is_read_that_is_older_than_the_builds(self) -> None:
        def age(going: Bench, offset: int) -> None:
            steps: list[SubJob] = going.cloud.steps if isinstance(going.cloud.steps, list) else []
            before: datetime = at(-3000)
            going.cloud.steps = [*steps[:99], *(replace(step, begin_at=before) for step in steps[99:])]

        going = await self.fail(300, at_page=age)
        assert len(going.cloud.asked_for_steps) == 1

    async def test_more_pages_only_as_the_budget_allows_and_each_is_spent(self) -> None:
        def leave_one(going: Bench, offset: int) -> None:
            budget, now_s = going.poller._budget, going.clock.monotonic()
            while not offset and budget.available(now_s) > 1:
                budget.spend(now_s)

        going = await self.fail(300, at_page=leave_one)
        assert len(going.cloud.asked_for_steps) == 2
        assert going.poller._budget.available(going.clock.monotonic()) == 0


@EACH_WAY
async def test_who_is_asked_soon_counts_as_changing_in_the_budget(policy: PollPolicy) -> None:
    going = bench(policy)
    await build(going)
    assert going.poller._schedule.demand() is None or "a" in going.poller._schedule._changing
    going.cloud.script("a", built("a", NEW))
    await until(going, going.clock.monotonic() + 100)
    assert "a" not in going.poller._schedule._changing
    assert going.seen(CycleFinished)[-1].stretch == 1.0
