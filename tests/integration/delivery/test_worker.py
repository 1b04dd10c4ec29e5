from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.clock import FakeClock
from tests.fakes.quiet import ScriptedQuiet
from tests.fakes.receivers import ScriptedReceiver, refusal
from tests.fakes.values import history, outage
from watcher.core.errors import DeliveryError, FailureReason, StoreError
from watcher.core.facts import (
    Delivered,
    DeliveryFailed,
    Fact,
    ReceiverFailed,
    ReceiverRecovered,
    StoreFailed,
    StoreRecovered,
    Suppressed,
)
from watcher.core.model import DeliveryState, Event, InstanceKey, Suppression
from watcher.core.ports import Attempt, Change
from watcher.delivery import DeliveryPolicy, DeliveryWorker
from watcher.store import Store, open_store


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = await open_store(f"sqlite:///{tmp_path / 'watcher.db'}")
    yield store
    await store.close()


class Bench:
    """A worker on a real store, with a scripted receiver and time by hand."""

    def __init__(self, store: Store, receiver: ScriptedReceiver, *, is_known: bool = True, **policy: object) -> None:
        self.store = store
        self.clock = FakeClock()
        self.receiver = receiver
        self.facts: list[Fact] = []
        self.quiet = ScriptedQuiet()
        self.worker = DeliveryWorker(
            receiver=receiver,
            store=store,
            quiet=self.quiet,
            policy=DeliveryPolicy(**policy),  # type: ignore[arg-type]  # the test's own keywords
            clock=self.clock,
            rng=random.Random(1),
            observer=self._observe,
        )
        if is_known:
            self.worker._health.answered()  # it took something before
        self.news = asyncio.Event()

    def _observe(self, fact: Fact) -> None:
        self.facts.append(fact)
        self.news.set()

    async def write(self, *instances: str, statuses: tuple[str, ...] = ("BUILDING", "BUILT")) -> list[Event]:
        """Commit the transitions of these instances, each with a delivery to the receiver."""
        told: list[Event] = []
        for instance_id in instances:
            state, events = history(*statuses, key=InstanceKey("prod", instance_id))
            pairs = tuple((event, (self.receiver.name,)) for event in events[1:])
            await self.store.commit([Change(state=state, events=pairs)], now=self.clock.now())
            told += events[1:]
        return told

    async def until(self, kind: type[Fact], count: int) -> None:
        """Wait for so many facts of a kind."""
        while len([fact for fact in self.facts if isinstance(fact, kind)]) < count:
            self.news.clear()
            await self.news.wait()

    async def drained(self) -> None:
        self.worker.drain()
        await self.worker.run()


async def test_what_is_due_is_sent_and_recorded(store: Store) -> None:
    bench = Bench(store, ScriptedReceiver())
    told = await bench.write("a", "b")
    await bench.drained()
    assert sorted(bench.receiver.tries) == sorted(event.id for event in told)
    assert [n.event for n in bench.receiver.accepted] == told
    assert await store.unfinished() == {}
    assert await store.next_due_at("hooks", now=bench.clock.now()) is None


async def test_in_order_for_one_instance_even_when_the_first_fails(store: Store) -> None:
    bench = Bench(store, ScriptedReceiver(refusal(), refusal()))
    told = await bench.write("a", statuses=("CREATING", "ACTIVE", "BUILDING", "BUILT"))
    running = asyncio.create_task(bench.worker.run())
    await bench.until(DeliveryFailed, 1)
    while len(bench.receiver.accepted) < 3:
        await bench.clock.advance(1.0)
        await store.unfinished()  # real I/O: lets the worker's own go on
    bench.worker.drain()
    await running
    assert [n.event.sequence for n in bench.receiver.accepted] == [2, 3, 4]
    assert bench.receiver.tries[:3] == [told[0].id] * 3


