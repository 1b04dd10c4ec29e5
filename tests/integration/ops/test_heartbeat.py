from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from pydantic import SecretStr

from tests.fakes.clock import FakeClock
from tests.fakes.sink import Reply, Sink
from watcher.core.facts import Fact, HeartbeatMissed, HeartbeatSent
from watcher.ops import Heartbeat
from watcher.settings.service import HeartbeatSettings


class Bench:
    """A heartbeat every minute to a real server, with time by hand."""

    def __init__(self, url: str) -> None:
        self.clock = FakeClock()
        self.facts: list[Fact] = []
        self.why_not: str | None = None
        self._news = asyncio.Event()
        self.heartbeat = Heartbeat(
            url=HeartbeatSettings(url=SecretStr(url)).required_secret("url"),
            interval_s=60.0,
            why_not=self._ask,
            clock=self.clock,
            observer=self._observe,
        )

    async def _ask(self) -> str | None:
        return self.why_not

    def _observe(self, fact: Fact) -> None:
        self.facts.append(fact)
        self._news.set()

    async def beats(self, count: int) -> list[str]:
        """What came of so many beats, one a minute."""
        while (seen := len(self.facts)) < count:
            if seen:
                await self.clock.advance(60.0)
            while len(self.facts) == seen:
                self._news.clear()
                await self._news.wait()
        return [fact.reason if isinstance(fact, HeartbeatMissed) else "sent" for fact in self.facts[:count]]


@asynccontextmanager
async def beating(sink: Sink) -> AsyncIterator[Bench]:
    bench = Bench(f"{sink.url}/ping/canary-path")
    task = asyncio.create_task(bench.heartbeat.run())
    try:
        yield bench
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_it_beats_while_all_is_well() -> None:
    async with Sink() as sink, beating(sink) as bench:
        assert await bench.beats(3) == ["sent"] * 3
        assert [(request.method, request.path) for request in sink.received] == [("GET", "/ping/canary-path")] * 3
        assert isinstance(bench.facts[0], HeartbeatSent)


async def test_it_stays_away_while_something_is_wrong() -> None:
    async with Sink() as sink, beating(sink) as bench:
        bench.why_not = "no source answers"
        assert await bench.beats(2) == ["no source answers"] * 2
        assert [fact.first for fact in bench.facts if isinstance(fact, HeartbeatMissed)] == [True, False]
        assert sink.received == []
        bench.why_not = None
        assert (await bench.beats(3))[-1] == "sent"


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply(status=404), "answered HTTP 404"),
        (Reply(status=302, headers={"Location": "/elsewhere"}), "answered HTTP 302"),
    ],
)
async def test_one_that_does_not_arrive_is_told_and_the_next_is_sent(reply: Reply, reason: str) -> None:
    async with Sink(reply) as sink, beating(sink) as bench:
        assert await bench.beats(2) == [reason, "sent"]
        assert "canary" not in str(bench.facts)


async def test_its_secret_is_read_at_each_beat(tmp_path: Path) -> None:
    async with Sink() as sink:
        path = tmp_path / "url"
        bench = Bench(sink.url)
        bench.heartbeat._url = HeartbeatSettings(url_file=path).required_secret("url")
        task = asyncio.create_task(bench.heartbeat.run())
        assert "cannot" in (await bench.beats(1))[0]
        path.write_text(sink.url)
        assert (await bench.beats(2))[-1] == "sent"
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
