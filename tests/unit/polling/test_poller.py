from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from tests.fakes.polling import Bench
from tests.fakes.values import at, built
from watcher.core.errors import (
    CloudAuthError,
    CloudError,
    CloudMalformedError,
    CloudThrottledError,
    CloudUnavailableError,
)
from watcher.core.facts import CycleFinished, InstanceFailed, SourceFailed, SourceRecovered, StoreFailed
from watcher.core.model import EventKind, Expectation, Presence, Reason, Step, SubJob
from watcher.core.ports import Background


async def test_a_change_is_detected_and_committed_with_its_deliveries() -> None:
    bench = Bench({"a": ["BUILDING", "BUILDING", "BUILT"]})
    await bench.poller.start()
    await bench.cycles(3)
    assert bench.told() == [("discovered", None, "BUILDING"), ("transition", "BUILDING", "BUILT")]
    change = bench.store.events[1]
    assert (change.observed_at, change.previous_observed_at, change.duration_s) == (at(30), at(15), 30.0)
    assert change.labels == {"team": "vdi"}
    assert bench.store.told[-1] == (change.id, "hooks")


async def test_fast_while_changing_slow_at_rest() -> None:
    bench = Bench({"a": ["BUILDING", built("a")]})
    await bench.poller.start()
    assert await bench.cycles(1) == 15.0
    await bench.clock.advance(15.0)
    assert await bench.poller.cycle() == 60.0


async def test_an_unchanged_instance_costs_no_commit() -> None:
    bench = Bench({"a": ["BUILT"]})
    await bench.poller.start()
    await bench.cycles(10)
    assert bench.store.commits == 1
    assert len(bench.cloud.asked) == 10


async def test_concurrent_up_to_the_limit_after_one_probe() -> None:
    bench = Bench({str(number): ["BUILT"] for number in range(20)})
    await bench.poller.start()
    bench.cloud.gate = asyncio.Event()
    cycle = asyncio.create_task(bench.poller.cycle())
    await bench.clock.settle()
    assert bench.cloud.under_way == 1  # a source never asked is asked with one request first
    bench.cloud.gate.set()
    bench.cloud.gate = asyncio.Event()
    await bench.clock.settle()
    assert bench.cloud.under_way == 4
    bench.cloud.gate.set()
    await cycle
    assert bench.cloud.most_under_way == 4
    assert sorted(bench.cloud.asked) == sorted(bench.ids)


async def test_a_slow_instance_does_not_delay_the_news_of_another() -> None:
    bench = Bench({"a": ["BUILT"], "slow": ["BUILT"], "b": ["BUILDING", "ERROR"]})
    await bench.poller.start()
    await bench.cycles(1)
    await bench.clock.advance(60)
    bench.cloud.gate = asyncio.Event()
    gate = bench.cloud.gate

    def hold_only_the_slow(instance_id: str) -> None:
        bench.cloud.gate = gate if instance_id == "slow" else None

    bench.cloud.on_show = hold_only_the_slow
    cycle = asyncio.create_task(bench.poller.cycle())
    await bench.clock.settle()
    assert not cycle.done()
    assert bench.told()[-1] == ("transition", "BUILDING", "ERROR")
    gate.set()
    await cycle


async def test_a_restart_tells_nothing_again_and_what_changed_once() -> None:
    bench = Bench({"a": ["BUILDING"], "b": ["BUILDING"]})
    await bench.poller.start()
    await bench.cycles(2)
    bench.cloud.script("b", "BUILT")
    bench.poller = bench.fresh_poller()
    await bench.poller.start()
    await bench.cycles(2)
    assert bench.told()[2:] == [("transition", "BUILDING", "BUILT")]
    assert bench.store.events[2].sequence == 2


async def test_one_failing_instance_backs_off_alone() -> None:
    bench = Bench({"a": ["BUILT"], "bad": [CloudMalformedError("HTML")], "b": ["BUILT"]})
    asked_s: list[float] = []
    bench.cloud.on_show = lambda key: asked_s.append(bench.clock.monotonic()) if key == "bad" else None
    await bench.poller.start()
    await bench.cycles(12)
    failures = [fact for fact in bench.facts if isinstance(fact, InstanceFailed)]
    assert [fact.first for fact in failures[:2]] == [True, False]
    assert not bench.seen(SourceFailed)
    assert {state.key.id for state in bench.poller.states()} == {"a", "b"}
    assert len(asked_s) > 4
    assert asked_s[-1] - asked_s[-2] > 4 > asked_s[1] - asked_s[0]  # it was asked less and less often


async def test_a_source_that_is_down_is_probed_with_one_request() -> None:
    bench = Bench({str(number): ["BUILT"] for number in range(50)})
    await bench.poller.start()
    await bench.cycles(1)
    bench.cloud.default = CloudUnavailableError("no answer")
    for key in bench.ids:
        bench.cloud.script(key, CloudUnavailableError("no answer"))
    bench.cloud.asked.clear()
    await bench.cycles(6)
    failures = [fact for fact in bench.facts if isinstance(fact, SourceFailed)]
    assert [fact.first for fact in failures] == [True, False, False, False, False]
    assert len(bench.cloud.asked) <= 8 + 4  # at most two rounds of workers until it is known, then one each
    assert not bench.seen(InstanceFailed) or len(bench.seen(InstanceFailed)) < 8
    for key in bench.ids:
        bench.cloud.script(key, "BUILT")
    await bench.clock.advance(400)
    await bench.poller.cycle()
    assert len(bench.seen(SourceRecovered)) == 1
    assert len(bench.store.events) == 50  # an outage is no change of any instance


