"""What is quiet, as a test says it is."""

from __future__ import annotations

from collections.abc import Callable

from watcher.core.model import Event, Suppression
from watcher.core.quiet import Held


class ScriptedQuiet:
    """Keeps back the events for which `why` gives a name; by itself none."""

    def __init__(self) -> None:
        self.why: Callable[[Event], str | None] = lambda _: None

    def why_quiet(self, event: Event) -> Held | None:
        by = self.why(event)
        return Held(reason=Suppression.MAINTENANCE, by=by) if by is not None else None

    async def refresh(self) -> None:
        pass
