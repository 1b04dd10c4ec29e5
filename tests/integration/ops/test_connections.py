"""Whoever opens many connections, or says little on them, keeps nobody out."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry

from tests.fakes.clock import FakeClock
from tests.fakes.view import Well
from watcher.ops import Guard, OpsServer
from watcher.ops.connections import MOST, affordable

GET = b"GET /-/healthy HTTP/1.1\r\nHost: localhost\r\n\r\n"
Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Bench:
    """A server, and all that was opened to it."""

    def __init__(self) -> None:
        self.port = 0
        self.opened: list[asyncio.StreamWriter] = []
        self.gate = asyncio.Event()

    async def hold(self, request: web.Request) -> web.StreamResponse:
        """An answer that goes on until the gate opens."""
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"begun\n")
        await self.gate.wait()
        return response

    async def connect(self, said: bytes = b"") -> Ends:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.opened.append(writer)
        writer.write(said)
        await writer.drain()
        return reader, writer

    async def answer(self) -> bytes:
        """The first line that a new connection is told."""
        reader, _ = await self.connect(GET)
        return await reader.readline()


async def _nothing() -> None:
    pass


@asynccontextmanager
async def serving(**more: Any) -> AsyncIterator[Bench]:
    bench = Bench()
    server = OpsServer(
        host="127.0.0.1",
        port=0,
        registry=CollectorRegistry(),
        refresh=_nothing,
        wellness=Well(),
        routes=[web.get("/hold", bench.hold)],
        guard=Guard,
        clock=FakeClock(),
        **more,
    )
    bench.port = int((await server.start()).rpartition(":")[2])
    try:
        yield bench
    finally:
        bench.gate.set()
        for writer in bench.opened:
            writer.close()
        await server.close()


@pytest.mark.parametrize("said", [b"", b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-A: b\r\n", GET])
async def test_many_that_say_nothing_or_half_of_it_keep_nobody_out(
    said: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(max_connections=10) as bench:
        first, _ = await bench.connect(said)
        for _ in range(100):
            await bench.connect(said)
        assert await bench.answer() == b"HTTP/1.1 200 OK\r\n"
        await first.read()  # the oldest went first
    assert [each.getMessage() for each in caplog.records] == [
        "all 10 connections are in use, 1 times: idle ones are closed"
    ]


async def test_what_is_being_answered_makes_no_room() -> None:
    async with asyncio.timeout(20), serving(max_connections=3) as bench:
        streams = [await bench.connect(b"GET /hold HTTP/1.1\r\nHost: x\r\n\r\n") for _ in range(2)]
        for reader, _ in streams:
            await reader.readuntil(b"begun\n")
        for _ in range(10):
            await bench.connect()
        assert await bench.answer() == b"HTTP/1.1 200 OK\r\n"
        third, _ = await bench.connect(b"GET /hold HTTP/1.1\r\nHost: x\r\n\r\n")
        await third.readuntil(b"begun\n")
        refused, _ = await bench.connect()
        with suppress(ConnectionResetError):
            assert await refused.read() == b""
        bench.gate.set()
        for reader, _ in streams:
            await reader.readuntil(b"0\r\n\r\n")


@pytest.mark.parametrize("said", [b"", b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-A: b\r\n", GET, GET + b"GET /x HT"])
async def test_a_connection_without_a_whole_request_is_closed_in_time(said: bytes) -> None:
    async with serving(idle_s=0.2) as bench, asyncio.timeout(10):
        reader, _ = await bench.connect(said)
        await reader.read()


async def test_a_body_that_never_comes_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    from pydantic import BaseModel  # noqa: PLC0415

    from watcher.ops.api import endpoint  # noqa: PLC0415

    class Nothing(BaseModel):
        pass

    async def handle(**_: Any) -> None:
        pass

    monkeypatch.setattr(endpoint, "_BODY_S", 0.1)
    operation = endpoint.Endpoint(method="POST", path="/x", summary="", handler=handle, answer=None, body=Nothing)
    head = b"POST /api/v1/x HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{"
    async with serving_routes(operation.route(first=_nothing)) as bench, asyncio.timeout(10):
        reader, _ = await bench.connect(head)
        assert await reader.readline() == b"HTTP/1.1 408 Request Timeout\r\n"


@asynccontextmanager
async def serving_routes(*routes: web.RouteDef) -> AsyncIterator[Bench]:
    bench = Bench()
    server = OpsServer(
        host="127.0.0.1",
        port=0,
        registry=CollectorRegistry(),
        refresh=_nothing,
        wellness=Well(),
        routes=routes,
        guard=Guard,
        clock=FakeClock(),
    )
    bench.port = int((await server.start()).rpartition(":")[2])
    try:
        yield bench
    finally:
        for writer in bench.opened:
            writer.close()
        await server.close()


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + b"x" * 170_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 10_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 1000 + b"\r\n",
    ],
    ids=["line", "header", "headers"],
)
async def test_a_head_has_an_end_and_is_not_logged(head: bytes, caplog: pytest.LogCaptureFixture) -> None:
    async with serving() as bench, asyncio.timeout(10):
        reader, _ = await bench.connect(head)
        assert (await reader.readline()).split()[1:2] == [b"400"]
    assert caplog.records == []


def test_polling_keeps_its_descriptors() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        for may_open, most in ((256, 16), (1024, 768), (1_000_000, MOST)):
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(may_open, before[1]), before[1]))
            assert affordable() == most
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
