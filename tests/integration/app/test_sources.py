"""Sources as they are taken from others, on a real store."""

from __future__ import annotations

import asyncio
import json
import random

from tests.fakes.clock import FakeClock
from tests.fakes.values import at, history
from watcher.app.sources import Sources
from watcher.core.model import InstanceKey
from watcher.core.ports import Change
from watcher.polling import PollScheduler
from watcher.settings.loader import load_text
from watcher.store import open_store
from watcher.store.limits import Limits

NAMES = [f"s{number}" for number in range(40)]


async def test_very_many_taken_at_once_do_not_wait_for_a_connection_for_too_long(postgres_url: str) -> None:
    document = {
        "sources": [
            {
                "name": name,
                "region": "cn-north-4",
                "project_id": "0" * 32,
                "auth": {"method": "token", "token": "t"},
                "discover": [{}],
            }
            for name in NAMES
        ]
    }
    settings = load_text(json.dumps(document), {}, file="watcher.yaml").settings
    assert settings is not None
    store = await open_store(postgres_url, limits=Limits(pool_s=0.1))
    known = [history("BUILT", key=InstanceKey(name, str(number)))[0] for name in NAMES for number in range(500)]
    await store.commit([Change(state=state) for state in known], now=at(0))
    held = set[str]()
    clock = FakeClock()
    sources = Sources(
        scheduler=PollScheduler(clock=clock),
        store_for=lambda name: store if name in held else None,
        may_act=lambda: True,
        receivers_for=lambda _: (),
        environment={},
        clock=clock,
        rng=random.Random(1),
        observer=lambda _: None,
    )
    sources.swap(await sources.prepare(settings))
    held.update(NAMES)
    await asyncio.gather(*map(sources.take, NAMES))
    assert sorted(sources.held) == sorted(NAMES)
    await sources.drop()
    await sources.close()
    await store.close()
