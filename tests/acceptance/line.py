"""A line between a process and a server, on loopback, that can be disturbed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

_CHUNK = 65536


class Line:
    """Passes on what comes; `heard` is given what the process says, as it comes.

    It can be cut (its connections end, new ones are made), refuse (no new ones either) and swallow: nothing more passes
    and nobody is told. What was swallowed arrives when the line is mended, as it does after a network was away.
    """

    def __init__(self, port: int, *, heard: Callable[[bytes], None] = lambda _: None) -> None:
        """To that port of 127.0.0.1."""
        self._to = port
        self._heard = heard
        self._flows = asyncio.Event()
        self._flows.set()
        self._refuses = False
        self._transports: set[asyncio.WriteTransport] = set()
        self._passing: set[asyncio.Task[None]] = set()
        self.port = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        self.cut()
        passing = tuple(self._passing)
        for task in passing:
            task.cancel()
        await asyncio.gather(*passing, return_exceptions=True)

    def cut(self) -> None:
        """End what is connected."""
        for transport in self._transports:
            transport.abort()

    def refuse(self) -> None:
        """The same, and end whatever connects."""
        self._refuses = True
        self.cut()

    def swallow(self) -> None:
        """Pass nothing on, and do not say so."""
        self._flows.clear()

    def mend(self) -> None:
        """Pass on, and what was swallowed first."""
        self._refuses = False
        self._flows.set()

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._passing.add(task)
        task.add_done_callback(self._passing.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._transports.add(writer.transport)
        try:
            if not self._refuses:
                await self._flows.wait()
                await self._pass_on(reader, writer)
        except OSError:
            pass  # whom it is for does not answer
        finally:
            writer.transport.abort()
            self._transports.discard(writer.transport)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._to)
        self._transports.add(far_writer.transport)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pump(reader, far_writer, self._heard))
                both.create_task(self._pump(far_reader, writer, lambda _: None))
        finally:
            far_writer.transport.abort()
            self._transports.discard(far_writer.transport)

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, heard: Callable[[bytes], None]
    ) -> None:
        with suppress(OSError):
            while chunk := await reader.read(_CHUNK):
                heard(chunk)
                await self._flows.wait()
                writer.write(chunk)
                await writer.drain()
        await self._flows.wait()
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()  # what was written before still arrives
