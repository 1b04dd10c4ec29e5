"""Connections from outside, and no more of them than there are file descriptors for: polling needs some, too."""

from __future__ import annotations

import asyncio
import logging
import resource
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aiohttp import web

from watcher.core.clock import Clock
from watcher.ops.tally import Tally

MOST = 1200
"""The clients of the stream, and room for everybody else."""
_FOR_OTHERS = 256  # store, cloud, receivers
_LEAST = 16
_BACKLOG = 128
_HANDSHAKE_S = 10.0
_AGAIN_S = 1.0

_log = logging.getLogger("watcher.ops")


def affordable() -> int:
    """How many connections may be open, with what this process may open at all."""
    may_open, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST if may_open == resource.RLIM_INFINITY else min(MOST, max(_LEAST, may_open - _FOR_OTHERS))


class Connections:
    """Accepts for an aiohttp server, `limit` connections at most.

    Beyond that the oldest that waits for nothing from us makes room: one that is idle, or whose request never comes to
    an end. So whoever holds many open cannot keep others out. Only where all of them are being answered is a new one
    refused.
    """

    def __init__(self, *, server: web.Server, tls: ssl.SSLContext | None, limit: int, clock: Clock) -> None:
        self._server = server
        self._tls = tls
        self._limit = limit
        self._clock = clock
        self._sockets: list[socket.socket] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._opening: set[asyncio.Task[None]] = set()
        self._answered: set[Any] = set()
        self._full = Tally(clock=clock)

    async def listen(self, host: str, port: int) -> tuple[str, int]:
        """Begin to accept; the first address, with the real port where 0 was asked for. Raises OSError."""
        loop = asyncio.get_running_loop()
        # asyncio knows which addresses a host has, and binds them all; it would accept without end.
        bound = await loop.create_server(self._server, host, port, start_serving=False)
        self._sockets = [each.dup() for each in bound.sockets]
        bound.close()
        for each in self._sockets:
            each.listen(_BACKLOG)
        self._tasks = [loop.create_task(self._accept(each)) for each in self._sockets]
        found: tuple[str, int] = self._sockets[0].getsockname()[:2]
        return found

    async def close(self) -> None:
        """Accept no more."""
        tasks = [*self._tasks, *self._opening]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for each in self._sockets:
            each.close()

    @contextmanager
    def answering(self, request: web.Request) -> Iterator[None]:
        """While this lasts the connection of the request makes room for no other."""
        protocol = request.protocol
        self._answered.add(protocol)
        try:
            yield
        finally:
            self._answered.discard(protocol)

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = await loop.sock_accept(listening)
            except OSError as error:  # as with no descriptor left
                _log.warning("cannot accept connections: %s", error.strerror)
                self._make_room()
                await self._clock.sleep(_AGAIN_S)
                continue
            if self._is_full() and not self._make_room():
                connection.close()
            else:
                task = loop.create_task(self._open(connection))
                self._opening.add(task)
                task.add_done_callback(self._opening.discard)
            await asyncio.sleep(0)  # noqa: TID251 - yields: with many that wait, accepting never does by itself

    async def _open(self, connection: socket.socket) -> None:
        wait_s = _HANDSHAKE_S if self._tls is not None else None
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                self._server, connection, ssl=self._tls, ssl_handshake_timeout=wait_s
            )
        except OSError:  # ssl.SSLError is one: whoever it was speaks no TLS, or not ours
            connection.close()

    def _is_full(self) -> bool:
        return len(self._opening) + sum(each.transport is not None for each in self._server.connections) >= self._limit

    def _make_room(self) -> bool:
        count = self._full.add()
        if count:
            _log.warning("all %d connections are in use, %d times: idle ones are closed", self._limit, count)
        for each in self._server.connections:
            if each.transport is not None and each not in self._answered:
                each.force_close()
                return True
        return False
