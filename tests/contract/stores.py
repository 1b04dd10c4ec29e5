"""What the tests of stores have in common: an instance whose course is written, and how tries end."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from tests.fakes.model_store import ModelStore
from tests.fakes.values import at, context, observation
from watcher.core.detector import detect
from watcher.core.errors import DeliveryError, FailureReason
from watcher.core.model import Delivery, Event, InstanceKey, InstanceState, Suppression
from watcher.core.ports import Attempt, Change
from watcher.core.timers import ring
from watcher.store import Store

AnyStore = Store | ModelStore
KEYS = [InstanceKey("prod", str(number)) for number in range(5)]


def sqlite_url(folder: Path) -> str:
    """A database in this folder."""
    return f"sqlite:///{folder / 'watcher.db'}"


class Course:
    """One instance as it goes on, step by step."""

    def __init__(self, key: InstanceKey = KEYS[0]) -> None:
        self.key = key
        self.state: InstanceState | None = None

    def sees(self, status: str | None, seconds: float, *receivers: str) -> Change:
        """It is observed in this status; its events are routed to these receivers."""
        self.state, events = detect(self.state, observation(status, seconds, key=self.key), context())
        return self._change(events, receivers)

    def rings(self, seconds: float, *receivers: str) -> Change:
        """Time alone makes news of it."""
        assert self.state is not None
        self.state, events = ring(self.state, now=at(seconds), context=context())
        return self._change(events, receivers)

    def _change(self, events: Collection[Event], receivers: tuple[str, ...]) -> Change:
        assert self.state is not None
        return Change(state=self.state, events=tuple((event, receivers) for event in events))


def course(key: InstanceKey, *statuses: str | None, receivers: tuple[str, ...] = ("hooks",)) -> Change:
    """All of a course at once, 15 s apart."""
    going = Course(key)
    changes = [going.sees(status, 15.0 * turn, *receivers) for turn, status in enumerate(statuses)]
    return Change(state=changes[-1].state, events=tuple(told for change in changes for told in change.events))


async def heads(store: AnyStore, seconds: float = 60, *, receiver: str = "hooks", limit: int = 100) -> list[Delivery]:
    """What is due."""
    waiting = await store.waiting(receiver, now=at(seconds), limit=limit)
    return list(await store.deliveries_of([each.id for each in waiting]))


async def deliver(store: AnyStore, seconds: float, *, receiver: str = "hooks") -> list[Delivery]:
    """All that is due is accepted."""
    due = await heads(store, seconds, receiver=receiver)
    if due:
        await store.record([delivered(each, seconds) for each in due])
    return due


def delivered(delivery: Delivery, seconds: float) -> Attempt:
    """It was accepted."""
    return Attempt(delivery=delivery, finished_at=at(seconds))


def failed(delivery: Delivery, seconds: float, *, again_s: float | None) -> Attempt:
    """It was refused: for now, or (`again_s` None) for good."""
    error = DeliveryError("HTTP 503", reason=FailureReason.SERVER_ERROR, permanent=again_s is None)
    next_at = at(again_s) if again_s is not None else None
    return Attempt(delivery=delivery, finished_at=at(seconds), error=error, next_attempt_at=next_at)


def suppressed(delivery: Delivery, seconds: float, why: Suppression, by: str | None = None) -> Attempt:
    """It was kept back."""
    return Attempt(delivery=delivery, finished_at=at(seconds), suppression=why, held_by=by)


def sequences(deliveries: Collection[Delivery]) -> list[int]:
    """Which events of an instance these are."""
    return [delivery.event.sequence for delivery in deliveries]


async def until_somebody_waits(connection: AsyncConnection, *, many: int = 1) -> None:
    """Until so many on the same PostgreSQL database wait for what this transaction, or one of them, has locked."""
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    async with asyncio.timeout(30):
        while ((await connection.execute(waiting)).scalar() or 0) < many:
            await connection.execute(text("SELECT pg_stat_clear_snapshot()"))