@pytest.mark.parametrize("when", ["while it runs", "while it is down"])
async def test_a_clock_that_is_set_back_makes_nothing_wait_for_longer(when: str, store: Store) -> None:
    bench = Bench(store, ScriptedReceiver(refusal()))
    [told] = await bench.write("a")
    running = asyncio.create_task(bench.worker.run())
    await bench.until(DeliveryFailed, 1)
    if when == "while it is down":
        bench.worker.drain()
        await running
        bench = Bench(store, ScriptedReceiver())
    bench.clock.jump(-86_400)
    running = running if not running.done() else asyncio.create_task(bench.worker.run())
    while not bench.receiver.accepted:
        assert bench.clock.monotonic() <= 43_200  # much of it passes while the disk is written to
        await bench.clock.advance(5.0)
        await store.unfinished()  # real I/O: lets the worker's own go on
    bench.worker.drain()
    await running
    assert [notification.event for notification in bench.receiver.accepted] == [told]


async def test_another_instance_does_not_wait(store: Store) -> None:
    bench = Bench(store, ScriptedReceiver(refusal()), at_once=1)
    told = await bench.write("a", "b")
    await bench.drained()
    assert bench.receiver.tries == [told[0].id, told[1].id]
    assert await store.unfinished() == {("hooks", DeliveryState.PENDING): 1}


async def test_a_permanent_refusal_is_dead_at_once(store: Store) -> None:
    bench = Bench(store, ScriptedReceiver(refusal(permanent=True)))
    await bench.write("a")
    await bench.drained()
    [fact] = [fact for fact in bench.facts if isinstance(fact, DeliveryFailed)]
    assert fact.retry_in_s is None
    assert await store.unfinished() == {("hooks", DeliveryState.DEAD): 1}


async def test_dead_when_too_old(store: Store) -> None:
    bench = Bench(store, ScriptedReceiver(refusal(retry_after_s=61.0)), max_age=timedelta(seconds=60))
    await bench.write("a")
    await bench.drained()
    assert await store.unfinished() == {("hooks", DeliveryState.DEAD): 1}


async def test_retry_after_leaves_the_whole_receiver_alone(store: Store) -> None:
    bench = Bench(store, ScriptedReceiver(refusal(retry_after_s=30.0)), at_once=1)
    told = await bench.write("a", "b")
    await bench.drained()
    assert bench.receiver.tries == [told[0].id]
    assert await store.next_due_at("hooks", now=bench.clock.now()) == bench.clock.now() + timedelta(seconds=30)
    assert await store.unfinished() == {("hooks", DeliveryState.PENDING): 2}


async def test_no_more_at_once_than_allowed(store: Store) -> None:
    bench = Bench(store, ScriptedReceiver(), at_once=3)
    bench.receiver.gate = asyncio.Event()
    await bench.write(*"abcdefg")
    running = asyncio.create_task(bench.drained())
    while bench.receiver.under_way < 3:
        await store.unfinished()
    for _ in range(20):
        await store.unfinished()
    assert bench.receiver.under_way == 3
    bench.receiver.gate.set()
    await running
    assert bench.receiver.most_under_way == 3
    assert len(bench.receiver.accepted) == 7


async def test_a_hung_receiver_is_cut_at_the_timeout(store: Store) -> None:
    bench = Bench(store, ScriptedReceiver(), timeout_s=0.01)
    bench.receiver.gate = asyncio.Event()
    await bench.write("a")
    await bench.drained()
    [fact] = [fact for fact in bench.facts if isinstance(fact, DeliveryFailed)]
    assert fact.error.reason is FailureReason.TIMEOUT
    assert fact.retry_in_s is not None


async def test_a_receivers_own_mistake_is_a_failed_try(store: Store) -> None:
    bench = Bench(store, ScriptedReceiver(ZeroDivisionError("oops")))
    await bench.write("a")
    await bench.drained()
    [fact] = [fact for fact in bench.facts if isinstance(fact, DeliveryFailed)]
    assert fact.error.reason is FailureReason.OTHER
    assert await store.unfinished() == {("hooks", DeliveryState.PENDING): 1}


async def test_new_work_wakes_the_worker(store: Store) -> None:
    bench = Bench(store, ScriptedReceiver())
    running = asyncio.create_task(bench.worker.run())
    await bench.clock.settle()
    await bench.write("a")
    bench.worker.notify()
    await bench.until(Delivered, 1)
    bench.worker.drain()
    await running


