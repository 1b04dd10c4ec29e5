from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from tests.fakes.clock import FakeClock
from tests.fakes.receivers import ScriptedReceiver, refusal
from tests.fakes.values import event, history
from watcher.core.errors import FailureReason, StoreError
from watcher.core.facts import Delivered, DeliveryFailed, Fact, StoreFailed, StoreRecovered
from watcher.core.model import DeliveryState, Event, InstanceKey
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

    def __init__(self, store: Store, receiver: ScriptedReceiver, **policy: object) -> None:
        self.store = store
        self.clock = FakeClock()
        self.receiver = receiver
        self.facts: list[Fact] = []
        self.worker = DeliveryWorker(
            receiver=receiver,
            store=store,
            policy=DeliveryPolicy(**policy),  # type: ignore[arg-type]  # the test's own keywords
            clock=self.clock,
            rng=random.Random(1),
            observer=self._observe,
        )
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
    assert await store.next_due_at("hooks") is None


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
    due_at = await store.next_due_at("hooks")
    assert due_at is not None
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
    """A store whose writes fail a few times."""

    def __init__(self, store: Store, *, failures: int) -> None:
        self._store = store
        self._failures = failures
        self.due = store.due
        self.next_due_at = store.next_due_at

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


async def test_latency_is_from_observation_to_accepted(store: Store) -> None:
    bench = Bench(store, ScriptedReceiver())
    state, _ = history("BUILT")
    told = event(observed_at=bench.clock.now() - timedelta(seconds=2))
    await store.commit([Change(state=state, events=((told, ("hooks",)),))], now=bench.clock.now())
    await bench.drained()
    [fact] = [fact for fact in bench.facts if isinstance(fact, Delivered)]
    assert fact.latency_s == 2.0
