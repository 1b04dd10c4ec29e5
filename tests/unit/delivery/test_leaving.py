"""A worker whose receiver is given to another replica: what it has under way ends here, and is recorded."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Collection

import pytest

from tests.contract.stores import KEYS, course
from tests.fakes.clock import FakeClock
from tests.fakes.model_store import ModelStore
from tests.fakes.quiet import ScriptedQuiet
from tests.fakes.receivers import ScriptedReceiver
from tests.fakes.values import START, at
from watcher.core.model import DeliveryState
from watcher.core.sharing import Lease, Replica, Wish
from watcher.delivery import DeliveryPolicy, DeliveryWorker


class SlowStore(ModelStore):
    """Claims wait, as long as there is something to wait for."""

    def __init__(self) -> None:
        super().__init__()
        self.gates: list[asyncio.Event] = []

    async def claim(self, ids: Collection[int]) -> Collection[int]:
        for gate in self.gates:
            await gate.wait()
        return await super().claim(ids)


async def holding(store: ModelStore) -> Lease:
    """A replica that serves the receiver."""
    await store.join(Replica(id="a", name="a", version="1", started_at=START, seen_at=START), lasts_s=60)
    [lease] = await store.take("a", Wish(["receiver/hooks"], 1))
    return lease


def worker_of(store: ModelStore, receiver: ScriptedReceiver, clock: FakeClock) -> DeliveryWorker:
    return DeliveryWorker(
        receiver=receiver,
        store=store,
        quiet=ScriptedQuiet(),
        policy=DeliveryPolicy(timeout_s=1000.0),
        clock=clock,
        rng=random.Random(1),
        observer=lambda _: None,
    )


@pytest.mark.parametrize("is_buried", [False, True])
async def test_what_is_under_way_is_recorded_though_the_lease_is_lost_in_the_middle_of_a_turn(is_buried: bool) -> None:
    store, clock, receiver = SlowStore(), FakeClock(), ScriptedReceiver()
    lease = await holding(store)
    worker = worker_of(store.under(lease), receiver, clock)
    working = asyncio.create_task(worker.run())
    await store.commit([course(KEYS[2], "BUILT")], now=at(0))
    worker.notify()
    await clock.settle()
    assert receiver.accepted
    receiver.gate = asyncio.Event()
    await store.commit([course(KEYS[0], "BUILT")], now=at(0))
    worker.notify()
    await clock.settle()
    assert receiver.under_way == 1
    store.gates.append(asyncio.Event())
    await store.commit([course(KEYS[1], "BUILT")], now=at(0))
    worker.notify()
    await clock.settle()  # it is about to claim the second one
    await store.release([lease])
    worker.leave()
    if is_buried:
        await store.leave("a")
    store.gates[0].set()
    await clock.settle()
    assert not working.done()
    receiver.gate.set()
    await clock.advance(10)
    assert working.done()
    working.result()
    assert len(receiver.accepted) == 2
    assert await store.unfinished() == {("hooks", DeliveryState.PENDING): 2 if is_buried else 1}
    assert not store.claimed()
