"""The event stream over real connections: each event once and in order, however slow the client is."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from prometheus_client import CollectorRegistry

from tests.fakes.clock import FakeClock
from tests.fakes.values import at, event, history
from tests.fakes.view import Well
from watcher.core.errors import StoreError
from watcher.core.facts import Committed
from watcher.core.ports import Change, HistoryStore, Wanted
from watcher.ops import EventStream, Guard, OpsServer
from watcher.store import Store, open_store


class Failing:
    """A store that cannot be read while `error` is set."""

    def __init__(self, store: HistoryStore) -> None:
        self._store = store
        self.error: StoreError | None = None
        self.meanwhile: Callable[[], Awaitable[object]] | None = None
        """What happens while somebody asks for the last position."""

    def __getattr__(self, name: str) -> Any:
        if self.error is not None:
            raise self.error
        return getattr(self._store, name)

    async def last_position(self) -> int:
        position = await self._store.last_position()
        if self.meanwhile is not None:
            await self.meanwhile()
            await FakeClock().settle()  # whoever is told of it has had the time
        return position


class Bench:
    """A server of the stream, and a hand that writes events."""

    def __init__(self, store: Store, *, stuck_s: float = 30, max_clients: int = 300) -> None:
        self.store = store
        self.disk = Failing(store)
        self.clock = FakeClock()
        self.stream = EventStream(store=self.disk, clock=self.clock, stuck_s=stuck_s, max_clients=max_clients)
        self.url = ""
        self.written = 0

    async def write(self, count: int = 1, *, kind_of: str = "prod", size: int = 0) -> list[str]:
        """So many more events, each in a commit of its own; their ids."""
        ids = []
        for _ in range(count):
            self.written += 1
            told = event(
                id=f"evt_{self.written:032x}",
                source=kind_of,
                sequence=self.written,
                record=json.dumps({"padding": "x" * size}),
            )
            await self.store.commit([Change(state=history("BUILT")[0], events=((told, ()),))], now=at(0))
            self.stream(Committed([told]))
            ids.append(told.id)
        return ids

    @asynccontextmanager
    async def listening(self, query: str = "", **headers: str) -> AsyncIterator[Listener]:
        """A client that is connected."""
        timeout = aiohttp.ClientTimeout(total=None, sock_read=30)
        async with (
            aiohttp.ClientSession(timeout=timeout, read_bufsize=2**20) as session,
            session.get(f"{self.url}/api/v1/stream{query}", headers=headers) as response,
        ):
            listener = Listener(response)
            if response.status == 200:
                assert await listener.line() == ": connected"
                assert await listener.line() == "retry: 2000"
                assert await listener.line() == ""
            yield listener


@dataclass
class Listener:
    """What a client gets."""

    response: aiohttp.ClientResponse
    comments: list[str] = field(default_factory=list)

    async def line(self) -> str:
        """The next line; fails at the end."""
        line = await self.response.content.readline()
        assert line.endswith(b"\n"), "the stream ended"
        return line.decode().removesuffix("\n")

    async def message(self) -> dict[str, str]:
        """The fields of the next message; comments are put aside."""
        fields: dict[str, str] = {}
        while True:
            line = await self.line()
            if line.startswith(":"):
                self.comments.append(line)
            elif line:
                name, _, value = line.partition(": ")
                fields[name] = value
            elif fields:
                return fields

    async def ids(self, count: int) -> list[str]:
        """The ids of the next so many messages."""
        return [(await self.message())["id"] for _ in range(count)]


@asynccontextmanager
async def serving(folder: Path, *, stuck_s: float = 30, max_clients: int = 300) -> AsyncIterator[Bench]:
    """A store, and a server of its stream."""
    store = await open_store(f"sqlite:///{folder / 'watcher.db'}")
    bench = Bench(store, stuck_s=stuck_s, max_clients=max_clients)
    running = asyncio.create_task(bench.stream.run())
    server = OpsServer(
        host="127.0.0.1",
        port=0,
        registry=CollectorRegistry(),
        refresh=_nothing,
        wellness=Well(),
        routes=bench.stream.routes(),
        guard=Guard,
        clock=bench.clock,
        on_shutdown=bench.stream.close,
    )
    bench.url = await server.start()
    try:
        yield bench
    finally:
        await server.close()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await store.close()


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with serving(tmp_path) as bench:
        yield bench


async def _nothing() -> None:
    pass


async def test_what_comes_is_told_as_it_is_kept(bench: Bench) -> None:
    await bench.write(3)
    async with bench.listening() as listener:
        assert listener.response.content_type == "text/event-stream"
        assert listener.response.headers["Cache-Control"] == "no-store"
        [new] = await bench.write()
        message = await listener.message()
        [entry] = await bench.store.entries(Wanted(), after=3)
        assert message == {"id": new, "data": entry.body}
        assert json.loads(message["data"])["sequence"] == 4


async def test_it_goes_on_behind_the_last_that_came(bench: Bench) -> None:
    ids = await bench.write(250)
    for query, headers in (("", {"Last-Event-ID": ids[9]}), (f"?after={ids[9]}", {})):
        async with bench.listening(query, **headers) as listener:
            assert await listener.ids(240) == ids[10:]
    async with bench.listening("?after=") as listener:
        assert await listener.ids(250) == ids
        more = await bench.write(2)
        assert await listener.ids(2) == more
    async with bench.listening(f"?after={ids[0]}", **{"Last-Event-ID": ids[-1]}) as listener:
        assert await listener.ids(2) == more


@pytest.mark.parametrize("forgotten", ["evt_" + "f" * 32, "x", "\xff" * 100, "evt_'; --"])
async def test_behind_one_that_is_not_kept_everything_is_to_be_loaded_anew(bench: Bench, forgotten: str) -> None:
    await bench.write(2)
    async with bench.listening(**{"Last-Event-ID": forgotten}) as listener:
        assert await listener.message() == {"event": "reset", "data": "{}"}
        new = await bench.write()
        assert await listener.ids(1) == new


async def test_only_what_was_asked_for(bench: Bench) -> None:
    async with bench.listening("?source=test&kind=transition&kind=deleted") as listener:
        await bench.write(3)
        wanted = await bench.write(1, kind_of="test")
        assert await listener.ids(1) == wanted
    async with bench.listening("?instance_id=1&after=") as listener:
        await bench.clock.advance(15)
        assert await listener.line() == ": heartbeat"


async def test_what_is_wrong_is_said(bench: Bench) -> None:
    for query in ("?kind=frob", "?after=7", "?limit=3"):
        async with bench.listening(query) as listener:
            assert (listener.response.status, listener.response.content_type) == (400, "application/problem+json")


async def test_it_beats_while_there_is_no_news(bench: Bench) -> None:
    async with bench.listening() as listener:
        for _ in range(2):
            await bench.clock.advance(15)
            assert (await listener.line(), await listener.line()) == (": heartbeat", "")


async def test_200_clients_each_get_all(bench: Bench) -> None:
    async with AsyncExitStack() as stack:
        listeners = [await stack.enter_async_context(bench.listening()) for _ in range(200)]
        ids = await bench.write(20)
        got = await asyncio.gather(*(listener.ids(20) for listener in listeners))
        assert all(each == ids for each in got)


async def test_nothing_is_kept_for_one_that_is_slow(bench: Bench) -> None:
    """It goes on from the store when the others are long done, and what is kept for all stays small."""
    async with bench.listening() as slow, bench.listening() as quick:
        for _ in range(3):
            ids = await bench.write(20, size=200_000)
            assert await quick.ids(20) == ids
            assert bench.stream.kept_bytes <= 4 * 1024 * 1024
        assert await slow.ids(60) == [f"evt_{number:032x}" for number in range(1, 61)]


async def test_a_client_that_takes_nothing_is_dropped(tmp_path: Path) -> None:
    async with serving(tmp_path, stuck_s=0.05) as bench:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(bench.url.rpartition(":")[2]), limit=1024)
        writer.write(b"GET /api/v1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await reader.readuntil(b"retry: 2000\n\n")
        await bench.write(40, size=500_000)
        async with asyncio.timeout(20):
            while bench.stream.clients:
                await bench.clock.settle()
        content = bytearray()
        while chunk := await reader.read(2**20):
            content += chunk
        writer.close()
        assert not content.endswith(b"0\r\n\r\n")  # nobody is to take it for the end


async def test_what_came_while_the_store_could_not_be_read_comes_when_it_can(bench: Bench) -> None:
    async with bench.listening() as listener:
        bench.disk.error = StoreError("cannot read the store: disk I/O error")
        ids = await bench.write()
        await bench.clock.settle()
        bench.disk.error = None
        await bench.clock.advance(1)
        assert await listener.ids(1) == ids
    bench.disk.error = StoreError("cannot read the store: disk I/O error")
    async with bench.listening(f"?after={ids[0]}") as listener:
        assert listener.response.status == 503


async def test_what_comes_while_the_first_one_joins_is_told(bench: Bench) -> None:
    bench.disk.meanwhile = bench.write
    async with bench.listening() as listener:
        bench.disk.meanwhile = None
        assert await listener.ids(1) == [f"evt_{1:032x}"]


async def test_no_more_than_so_many_may_listen(tmp_path: Path) -> None:
    async with serving(tmp_path, max_clients=1) as bench:
        async with bench.listening(), bench.listening() as second:
            assert (second.response.status, second.response.headers["Retry-After"]) == (503, "10")
        while bench.stream.clients:
            await bench.clock.advance(15)
        async with bench.listening() as third:
            assert third.response.status == 200


async def test_nothing_is_kept_for_nobody(bench: Bench) -> None:
    async with bench.listening() as listener:
        await bench.write(3, size=1000)
        await listener.ids(3)
        assert bench.stream.kept_bytes > 3000
    while bench.stream.clients:
        await bench.clock.advance(15)
    await bench.write()
    await bench.clock.settle()
    assert bench.stream.kept_bytes == 0


async def test_who_joins_while_others_listen_gets_no_more_and_no_less(bench: Bench) -> None:
    async with bench.listening() as first:
        ids = await bench.write(5)
        assert await first.ids(5) == ids
        async with bench.listening() as second, bench.listening(f"?after={ids[2]}") as third:
            more = await bench.write(2)
            assert await first.ids(2) == await second.ids(2) == more
            assert await third.ids(4) == [*ids[3:], *more]


async def test_it_ends_with_the_server(bench: Bench) -> None:
    async with bench.listening() as listener:
        bench.stream.close()
        assert await listener.response.content.read() == b""
