"""One look at everything that is configured, with nothing sent and nothing written."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from watcher.core.clock import SystemClock
from watcher.core.errors import CloudError, WatcherError
from watcher.core.facts import Fact, InstanceFailed, ItemsUnreadable, SourceFailed
from watcher.core.model import InstanceKey, InstanceState, Step
from watcher.core.ports import Change
from watcher.logging import advice
from watcher.policies import open_source, watched_of
from watcher.polling import SourcePoller
from watcher.settings import Settings, SourceSettings


@dataclass(slots=True)
class Look:
    """What one look at a source found: the instances answered for, and what went wrong in words."""

    source: str
    states: list[InstanceState] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    source_failed: bool = False


class NoStore:
    """Remembers nothing."""

    async def load(self, source: str) -> dict[InstanceKey, InstanceState]:  # noqa: ARG002 - the port's signature
        return {}

    async def steps(self, source: str) -> list[Step]:  # noqa: ARG002 - the port's signature
        return []

    async def commit(self, changes: Sequence[Change], *, now: datetime) -> None:
        pass


async def look_at_all(settings: Settings) -> list[Look]:
    """Look at every source once, side by side."""
    return await asyncio.gather(*(_look_at(source, settings) for source in settings.sources))


async def _look_at(source: SourceSettings, settings: Settings) -> Look:
    look = Look(source.name)

    def observe(fact: Fact) -> None:
        match fact:
            case SourceFailed(name, error):
                look.source_failed = True
                look.problems.append(f"source {name}: {error}: {advice(error)}")
            case ItemsUnreadable(name, items):
                look.problems += [f"source {name}: the list has what cannot be read: {item}" for item in items]
            case InstanceFailed(key, error):
                look.problems.append(f"source {key.source}: instance {key.id}: {error}")
            case _:
                pass

    clock = SystemClock()
    try:
        api = open_source(source, settings, environment=os.environ, clock=clock, observer=observe)
    except WatcherError as error:
        look.problems.append(f"source {source.name}: {error}")
        return look
    poller = SourcePoller(
        watched=watched_of(source, settings),
        api=api,
        store=NoStore(),
        receivers_for=lambda _event: (),
        clock=clock,
        rng=random.Random(),  # noqa: S311 - jitter, not secrets
        observer=observe,
    )
    try:
        await poller.start()
        while not poller.settled:
            wait_s = await poller.cycle()
            if look.source_failed or poller.settled:
                break
            await clock.sleep(wait_s)
    except CloudError as error:
        look.problems.append(f"source {source.name}: {error}")
    finally:
        await api.close()
    look.states = list(poller.states())
    look.problems += [
        f"source {state.key.source}: instance {state.key.id}: the cloud knows no such instance"
        for state in look.states
        if state.status is None
    ]
    return look