async def test_cancelled_in_the_middle_it_is_tried_again_with_the_same_id(store: Store) -> None:
    bench = Bench(store, ScriptedReceiver())
    bench.receiver.gate = asyncio.Event()
    told = await bench.write("a")
    running = asyncio.create_task(bench.worker.run())
    while not bench.receiver.under_way:
        await store.unfinished()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    again = Bench(store, ScriptedReceiver())
    await again.drained()
    assert bench.receiver.tries + again.receiver.tries == [told[0].id] * 2


class StoreThatFailsToRecord:
    """A store whose writing down of outcomes fails a few times."""

    def __init__(self, store: Store, *, failures: int) -> None:
        self._store = store
        self._failures = failures

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def record(self, attempts: Sequence[Attempt]) -> None:
        if self._failures:
            self._failures -= 1
            raise StoreError("cannot write the store: disk full")
        await self._store.record(attempts)


async def test_an_outcome_that_cannot_be_recorded_is_recorded_later_and_not_sent_again(store: Store) -> None:
    bench = Bench(store, ScriptedReceiver())
    bench.worker._store = StoreThatFailsToRecord(store, failures=3)
    await bench.write("a")
    running = asyncio.create_task(bench.worker.run())
    while not any(isinstance(fact, StoreRecovered) for fact in bench.facts):
        await bench.clock.advance(1.0)
        await store.unfinished()
    bench.worker.drain()
    await running
    assert len(bench.receiver.tries) == 1
    assert [fact.first for fact in bench.facts if isinstance(fact, StoreFailed)] == [True, False, False]
    assert await store.unfinished() == {}


def kinds(bench: Bench, *wanted: type[Fact]) -> list[str]:
    return [type(fact).__name__ for fact in bench.facts if isinstance(fact, wanted)]


async def advance_until(bench: Bench, enough: Callable[[], bool], *, step_s: float = 1.0) -> None:
    """Let time pass until something holds, with turns for real I/O in between."""
    while not enough():
        await bench.clock.advance(step_s)
        await bench.store.unfinished()


async def test_a_receiver_never_tried_is_tried_with_one_delivery(store: Store) -> None:
    bench = Bench(store, ScriptedReceiver(refusal()), is_known=False)
    await bench.write(*"abc")
    running = asyncio.create_task(bench.worker.run())
    await bench.until(ReceiverFailed, 1)
    assert len(bench.receiver.tries) == 1
    await advance_until(bench, lambda: len(bench.receiver.accepted) == 3)
    bench.worker.drain()
    await running
    assert kinds(bench, ReceiverFailed, ReceiverRecovered) == ["ReceiverFailed", "ReceiverRecovered"]


async def test_down_for_an_hour_while_500_events_happen_it_gets_all_of_them_once(store: Store) -> None:
    bench = Bench(store, ScriptedReceiver(), digest_over=0)
    bench.receiver.refusal = refusal()
    told = await bench.write(*(f"i{number:03}" for number in range(10)))
    running = asyncio.create_task(bench.worker.run())
    await bench.until(ReceiverFailed, 1)
    for number in range(490):
        told += await bench.write(f"j{number:03}")
    bench.worker.notify()
    before, began_s = len(bench.receiver.tries), bench.clock.monotonic()
    await advance_until(bench, lambda: bench.clock.monotonic() - began_s >= 3600, step_s=2.0)
    assert len(bench.receiver.tries) - before <= 40  # an hour of one try at a time, up to five minutes apart
    bench.receiver.refusal = None
    await advance_until(bench, lambda: bool(bench.receiver.accepted), step_s=2.0)
    assert bench.clock.monotonic() - began_s <= 3600 + 400
    await advance_until(bench, lambda: len(bench.receiver.accepted) >= 500, step_s=0.001)
    bench.worker.drain()
    await running
    assert sorted(n.event.id for n in bench.receiver.accepted) == sorted(event.id for event in told)
    assert await store.unfinished() == {}
    assert kinds(bench, ReceiverRecovered) == ["ReceiverRecovered"]


