"""Hearing what other replicas tell through PostgreSQL: a connection of its own that listens."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import Any, Protocol

from asyncpg import InterfaceError, InternalClientError, PostgresError
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from watcher.core.clock import Clock
from watcher.store.signals import CHANNEL

_PING_S = 5.0
_AGAIN_S = 1.0


class Listener(Protocol):
    """Who is told."""

    def signalled(self, topic: str, *details: Any) -> None:
        """A replica, perhaps this one, says so."""
        ...

    def missed_signals(self) -> None:
        """The connection is new: anything may have been said."""
        ...


async def listen(engine: AsyncEngine, listener: Listener, *, clock: Clock) -> None:
    """Listen until cancelled, and connect again and again. That the store is down is told by those who write to it."""
    while True:
        try:
            await _listen(engine, listener, clock=clock)
        except (SQLAlchemyError, PostgresError, InterfaceError, InternalClientError, OSError, TimeoutError):
            await clock.sleep(_AGAIN_S)


async def _listen(engine: AsyncEngine, listener: Listener, *, clock: Clock) -> None:
    pooled = await engine.raw_connection()
    connection: Any = pooled.driver_connection
    pooled.detach()
    lost = asyncio.Event()

    def heard(_connection: object, _pid: int, _channel: str, text: str) -> None:
        with suppress(ValueError):  # anybody who may connect may say anything
            topic, *details = json.loads(text)
            listener.signalled(topic, *details)

    try:
        connection.add_termination_listener(lambda _: lost.set())
        await connection.add_listener(CHANNEL, heard)
        listener.missed_signals()
        while not await clock.wait(lost, _PING_S):
            await connection.execute("SELECT 1", timeout=_PING_S)
    finally:
        connection.terminate()
