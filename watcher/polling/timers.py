"""When time alone makes news of which instance."""

from __future__ import annotations

import heapq
from datetime import datetime


class Timers:
    """One moment for each instance that has one, the earliest first."""

    def __init__(self) -> None:
        self._moments: dict[str, datetime] = {}
        self._order: list[tuple[datetime, str]] = []

    def set(self, instance_id: str, at: datetime | None) -> None:
        """Its moment is this one now; None: it has none."""
        if at is None:
            self._moments.pop(instance_id, None)
        elif self._moments.get(instance_id) != at:
            self._moments[instance_id] = at
            heapq.heappush(self._order, (at, instance_id))

    def next_at(self) -> datetime | None:
        """The earliest moment of all."""
        while self._order and self._moments.get(self._order[0][1]) != self._order[0][0]:
            heapq.heappop(self._order)  # its instance has another moment now
        return self._order[0][0] if self._order else None

    def due(self, now: datetime) -> list[str]:
        """Those whose moment has come; they have none from now on."""
        ids = list[str]()
        while (at := self.next_at()) is not None and at <= now:
            _, instance_id = heapq.heappop(self._order)
            del self._moments[instance_id]
            ids.append(instance_id)
        return ids
