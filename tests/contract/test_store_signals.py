"""What a store tells the replicas that share it, so that nobody has to look again and again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from tests.contract.sharing import holding
from tests.contract.stores import KEYS, AnyStore, Course, course, deliver, delivered, heads
from tests.fakes.model_store import ModelStore
from tests.fakes.values import at
from watcher.core.clock import SystemClock
from watcher.core.model import Reason
from watcher.core.ports import Change, Explanation
from watcher.core.quiet import Silence
from watcher.core.routing import Matcher
from watcher.store.listening import listen

pytestmark = pytest.mark.parametrize("store", ["postgres", "model"], indirect=True)


class Heard:
    """What a replica is told by others, in turn."""

    def __init__(self) -> None:
        self._topics: asyncio.Queue[str] = asyncio.Queue()
        self.listens = asyncio.Event()

    def signalled(self, topic: str, *_details: Any) -> None:
        self._topics.put_nowait(topic)

    def missed_signals(self) -> None:
        self.listens.set()

    async def of(self, store: AnyStore, work: Awaitable[object]) -> set[str]:
        """What is told by this, besides of states."""
        await work
        await store.release([])  # which is told as well, after all that was told before
        topics = set[str]()
        while (topic := await asyncio.wait_for(self._topics.get(), 10)) != "roster":
            topics.add(topic)
        return topics - {"states"}


@asynccontextmanager
async def hearing(store: AnyStore) -> AsyncIterator[Heard]:
    """Somebody listens."""
    heard = Heard()
    if isinstance(store, ModelStore):
        store.book.on_signal = heard.signalled
        yield heard
        return
    listening = asyncio.create_task(listen(store.engine, heard, clock=SystemClock()))
    await heard.listens.wait()
    yield heard
    listening.cancel()
    await asyncio.wait([listening])


class TestSignals:
    """What others are told of, so that they need not look."""

    async def test_there_is_something_to_deliver(self, store: AnyStore) -> None:
        going = Course()
        async with hearing(store) as heard:
            news = going.sees("ERROR", 1, "hooks")
            assert await heard.of(store, store.commit([news], now=at(1))) == {"deliveries"}
            assert await heard.of(store, store.commit([Change(state=news.state)], now=at(2))) == set()

    async def test_what_was_told_says_more(self, store: AnyStore) -> None:
        going = Course()
        news = going.sees("ERROR", 0, "hooks")
        await store.commit([news], now=at(0))
        await deliver(store, 1)
        why = Reason(code="WKS.0017", message="sysprep failed", exact=False)
        explained = Explanation(event_id=news.events[0][0].id, reason=why, receivers=("hooks",))
        change = Change(state=replace(news.state, reason=why), explained=explained)
        async with hearing(store) as heard:
            assert await heard.of(store, store.commit([change], now=at(2))) == {"deliveries"}
            assert await heard.of(store, store.commit([change], now=at(3))) == set()

    async def test_others_may_send_what_was_claimed(self, store: AnyStore) -> None:
        await store.commit([course(KEYS[0], "BUILT"), course(KEYS[1], "BUILT")], now=at(0))
        [lease] = await holding(store, "a", "receiver/hooks")
        mine = store.under(lease)
        first, second = await heads(mine)
        await mine.claim([first.id, second.id])
        await store.release([lease])
        async with hearing(store) as heard:
            assert await heard.of(store, mine.unclaim([first.id])) == {"deliveries"}
            assert await heard.of(store, mine.unclaim([first.id])) == set()
            assert await heard.of(store, mine.record([delivered(second, 1)])) == {"deliveries"}

    async def test_somebody_is_gone_with_claims(self, store: AnyStore) -> None:
        await store.commit([course(KEYS[0], "BUILT")], now=at(0))
        [lease] = await holding(store, "a", "receiver/hooks")
        await store.under(lease).claim([each.id for each in await heads(store)])
        async with hearing(store) as heard:
            assert await heard.of(store, store.leave("a")) == set()  # who is gone is told first
            assert await heard.of(store, store.release([])) == {"deliveries"}

    async def test_what_is_quiet_has_changed(self, store: AnyStore) -> None:
        silence = Silence(
            id="s1",
            match=Matcher(),
            starts_at=at(0),
            ends_at=at(60),
            author="anna",
            comment="",
            created_at=at(0),
        )
        async with hearing(store) as heard:
            assert await heard.of(store, store.add_silence(silence)) == {"quiet"}
            assert await heard.of(store, store.expire_silence("s1", now=at(1))) == {"quiet"}