async def test_too_many_to_be_read_one_by_one_are_one_digest(store: Store) -> None:
    bench = Bench(store, ScriptedReceiver())
    told = await bench.write(*"abcdef", statuses=("CREATING", "ACTIVE", "BUILDING"))
    await bench.drained()
    [digest] = bench.receiver.accepted
    assert digest.is_digest
    assert list(digest.events) == told
    assert await store.unfinished() == {}


async def test_as_many_as_are_told_singly(store: Store) -> None:
    bench = Bench(store, ScriptedReceiver(), digest_over=12)
    await bench.write(*"abcdef", statuses=("CREATING", "ACTIVE", "BUILDING"))
    await bench.drained()
    assert [n.is_digest for n in bench.receiver.accepted] == [False] * 12


async def test_a_digest_is_the_same_at_every_try_and_after_a_restart(store: Store) -> None:
    bench = Bench(store, ScriptedReceiver(refusal()))
    told = await bench.write(*(f"i{number}" for number in range(12)))
    await bench.drained()
    more = await bench.write(*(f"j{number}" for number in range(12)))
    again = Bench(store, ScriptedReceiver())
    await again.clock.advance(600)
    await again.drained()
    first, second = again.receiver.accepted
    assert bench.receiver.tries == [first.id]
    assert (list(first.events), list(second.events)) == (told, more)


async def test_a_digest_that_is_too_large_is_sent_in_halves(store: Store) -> None:
    too_large = DeliveryError("answered HTTP 413", reason=FailureReason.CLIENT_ERROR, permanent=True, too_large=True)
    bench = Bench(store, ScriptedReceiver(too_large, too_large))
    told = await bench.write(*(f"i{number:02}" for number in range(16)))
    await bench.drained()
    assert [len(n.events) for n in bench.receiver.accepted] == [8, 4, 4] or sorted(
        len(n.events) for n in bench.receiver.accepted
    ) == [4, 4, 8]
    assert sorted(event.id for n in bench.receiver.accepted for event in n.events) == sorted(e.id for e in told)


async def test_a_digest_holds_no_more_than_the_receiver_takes(store: Store) -> None:
    bench = Bench(store, ScriptedReceiver())
    bench.receiver.digest_bytes = 4000
    await bench.write(*(f"i{number:02}" for number in range(30)))
    await bench.drained()
    assert len(bench.receiver.accepted) > 3
    assert sum(len(n.events) for n in bench.receiver.accepted) == 30


async def test_no_faster_than_the_rate(store: Store) -> None:
    bench = Bench(store, ScriptedReceiver(), rate=(1, 1.0))
    await bench.write(*"abcde")
    running = asyncio.create_task(bench.worker.run())
    await bench.until(Delivered, 1)
    for second in range(1, 5):
        for _ in range(20):
            await store.unfinished()
        assert len(bench.receiver.tries) == second
        await bench.clock.advance(1.0)
        await bench.until(Delivered, second + 1)
    bench.worker.drain()
    await bench.clock.advance(1.0)
    await running


async def test_drained_it_waits_for_its_turn_to_send_what_is_due(store: Store) -> None:
    bench = Bench(store, ScriptedReceiver(), rate=(1, 1.0))
    await bench.write(*"abc")
    bench.worker.drain()
    running = asyncio.create_task(bench.worker.run())
    await advance_until(bench, running.done)
    assert len(bench.receiver.accepted) == 3


async def test_what_is_quiet_is_kept_back_counted_and_told_when_it_still_matters(store: Store) -> None:
    bench = Bench(store, ScriptedReceiver())
    bench.quiet.why = lambda _: "maintenance patching"
    [failed] = await bench.write("a", statuses=("BUILDING", "ERROR"))
    [built] = await bench.write("b", statuses=("BUILDING", "BUILT"))
    running = asyncio.create_task(bench.worker.run())
    await bench.until(Suppressed, 2)
    assert bench.receiver.tries == []
    bench.quiet.why = lambda _: None
    bench.worker.look_again()
    await bench.until(Delivered, 1)
    bench.worker.drain()
    await running
    [told] = bench.receiver.accepted
    assert (told.event.id, told.held_by) == (failed.id, "maintenance patching")
    states = {report.delivery.event.id: report.state for report in await store.reports()}
    assert states == {failed.id: DeliveryState.DELIVERED, built.id: DeliveryState.SUPPRESSED}


