"""What runs for the receivers, while others are configured."""

from __future__ import annotations

import asyncio
import io
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.fakes.sink import Reply, Sink
from tests.fakes.values import history
from watcher.app.receivers import Receivers
from watcher.core.clock import SystemClock
from watcher.core.model import DeliveryState, InstanceKey
from watcher.core.ports import Change
from watcher.delivery import QuietKeeper
from watcher.settings import Settings
from watcher.store import Store, open_store

SOURCE = {"name": "prod", "region": "ap-southeast-3", "auth": {"method": "auto"}, "instances": ["1"]}


def settings(*receivers: dict[str, Any]) -> Settings:
    return Settings.model_validate({"sources": [SOURCE], "receivers": receivers})


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[tuple[Receivers, Store]]:
    store, clock = await open_store(f"sqlite:///{folder / 'watcher.db'}"), SystemClock()
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        receivers = Receivers(
            store=store,
            store_for=lambda _: store,
            may_act=lambda: True,
            quiet=QuietKeeper(store=store, clock=clock, on_change=lambda: None),
            output=io.StringIO(),
            clock=clock,
            rng=random.Random(1),
            observer=lambda _: None,
            spawn=lambda work, name: group.create_task(work, name=name),
        )
        try:
            yield receivers, store
        finally:
            await receivers.drain(deadline_s=0.01)
            await receivers.close()
            await store.close()


def hook(sink: Sink, timeout: str) -> dict[str, Any]:
    return {"name": "hooks", "type": "webhook", "url": f"{sink.url}/hook", "timeout": timeout}


async def event_for(store: Store, instance: str) -> None:
    state, events = history("BUILDING", "BUILT", key=InstanceKey("prod", instance))
    await store.commit([Change(state=state, events=((events[-1], ("hooks",)),))], now=SystemClock().now())


async def test_one_that_leaves_with_a_try_that_never_ends_does_not_hold_up_the_drain(tmp_path: Path) -> None:
    async with Sink(Reply(hang=True)) as sink, serving(tmp_path) as (receivers, store):
        receivers.swap(receivers.prepare(settings(hook(sink, "1h"))))
        await event_for(store, "1")
        receivers.wake()
        await sink.until(lambda received: len(received) == 1)
        receivers.swap(receivers.prepare(settings()))
        await receivers.drain(deadline_s=0.01)
        assert await store.unfinished() == {("hooks", DeliveryState.PENDING): 1}


async def test_one_that_is_removed_and_there_again_while_a_letter_is_on_its_way_does_not_send_it_twice(
    tmp_path: Path,
) -> None:
    answered = asyncio.Event()
    async with Sink(Reply(after=answered)) as sink, serving(tmp_path) as (receivers, store):
        receivers.swap(receivers.prepare(settings(hook(sink, "1h"))))
        await event_for(store, "1")
        receivers.wake()
        await sink.until(lambda received: len(received) == 1)
        receivers.swap(receivers.prepare(settings()))
        receivers.swap(receivers.prepare(settings(hook(sink, "1h"))))
        await event_for(store, "2")
        receivers.wake()
        for _ in range(50):  # long enough for whoever would send
            await store.unfinished()
        answered.set()
        await sink.until(lambda received: {each.json["data"]["instance_id"] for each in received} == {"1", "2"})
        await receivers.drain(deadline_s=10)
        assert len(sink.received) == 2
        assert not await store.unfinished()
