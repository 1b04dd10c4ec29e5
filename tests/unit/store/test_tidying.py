"""Forgetting goes on whatever happens."""

from __future__ import annotations

import asyncio
from collections import deque
from datetime import datetime, timedelta

from tests.fakes.clock import FakeClock
from tests.fakes.values import at
from watcher.core.errors import StoreError
from watcher.core.facts import Fact, StoreFailed, StoreRecovered
from watcher.store import keep_tidy


class Shelf:
    """A store in which so many old events are found at each look; an error where there is one."""

    def __init__(self, *found: int | StoreError) -> None:
        self.found = deque(found)
        self.looks: list[tuple[datetime, int]] = []

    async def prune(self, *, before: datetime, limit: int) -> int:
        self.looks.append((before, limit))
        found = self.found.popleft() if self.found else 0
        if isinstance(found, StoreError):
            raise found
        return found


async def looks(shelf: Shelf, *, seconds: float) -> tuple[list[float], list[Fact]]:
    """When it was looked for what is old, and what was told meanwhile."""
    clock, facts = FakeClock(at(0)), list[Fact]()
    task = asyncio.create_task(
        keep_tidy(shelf, retention=lambda: timedelta(days=90), clock=clock, observer=facts.append)
    )
    await clock.advance(seconds)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return [(before + timedelta(days=90) - at(0)).total_seconds() for before, _ in shelf.looks], facts


async def test_once_an_hour() -> None:
    assert await looks(Shelf(), seconds=7200) == ([0, 3600, 7200], [])


async def test_little_by_little_while_there_is_more() -> None:
    assert await looks(Shelf(500, 500, 499), seconds=60) == ([0, 0.5, 1.0], [])


async def test_a_store_that_fails_is_tried_again_soon_and_told_of_once() -> None:
    error = StoreError("cannot write the store: database or disk is full")
    when, facts = await looks(Shelf(error, error, 0), seconds=60)
    assert when == [0, 10, 20]
    assert facts == [
        StoreFailed("retention", error, first=True),
        StoreFailed("retention", error, first=False),
        StoreRecovered("retention"),
    ]