async def test_what_no_longer_matters_when_the_quiet_ends_is_not_told_nor_its_end(store: Store) -> None:
    bench = Bench(store, ScriptedReceiver())
    bench.quiet.why = lambda event: "maintenance patching" if event.to_status == "ERROR" else None
    await bench.write("a", statuses=("BUILDING", "ERROR", "BUILDING"))
    await bench.drained()
    [told] = bench.receiver.accepted
    assert (told.event.from_status, told.event.to_status, told.event.alerts) == ("ERROR", "BUILDING", ())


async def test_who_was_told_of_an_alert_is_told_of_its_end_through_the_quiet(store: Store) -> None:
    bench = Bench(store, ScriptedReceiver())
    state, [_, failed, better] = history("BUILDING", "ERROR", "BUILDING")
    await store.commit([Change(state=state, events=((failed, ("hooks",)),))], now=bench.clock.now())
    await bench.drained()
    again = Bench(store, bench.receiver)
    again.quiet.why = lambda _: "silence of everything"
    await store.commit([Change(state=state, events=((better, ()),))], now=again.clock.now())
    await again.drained()
    assert [[alert.status.value for alert in n.event.alerts] for n in bench.receiver.accepted] == [
        ["firing"],
        ["resolved"],
    ]


async def test_an_end_is_not_told_to_who_does_not_want_it(store: Store) -> None:
    bench = Bench(store, ScriptedReceiver(), send_resolved=False)
    state, [down, up] = None, outage()
    state, _ = history("BUILT")
    await store.commit([Change(state=state, events=((down, ("hooks",)), (up, ("hooks",))))], now=bench.clock.now())
    await bench.drained()
    assert [n.event.kind.value for n in bench.receiver.accepted] == ["unreachable"]
    [kept] = [fact for fact in bench.facts if isinstance(fact, Suppressed)]
    assert kept.reason is Suppression.SEND_RESOLVED


async def test_what_is_too_old_is_dead_though_it_was_never_tried(store: Store) -> None:
    bench = Bench(store, ScriptedReceiver(), max_age=timedelta(hours=1))
    bench.receiver.refusal = refusal(retry_after_s=5000.0)
    [first] = await bench.write("a")
    running = asyncio.create_task(bench.worker.run())
    await bench.until(DeliveryFailed, 1)
    await bench.write("b")
    bench.worker.notify()
    await advance_until(bench, lambda: len(kinds(bench, DeliveryFailed)) == 2, step_s=300.0)
    assert bench.receiver.tries == [first.id]
    bench.worker.drain()
    await running
    assert await store.unfinished() == {("hooks", DeliveryState.DEAD): 2}


async def test_a_digest_cut_off_by_a_crash_is_the_same_one_afterwards(store: Store) -> None:
    bench = Bench(store, ScriptedReceiver())
    bench.receiver.gate = asyncio.Event()
    told = await bench.write(*(f"i{number}" for number in range(12)))
    running = asyncio.create_task(bench.worker.run())
    while not bench.receiver.under_way:
        await store.unfinished()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    more = await bench.write(*(f"j{number}" for number in range(12)))
    again = Bench(store, ScriptedReceiver())
    await again.drained()
    first, second = again.receiver.accepted
    assert bench.receiver.tries == [first.id]
    assert (list(first.events), list(second.events)) == (told, more)


async def test_when_it_takes_something_again_what_failed_before_is_tried_at_once(store: Store) -> None:
    bench = Bench(store, ScriptedReceiver(), digest_over=0)
    bench.receiver.refusal = refusal()
    [stubborn] = await bench.write("a")
    running = asyncio.create_task(bench.worker.run())
    await advance_until(bench, lambda: len(kinds(bench, DeliveryFailed)) == 9)
    await bench.write(*"bc")
    bench.worker.notify()
    await bench.until(ReceiverFailed, 1)
    bench.receiver.refusal = None
    await advance_until(bench, lambda: len(bench.receiver.accepted) >= 2, step_s=0.01)
    recovered_s = bench.clock.monotonic()
    await advance_until(bench, lambda: len(bench.receiver.accepted) == 3, step_s=0.01)
    assert stubborn.id in [notification.id for notification in bench.receiver.accepted]
    assert bench.clock.monotonic() - recovered_s < 10.0
    bench.worker.drain()
    await running


