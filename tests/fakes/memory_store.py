"""What polling needs of a store, in memory, for tests without I/O."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from watcher.core.errors import StoreError
from watcher.core.model import Event, InstanceKey, InstanceState, Step
from watcher.core.ports import Change, Explanation


class MemoryStore:
    """Keeps committed states and events; fails while `broken`."""

    def __init__(self) -> None:
        self.states: dict[InstanceKey, InstanceState] = {}
        self.events: list[Event] = []
        self.told: list[tuple[str, str]] = []
        self.commits = 0
        self.learned: list[Step] = []
        self.explained: list[Explanation] = []
        self.broken = False

    async def load(self, source: str) -> dict[InstanceKey, InstanceState]:
        return {key: state for key, state in self.states.items() if key.source == source}

    async def steps(self, source: str) -> list[Step]:
        return [step for step in self.learned if step.source == source]

    async def commit(self, changes: Sequence[Change], *, now: datetime) -> None:
        if self.broken:
            raise StoreError("cannot write the store: disk full")
        self.commits += 1
        for change in changes:
            self.states[change.state.key] = change.state
            self.learned += change.steps
            for event, receivers in change.events:
                self.events.append(event)
                self.told += [(event.id, receiver) for receiver in receivers]
            if change.explained is not None:
                self.explained.append(change.explained)
