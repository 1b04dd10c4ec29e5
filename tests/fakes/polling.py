"""A poller with everything around it scripted, on fake time."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import TypeVar

from tests.fakes.clock import FakeClock
from tests.fakes.cloud import Answer, ScriptedCloud
from tests.fakes.memory_store import MemoryStore
from watcher.core.alerts import AlertRules
from watcher.core.facts import Fact
from watcher.core.planner import Mode, PollPolicy
from watcher.core.watchlist import DiscoverRule
from watcher.polling import SourcePoller, Watched

T = TypeVar("T")

BY_GET = PollPolicy(jitter=0.0, concurrency=4, mode=Mode.GET, budget_requests=100_000)
AUTO = PollPolicy(jitter=0.0, concurrency=4, budget_requests=100_000)


class Bench:
    """A poller with everything around it scripted. `watched` are the configured ids; default: all that answer."""

    def __init__(
        self,
        answers: Mapping[str, Sequence[Answer]],
        *,
        policy: PollPolicy = BY_GET,
        watched: Sequence[str] | None = None,
        discover: tuple[DiscoverRule, ...] = (),
        rules: AlertRules | None = None,
        updating: tuple[str, ...] = (),
    ) -> None:
        self.clock = FakeClock()
        self.cloud = ScriptedCloud(answers)
        self.store = MemoryStore()
        self.facts: list[Fact] = []
        self.ids = list(answers if watched is None else watched)
        self.discover = discover
        self.policy = policy
        self.rules = rules or AlertRules()
        self.updating = updating
        self.poller = self.fresh_poller()

    def change(self) -> None:
        """Go on with a poller for what is configured here now."""
        self.poller = self.fresh_poller(self.poller)

    def fresh_poller(self, before: SourcePoller | None = None) -> SourcePoller:
        return SourcePoller(
            watched=Watched(
                source="prod",
                instances={key: {"team": "vdi"} for key in self.ids},
                discover=self.discover,
                policy=self.policy,
                rules=self.rules,
                updating=self.updating,
            ),
            api=self.cloud,
            store=self.store,
            receivers_for=lambda _: ("hooks",),
            clock=self.clock,
            rng=random.Random(7),
            observer=self.facts.append,
            before=before,
        )

    async def cycles(self, count: int) -> float:
        """Run cycles, each when it is due; how long until the next."""
        wait_s = 0.0
        for _ in range(count):
            await self.clock.advance(wait_s)
            wait_s = await self.poller.cycle()
        return wait_s

    def seen(self, kind: type[T]) -> list[T]:
        return [fact for fact in self.facts if isinstance(fact, kind)]

    def told(self) -> list[tuple[str, str | None, str | None]]:
        return [(event.kind.value, event.from_status, event.to_status) for event in self.store.events]
