"""A real HTTP server that receives notifications and answers what it is told to."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from aiohttp import web

_LARGEST = 16 * 1024 * 1024


@dataclass(frozen=True)
class Reply:
    """One answer. `reset` closes the connection, `hang` never answers, `cut` is half a body, `endless` has no end.

    `raw` are the very bytes to send in place of it all; with `hang`, nothing more comes and the connection stays open.
    Any of it waits until `after` is set.
    """

    status: int = 200
    body: str = "ok"
    headers: dict[str, str] = field(default_factory=dict)
    reset: bool = False
    hang: bool = False
    cut: bool = False
    endless: bool = False
    raw: bytes = b""
    after: asyncio.Event | None = None


@dataclass(frozen=True)
class Received:
    """One request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: str

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class Sink:
    """Records every request; replies with the next scripted reply, then with `good`."""

    def __init__(self, *replies: Reply, tls: ssl.SSLContext | None = None) -> None:
        self.replies = deque(replies)
        self.received: list[Received] = []
        self.good = Reply()
        self.url = ""
        self._tls = tls
        self._news = asyncio.Event()
        self._closing = asyncio.Event()
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=_LARGEST)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._tls)
        await site.start()
        self.url = f"{'https' if self._tls else 'http'}://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        assert self._runner is not None
        await self._runner.cleanup()

    async def until(self, enough: Callable[[list[Received]], bool], *, timeout_s: float = 30.0) -> None:
        """Wait until what was received is enough."""
        async with asyncio.timeout(timeout_s):
            while not enough(self.received):
                self._news.clear()
                await self._news.wait()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        body = (await request.read()).decode()
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.received.append(Received(request.method, request.path_qs, headers, body))
        self._news.set()
        reply = self.replies.popleft() if self.replies else self.good
        transport = request.transport
        assert transport is not None
        if reply.after is not None:
            await reply.after.wait()
        if reply.raw:
            transport.write(reply.raw)
        if reply.hang:
            await self._closing.wait()
        if reply.reset:
            transport.abort()
        if reply.cut:
            transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf")
        if reply.cut or reply.raw:
            transport.close()
        if reply.endless:
            response = web.StreamResponse(status=reply.status)
            await response.prepare(request)
            with suppress(ConnectionError):  # whoever reads has had enough
                while not transport.is_closing():
                    await response.write(b"x" * 65536)
            return response
        return web.Response(status=reply.status, text=reply.body, headers=reply.headers)
