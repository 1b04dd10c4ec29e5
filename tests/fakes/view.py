"""States and sources to look at."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from tests.fakes.values import outage
from watcher.core.model import InstanceKey, InstanceState
from watcher.core.ports import Background, SourceView


class View:
    """What is so now, as a test says: one source, which is down."""

    def __init__(self) -> None:
        self.by_source: dict[str, list[InstanceState]] = {"prod": []}
        self.backgrounds: dict[InstanceKey, Background] = {}

    def states(self) -> Mapping[str, Collection[InstanceState]]:
        return self.by_source

    def sources(self) -> Mapping[str, SourceView]:
        return {"prod": SourceView(alerts=outage()[0].alerts, stale=2)}

    def background(self, state: InstanceState) -> Background:
        return self.backgrounds.get(state.key, Background(labels={"team": "vdi"}))


class Well:
    """Why the watcher does not do its work, as a test says."""

    def __init__(
        self, not_ready: Callable[[], str | None] = lambda: None, unhealthy: Callable[[], str | None] = lambda: None
    ) -> None:
        self.not_ready = not_ready
        self.unhealthy = unhealthy