class Others(ScriptedReceiver):
    """The receiver of that name as it is configured now."""


async def test_another_receiver_of_the_name_gets_what_the_one_before_did_not_take_and_nothing_twice(
    store: Store,
) -> None:
    bench = Bench(store, ScriptedReceiver(refusal(), refusal(), refusal(), refusal()), digest_over=0)
    told = await bench.write("a", "b", "c")
    running = asyncio.create_task(bench.worker.run())
    await bench.until(ReceiverFailed, 1)
    others = Others()
    under_way = bench.worker.serve(others, DeliveryPolicy(digest_over=0))
    await bench.until(Delivered, len(told))
    await under_way
    assert sorted(notification.id for notification in others.accepted) == sorted(event.id for event in told)
    assert bench.receiver.accepted == []
    bench.worker.drain()
    await running
    assert await store.unfinished() == {}


async def test_a_try_under_way_ends_as_it_began_and_keeps_the_order(store: Store) -> None:
    bench = Bench(store, ScriptedReceiver(), at_once=1)
    bench.receiver.gate = asyncio.Event()
    told = await bench.write("a", statuses=("CREATING", "ACTIVE", "BUILDING"))
    running = asyncio.create_task(bench.worker.run())
    while not bench.receiver.tries:
        await store.unfinished()
    others = Others()
    under_way = bench.worker.serve(others, DeliveryPolicy())
    assert not under_way.done()
    assert others.tries == []
    bench.receiver.gate.set()
    await bench.until(Delivered, 2)
    assert under_way.done()
    assert [[n.id for n in receiver.accepted] for receiver in (bench.receiver, others)] == [[told[0].id], [told[1].id]]
    bench.worker.drain()
    await running


async def test_a_try_that_fails_at_the_one_before_is_made_at_once_at_the_other(store: Store) -> None:
    bench = Bench(store, ScriptedReceiver(refusal(retry_after_s=3600)))
    bench.receiver.gate = asyncio.Event()
    [told] = await bench.write("a")
    running = asyncio.create_task(bench.worker.run())
    while not bench.receiver.tries:
        await store.unfinished()
    others = Others()
    bench.worker.serve(others, DeliveryPolicy())
    while bench.worker._make_due:  # what waited then is due; the try under way fails only after that
        await store.unfinished()
    bench.receiver.gate.set()
    async with asyncio.timeout(30):
        await bench.until(Delivered, 1)
    assert [n.id for n in others.accepted] == [told.id]
    bench.worker.drain()
    await running


async def test_one_that_leaves_ends_what_is_under_way_and_begins_nothing(store: Store) -> None:
    bench = Bench(store, ScriptedReceiver(), at_once=1)
    bench.receiver.gate = asyncio.Event()
    await bench.write("a", "b")
    running = asyncio.create_task(bench.worker.run())
    while not bench.receiver.tries:
        await store.unfinished()
    bench.worker.leave()
    await bench.clock.settle()
    assert not running.done()
    bench.receiver.gate.set()
    await running
    assert len(bench.receiver.accepted) == 1
    assert await store.unfinished() == {("hooks", DeliveryState.PENDING): 1}


async def test_a_worker_whom_the_store_does_not_answer_is_stuck(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(store, ScriptedReceiver())
    asked = asyncio.Event()

    async def silent(*_: object, **__: object) -> list[Any]:
        asked.set()
        await asyncio.Event().wait()
        return []

    monkeypatch.setattr(bench.quiet, "refresh", silent)
    running = asyncio.create_task(bench.worker.run())
    await asked.wait()
    await bench.clock.advance(300.0)
    assert bench.worker.why_stuck() is None
    await bench.clock.advance(1.0)
    assert bench.worker.why_stuck() == "the deliveries to hooks have not got on for 300 s"
    running.cancel()
    await asyncio.wait([running])
