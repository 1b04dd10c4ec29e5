"""Receivers that are served no more here: what was claimed and not sent is free for whoever serves them now."""

from __future__ import annotations

import asyncio
import io
import random
from collections.abc import Collection
from typing import cast

from tests.contract.stores import KEYS, course
from tests.fakes.clock import FakeClock
from tests.fakes.model_store import ModelStore
from tests.fakes.values import START, at
from watcher.app.receivers import Receivers
from watcher.core.errors import StoreError
from watcher.core.sharing import Replica, Wish
from watcher.delivery import QuietKeeper
from watcher.settings import Settings
from watcher.store import Store


class TiredStore(ModelStore):
    """Its `failures` are those of the next attempts to give claims up."""

    def __init__(self) -> None:
        super().__init__()
        self.failures: list[StoreError] = []
        self.asked: list[float] = []

    async def unclaim(self, ids: Collection[int] | None = None) -> None:
        self.asked.append(self.book.seconds())
        if self.failures:
            raise self.failures.pop()
        await super().unclaim(ids)


async def leave(store: TiredStore, clock: FakeClock, *, is_buried: bool = False) -> None:
    """One has claimed what it does not send, and serves the receiver no more for the next 10 s."""
    store.book.seconds = clock.monotonic
    me = Replica(id="a", name="a", version="1", started_at=START, seen_at=START)
    await store.join(me, lasts_s=60)
    [lease] = await store.take("a", Wish(["receiver/hooks"], 1))
    await store.commit([course(KEYS[0], "BUILT")], now=at(0))
    await store.under(lease).claim([1])
    assert len(store.claimed()) == 1
    async with asyncio.TaskGroup() as group:
        receivers = Receivers(
            store=cast("Store", store),
            store_for=lambda _: cast("Store", store.under(lease)),
            may_act=lambda: False,
            quiet=QuietKeeper(store=store, clock=clock, on_change=lambda: None),
            output=io.StringIO(),
            clock=clock,
            rng=random.Random(1),
            observer=lambda _: None,
            spawn=lambda work, name: group.create_task(work, name=name),
        )
        hook = {"name": "hooks", "type": "console"}
        source = {"name": "prod", "region": "ap-southeast-3", "auth": {"method": "auto"}, "instances": ["1"]}
        receivers.swap(receivers.prepare(Settings.model_validate({"sources": [source], "receivers": [hook]})))
        await clock.settle()
        await store.release([lease])
        if is_buried:
            await store.leave("a")
        receivers.give("hooks")
        await clock.advance(10)
        await receivers.drain(deadline_s=0.01)
    await receivers.close()


async def test_it_is_free_at_once() -> None:
    store = TiredStore()
    await leave(store, FakeClock())
    assert not store.claimed()
    assert store.asked == [0.0]


async def test_it_is_tried_until_it_is() -> None:
    store = TiredStore()
    store.failures = [StoreError("down"), StoreError("down")]
    await leave(store, FakeClock())
    assert not store.claimed()
    assert len(store.asked) == 3


async def test_what_is_others_anyway_is_not_tried_again() -> None:
    store = TiredStore()
    await leave(store, FakeClock(), is_buried=True)
    assert not store.claimed()
    assert len(store.asked) == 1
