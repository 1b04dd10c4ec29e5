"""The event stream as `watcher events --follow` reads it: a real server, and anything else that may answer."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest

from tests.fakes.clock import FakeClock
from tests.fakes.sink import Reply, Sink
from tests.fakes.values import at, event
from tests.integration.test_api import Bench, bench  # noqa: F401 - a fixture
from watcher.cli.client import Address, ApiError, Client, Item
from watcher.cli.follow import Follower, latest
from watcher.core.event_json import to_json
from watcher.core.facts import Committed
from watcher.core.model import Event, EventKind, InstanceKey
from watcher.core.news import never_seen
from watcher.core.ports import Change

STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
HELLO = STREAM + b": connected\n\n"


@dataclass
class Screen:
    """What was shown and said, and somebody who follows."""

    follower: Follower
    clock: FakeClock
    shown: list[Item]
    said: list[str]
    news: asyncio.Event = field(default_factory=asyncio.Event)

    async def until(self, count: int) -> list[str]:
        """The ids of what was shown, when there are so many; time passes meanwhile."""
        async with asyncio.timeout(10):
            while len(self.shown) < count:
                await self.clock.advance(1)
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.02):
                        await self.news.wait()
                self.news.clear()
        return [str(item["id"]) for item in self.shown]


@asynccontextmanager
async def screen(url: str, *, silence_s: float = 30.0, **query: Sequence[str]) -> AsyncIterator[Screen]:
    """Somebody to follow the watcher there."""
    clock, news = FakeClock(), asyncio.Event()
    shown: list[Item] = []
    said: list[str] = []

    def show(events: Sequence[Item]) -> None:
        shown.extend(events)
        news.set()

    async with aiohttp.ClientSession() as session:
        client = Client(session, Address(url=url), silence_s=silence_s)
        follower = Follower(client, query, show=show, tell=said.append, clock=clock, rng=random.Random(0))
        yield Screen(follower, clock, shown, said, news)


@asynccontextmanager
async def following(screen: Screen) -> AsyncIterator[asyncio.Task[Any]]:
    task = asyncio.create_task(screen.follower.run())
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@asynccontextmanager
async def streaming(bench: Bench) -> AsyncIterator[None]:  # noqa: F811 - no fixture here
    running = asyncio.create_task(bench.stream.run())
    try:
        yield
    finally:
        running.cancel()
        # Whoever is cancelled again while SQLAlchemy closes its connection to SQLite may leave that closing for ever.
        await asyncio.wait([running])


def numbered(number: int, **changes: Any) -> Event:
    return event(id=f"evt_{number:032d}", sequence=number, observed_at=at(number), **changes)


async def happen(bench: Bench, *events: Event) -> None:  # noqa: F811 - no fixture here
    for told in events:
        state = never_seen(InstanceKey(told.source, told.instance_id), at=told.observed_at)
        await bench.store.commit([Change(state=state, events=((told, ()),))], now=told.observed_at)
    bench.stream(Committed(events))


def message(told: Event) -> bytes:
    return f"id: {told.id}\ndata: {json.dumps(to_json(told))}\n\n".encode()


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (Reply(body="<html>hello</html>"), "HTTP 200, and not as a watcher does: check the address"),
        (Reply(body='{"items": []}'), "did not answer with events: is it a watcher, and of this version?"),
        (Reply(status=302, headers={"Location": "http://127.0.0.1:1/"}), "HTTP 302, and not as a watcher does"),
        (Reply(status=401, body='{"detail": "no"}'), "it wants a token: set WATCHER_TOKEN"),
        (Reply(status=404, body='{"detail": "no such path"}'), "HTTP 404: no such path"),
        (Reply(endless=True), "HTTP 200 with more than "),
        (Reply(raw=HELLO + b"data: " + b"x" * 9_000_000), "sent a message that has no end"),
    ],
)
async def test_what_is_no_stream_ends_it(reply: Reply, said: str) -> None:
    async with Sink(reply) as sink, screen(sink.url) as seen:
        with pytest.raises(ApiError, match=said.replace("?", r"\?")):
            await seen.follower.run()
        assert len(sink.received) == 1


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (Reply(status=503, body='{"detail": "1000 clients listen already"}'), "HTTP 503: 1000 clients listen already"),
        (Reply(status=502, body="<html>bad gateway</html>"), "HTTP 502, and not as a watcher does"),
        (Reply(reset=True), "cannot be reached"),
    ],
)
async def test_what_may_pass_is_tried_again_and_said_once(reply: Reply, said: str) -> None:
    good = Reply(raw=HELLO + message(numbered(1)), hang=True)
    async with Sink(reply, reply, reply, reply, good) as sink, screen(sink.url) as seen, following(seen):
        assert await seen.until(1) == [numbered(1).id]
        lost, back = seen.said
        assert said in lost
        assert (lost.endswith("Trying again until it is back."), back) == (True, "It is back.")


async def test_it_resumes_behind_what_it_saw_last() -> None:
    replies = [
        Reply(raw=HELLO + message(numbered(1)) + message(numbered(2)) + b"id: evt_half\ndata: {"),
        Reply(raw=HELLO + message(numbered(2)) + message(numbered(3))),
        Reply(raw=HELLO, hang=True),
    ]
    async with Sink(*replies) as sink, screen(sink.url, kind=["transition"]) as seen, following(seen):
        assert await seen.until(3) == [numbered(number).id for number in (1, 2, 3)]
        async with asyncio.timeout(10):
            while len(sink.received) < 3:
                await seen.clock.advance(1)
        assert [request.path for request in sink.received] == [
            "/api/v1/stream?kind=transition&after=",
            "/api/v1/stream?kind=transition",
            "/api/v1/stream?kind=transition",
        ]
        assert [request.headers.get("last-event-id") for request in sink.received] == [
            None,
            numbered(2).id,
            numbered(3).id,
        ]
        assert seen.said == []  # a stream that ends and goes on at once is nobody's business


async def test_a_stream_that_says_nothing_is_lost() -> None:
    replies = [Reply(raw=HELLO, hang=True), Reply(raw=HELLO + message(numbered(1)), hang=True)]
    async with Sink(*replies) as sink, screen(sink.url, silence_s=0.2) as seen, following(seen):
        assert await seen.until(1) == [numbered(1).id]
        assert "does not answer within 0.2 s" in seen.said[0]


async def test_a_message_without_an_id_of_its_own_is_none_of_before() -> None:
    second = message(numbered(2)).partition(b"\n")[2]
    reply = Reply(raw=HELLO + message(numbered(1)) + second, hang=True)
    async with Sink(reply) as sink, screen(sink.url) as seen, following(seen):
        assert await seen.until(2) == [numbered(1).id, numbered(2).id]


async def test_what_is_no_event_is_left_out() -> None:
    odd = b"data: {\n\ndata: 7\n\ndata: " + b"[" * 100_000 + b"\n\nevent: news\ndata: {}\n\n"
    reply = Reply(raw=HELLO + odd + message(numbered(1)), hang=True)
    async with Sink(reply) as sink, screen(sink.url) as seen, following(seen):
        assert await seen.until(1) == [numbered(1).id]
        assert seen.said == ["The watcher sent what is no event: left out."] * 3


async def test_when_its_place_is_forgotten_it_takes_up_what_there_is() -> None:
    page = Reply(body=json.dumps({"items": [to_json(numbered(each)) for each in (4, 3, 2)], "next": None}))
    first = Reply(raw=HELLO + message(numbered(2)))
    reset = Reply(raw=HELLO + b"event: reset\ndata: {}\n\n" + message(numbered(4)) + message(numbered(5)), hang=True)
    async with Sink(first, reset, page) as sink, screen(sink.url) as seen, following(seen):
        assert await seen.until(4) == [numbered(each).id for each in (2, 3, 4, 5)]
        assert sink.received[2].path.startswith("/api/v1/events?since=2026-01-01T00:00:02.000Z&order=newest")
        assert seen.said == ["The watcher no longer knows the last event shown here: some may be missing."]


async def test_after_that_nothing_of_before_is_shown_again() -> None:
    first = Reply(raw=HELLO + message(numbered(2)))
    reset = Reply(raw=HELLO + b"event: reset\ndata: {}\n\n")
    anew = Reply(raw=HELLO + message(numbered(1)) + message(numbered(2)) + message(numbered(3)), hang=True)
    nothing = Reply(body='{"items": [], "next": null}')
    async with Sink(first, reset, nothing, anew) as sink, screen(sink.url) as seen, following(seen):
        assert await seen.until(2) == [numbered(2).id, numbered(3).id]


@pytest.mark.parametrize("has_history", [True, False])
async def test_first_the_latest_then_live_without_gap_or_repeat(bench: Bench, has_history: bool) -> None:  # noqa: F811
    async with streaming(bench):
        before = [numbered(1), numbered(2, to_status="ERROR"), numbered(3)] if has_history else []
        await happen(bench, *before)
        async with screen(bench.url) as seen:
            async with aiohttp.ClientSession() as session:
                found = await latest(Client(session, Address(url=bench.url)), {}, limit=2)
            await happen(bench, numbered(4), numbered(5))  # between the two
            seen.follower.catch_up(found)
            async with following(seen):
                count = len(before[-2:])
                await seen.until(count + 2)
                await happen(bench, numbered(6, kind=EventKind.STUCK), numbered(7))
                wanted = [*before[-2:], *(numbered(each) for each in (4, 5, 6, 7))]
                assert await seen.until(count + 4) == [each.id for each in wanted]
            assert seen.said == []


async def test_only_what_was_asked_for(bench: Bench) -> None:  # noqa: F811
    async with streaming(bench), screen(bench.url, instance_id=["2"]) as seen, following(seen):
        await happen(bench, numbered(1), numbered(2, instance_id="2"), numbered(3), numbered(4, instance_id="2"))
        assert await seen.until(2) == [numbered(2).id, numbered(4).id]
