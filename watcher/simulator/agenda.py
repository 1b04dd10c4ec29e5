"""What is to happen later, in simulated time."""

import heapq
from collections.abc import Callable
from datetime import datetime

Action = Callable[[], object]


class Agenda:
    """Actions in the order they fall due; those due at the same instant keep the order they were added in."""

    def __init__(self) -> None:
        self._heap: list[tuple[datetime, int, Action]] = []
        self._added = 0

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, due: datetime, action: Action) -> None:
        """Plans `action` for the simulated instant `due`."""
        self._added += 1
        heapq.heappush(self._heap, (due, self._added, action))

    def take(self, now: datetime) -> tuple[datetime, Action] | None:
        """Removes and returns the next action due at `now` or before, None if there is none."""
        if not self._heap or self._heap[0][0] > now:
            return None
        due, _, action = heapq.heappop(self._heap)
        return due, action
