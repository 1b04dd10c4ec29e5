"""Whoever listens goes on listening, whatever becomes of the connection."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.fakes.clock import FakeClock
from watcher.core.errors import StoreError
from watcher.store.database import store_errors
from watcher.store.listening import listen


def ending() -> asyncpg.InternalClientError:
    """What asyncpg says where the server has just said that it ends the connection, and has not ended it yet."""
    return asyncpg.InternalClientError("cannot switch to state 15; another operation (2) is in progress")


class Ending:
    """An engine whose connections are just being ended."""

    def __init__(self) -> None:
        self.connected = 0
        self.driver_connection = self

    async def raw_connection(self) -> Ending:
        self.connected += 1
        return self

    def detach(self) -> None:
        pass

    def add_termination_listener(self, heard: object) -> None:
        pass

    async def add_listener(self, channel: str, heard: object) -> None:
        pass

    async def execute(self, statement: str, timeout: float) -> None:
        raise ending()

    def terminate(self) -> None:
        pass


class Deaf:
    def signalled(self, topic: str, *details: Any) -> None:
        pass

    def missed_signals(self) -> None:
        pass


async def test_a_connection_that_is_just_being_ended_is_replaced() -> None:
    engine, clock = Ending(), FakeClock()
    listens = asyncio.create_task(listen(cast("AsyncEngine", engine), Deaf(), clock=clock))
    for _ in range(4):
        await clock.advance(6.0)
    assert not listens.done()
    assert engine.connected >= 2
    listens.cancel()


def test_what_the_driver_says_of_it_is_the_stores_failure() -> None:
    with pytest.raises(StoreError, match="cannot switch to state"), store_errors("write"):
        raise ending()


def test_a_mistake_of_our_own_is_none() -> None:
    with pytest.raises(ZeroDivisionError), store_errors("write"):
        raise ZeroDivisionError