async def test_a_refused_credential_is_not_hammered() -> None:
    bench = Bench({str(number): [CloudAuthError("bad key", http_status=401)] for number in range(200)})
    await bench.poller.start()
    await bench.cycles(1)
    assert len(bench.cloud.asked) == 1
    while bench.clock.monotonic() < 350:  # the cloud locks a key for five minutes
        await bench.cycles(2)
        assert len(bench.cloud.asked) == 1
    assert bench.cloud.credential_looks > 30
    await bench.clock.advance(360 - bench.clock.monotonic())
    await bench.poller.cycle()
    assert len(bench.cloud.asked) == 2


async def test_a_new_credential_ends_the_pause() -> None:
    bench = Bench({"a": [CloudAuthError("bad key", http_status=401), "BUILT"], "b": ["BUILT"]})
    await bench.poller.start()
    await bench.cycles(2)
    assert len(bench.cloud.asked) == 1
    bench.cloud.new_credential = True
    await bench.cycles(1)
    assert len(bench.seen(SourceRecovered)) == 1
    assert bench.clock.monotonic() <= 20


async def test_retry_after_of_a_throttled_source_is_kept() -> None:
    bench = Bench({"a": [CloudThrottledError("slow down", retry_after_s=42.0)], "b": ["BUILT"]})
    await bench.poller.start()
    assert await bench.cycles(1) == 42.0


async def test_a_late_good_answer_does_not_end_a_pause() -> None:
    bench = Bench({"a": ["BUILT"], "b": ["BUILT"], "c": ["BUILT"]})
    await bench.poller.start()
    await bench.cycles(1)
    await bench.clock.advance(60)
    bench.cloud.script("a", CloudThrottledError("slow down", retry_after_s=42.0))
    assert await bench.poller.cycle() == 42.0
    assert not bench.seen(SourceRecovered)  # b and c were asked before a was refused
    await bench.clock.advance(42)
    bench.cloud.asked.clear()
    await bench.poller.cycle()
    assert bench.cloud.asked == ["a"]  # still unwell, so probed with one request


async def test_an_absence_is_confirmed_soon() -> None:
    bench = Bench({"a": ["BUILT", None]})
    await bench.poller.start()
    await bench.cycles(1)
    await bench.clock.advance(60)
    assert await bench.poller.cycle() == 15.0
    await bench.clock.advance(15)
    await bench.poller.cycle()
    assert bench.told()[-1] == ("missing", "BUILT", None)


async def test_while_the_store_is_broken_nothing_is_told_and_nothing_is_lost() -> None:
    bench = Bench({"a": ["BUILDING", "ERROR", "BUILDING", "BUILT"]})
    await bench.poller.start()
    await bench.cycles(1)
    bench.store.broken = True
    for _ in range(3):
        await bench.clock.advance(60)
        await bench.poller.cycle()
    assert len(bench.store.events) == 1
    first, *more = [fact for fact in bench.facts if isinstance(fact, StoreFailed)]
    assert first.first
    assert not any(fact.first for fact in more)
    bench.store.broken = False
    await bench.clock.advance(60)
    await bench.poller.cycle()
    assert [event.to_status for event in bench.store.events] == ["BUILDING", "ERROR", "BUILDING", "BUILT"]
    assert [event.sequence for event in bench.store.events] == [1, 2, 3, 4]


async def test_the_reason_of_a_failure_is_looked_up() -> None:
    bench = Bench({"a": ["BUILDING", "ERROR"]})
    bench.cloud.steps = [
        SubJob(
            id="s",
            job_id="j",
            job_type="CREATE_SERVER_IMAGE",
            status="FAILED",
            resource_name="office-2026",
            end_at=at(10),
            error_code="WKS.0017",
            error_message="sysprep failed",
        )
    ]
    await bench.poller.start()
    await bench.cycles(2)
    assert bench.store.events[-1].reason == Reason(code="WKS.0017", message="sysprep failed", exact=False)
    assert bench.cloud.asked_for_steps == ["CREATE_SERVER_IMAGE"]


@pytest.mark.parametrize("failure", [CloudUnavailableError("down"), CloudMalformedError("HTML")])
async def test_an_alert_does_not_wait_for_a_reason_that_cannot_be_had(failure: CloudError) -> None:
    bench = Bench({"a": ["BUILDING", "ERROR"]})
    bench.cloud.steps = failure
    await bench.poller.start()
    await bench.cycles(2)
    assert bench.store.events[-1].kind is EventKind.TRANSITION
    assert bench.store.events[-1].reason is None


async def test_lag_is_told() -> None:
    bench = Bench({"a": ["BUILT"]})
    await bench.poller.start()
    await bench.cycles(1)
    await bench.clock.advance(100)
    await bench.poller.cycle()
    cycles = [fact for fact in bench.facts if isinstance(fact, CycleFinished)]
    assert [fact.lag_s for fact in cycles] == [0.0, 40.0]


async def test_what_is_known_of_an_instance_beside_its_state() -> None:
    steps = [
        Step(source="prod", image_source="", status="BUILDING", duration_s=seconds) for seconds in (10, 20, 30, 40)
    ]
    bench = Bench({"a": ["BUILDING", built("a")]})
    bench.store.learned = [*steps, replace(steps[0], duration_s=100)]
    await bench.poller.start()
    await bench.cycles(1)
    [building] = bench.poller.states()
    assert bench.poller.background(building) == Background(
        labels={"team": "vdi"}, seen_at=at(0), expected=Expectation(median_s=30, p95_s=100, samples=5)
    )
    assert bench.poller.background(replace(building, presence=Presence.MISSING)).expected is None
    await bench.cycles(3)
    [done] = bench.poller.states()
    assert bench.poller.background(done) == Background(labels={"team": "vdi"}, seen_at=at(75))
    assert done.observed_at == at(15), "an unchanged observation is not recorded"
