"""What runs for the receivers, while others are configured."""

from __future__ import annotations

import asyncio
import io
import random
from pathlib import Path
from typing import Any

from tests.fakes.sink import Reply, Sink
from tests.fakes.values import history
from watcher.app.receivers import Receivers
from watcher.core.clock import SystemClock
from watcher.core.facts import Fact
from watcher.core.model import DeliveryState
from watcher.core.ports import Change
from watcher.delivery import QuietKeeper
from watcher.settings import Settings
from watcher.store import open_store

SOURCE = {"name": "prod", "region": "ap-southeast-3", "auth": {"method": "auto"}, "instances": ["1"]}


def settings(*receivers: dict[str, Any]) -> Settings:
    return Settings.model_validate({"sources": [SOURCE], "receivers": receivers})


async def test_one_that_leaves_with_a_try_that_never_ends_does_not_hold_up_the_drain(tmp_path: Path) -> None:
    store, facts = await open_store(f"sqlite:///{tmp_path / 'watcher.db'}"), list[Fact]()
    clock = SystemClock()
    async with Sink(Reply(hang=True)) as sink, asyncio.timeout(30), asyncio.TaskGroup() as group:
        receivers = Receivers(
            store=store,
            store_for=lambda _: store,
            may_act=lambda: True,
            quiet=QuietKeeper(store=store, clock=clock, on_change=lambda: None),
            output=io.StringIO(),
            clock=clock,
            rng=random.Random(1),
            observer=facts.append,
            spawn=lambda work, name: group.create_task(work, name=name),
        )
        hook = {"name": "hooks", "type": "webhook", "url": f"{sink.url}/hook", "timeout": "1h"}
        receivers.swap(receivers.prepare(settings(hook)))
        state, events = history("BUILDING", "BUILT")
        await store.commit([Change(state=state, events=((events[-1], ("hooks",)),))], now=clock.now())
        receivers.wake()
        await sink.until(lambda received: len(received) == 1)
        receivers.swap(receivers.prepare(settings()))
        await receivers.drain(deadline_s=0.01)
    assert await store.unfinished() == {("hooks", DeliveryState.PENDING): 1}
    await receivers.close()
    await store.close()
