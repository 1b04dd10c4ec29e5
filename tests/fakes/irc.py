"""An IRC server for one bot: it lets everybody in and records what is said (RFC 2812)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Self

NAME = "irc.example"


class IrcServer:
    """`said` are the (target, text) of every PRIVMSG and NOTICE, in order."""

    def __init__(self) -> None:
        self.said: list[tuple[str, str]] = []
        self.joined: list[str] = []
        self.port = 0
        self._news = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._writers: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.close()
        await self._server.wait_closed()

    async def until_joined(self, channel: str, *, timeout_s: float = 20.0) -> None:
        """Wait until somebody is in the channel."""
        await self._until(lambda: channel in self.joined, timeout_s)

    async def until_said(self, target: str, count: int, *, timeout_s: float = 20.0) -> None:
        """Wait until so much was said there."""
        await self._until(lambda: len(self.said_in(target)) >= count, timeout_s)

    def said_in(self, target: str) -> list[str]:
        """What was said to this channel or person."""
        return [text for to, text in self.said if to == target]

    async def _until(self, enough: Callable[[], bool], timeout_s: float) -> None:
        async with asyncio.timeout(timeout_s):
            while not enough():
                self._news.clear()
                await self._news.wait()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        nick = "*"
        while line := (await reader.readline()).decode().rstrip("\r\n"):
            words, _, text = line.partition(" :")
            command, *arguments = words.split()
            match command.upper():
                case "NICK":
                    nick = arguments[0]
                case "USER":
                    _write(writer, f":{NAME} 001 {nick} :Welcome {nick}")
                case "JOIN":
                    channel = arguments[0]
                    _write(writer, f":{nick}!bot@127.0.0.1 JOIN {channel}")
                    _write(writer, f":{NAME} 366 {nick} {channel} :End of /NAMES list")
                    self.joined.append(channel)
                case "PING":
                    _write(writer, f":{NAME} PONG {NAME} :{text or arguments[0]}")
                case "PRIVMSG" | "NOTICE":
                    self.said.append((arguments[0], text))
                case _:
                    pass
            self._news.set()


def _write(writer: asyncio.StreamWriter, line: str) -> None:
    writer.write(f"{line}\r\n".encode())
