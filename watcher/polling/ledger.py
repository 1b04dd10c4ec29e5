"""What is known of a source's instances: their states, when each was last seen, and where the list showed it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from watcher.core.lifecycle import is_changing
from watcher.core.model import InstanceState
from watcher.core.ports import InstancePage


@dataclass(slots=True)
class Listed:
    """One page of the list as it was last read: in which sweep, when, how many of its instances are watched.

    `changing` are those of them that are on their way to another status.
    """

    page: InstancePage
    sweep: int
    seen_at: datetime
    watched: int = 0
    changing: tuple[str, ...] = ()


class Ledger:
    """States by instance id, and sightings. A page that stays the same is one entry to renew, not a hundred."""

    def __init__(self) -> None:
        self.states: dict[str, InstanceState] = {}
        self._pages: dict[int, Listed] = {}
        self._where: dict[str, Listed] = {}
        self._alone: dict[str, datetime] = {}

    def same_page(self, offset: int, page: InstancePage, *, sweep: int) -> Listed | None:
        """The entry of a page that is just what the sweep before this one read there, else None."""
        listed = self._pages.get(offset)
        if listed is None or listed.page is not page or listed.sweep != sweep - 1:
            return None
        return listed

    def turn(self, offset: int, page: InstancePage, *, sweep: int, seen_at: datetime) -> Listed:
        """A new entry for a page; what it shows is to be entered with `shown`."""
        listed = self._pages[offset] = Listed(page, sweep, seen_at)
        return listed

    def shown(self, instance_id: str, listed: Listed) -> None:
        """A watched instance is on this page."""
        self._where[instance_id] = listed
        self._alone.pop(instance_id, None)

    def settle(self, listed: Listed, instance_ids: list[str]) -> None:
        """Count the watched instances of a page, once their states are known."""
        listed.watched = len(instance_ids)
        listed.changing = tuple(key for key in instance_ids if self._is_changing(key))

    def _is_changing(self, instance_id: str) -> bool:
        state = self.states.get(instance_id)
        return state is not None and is_changing(state.status)

    def alone(self, instance_id: str, seen_at: datetime) -> None:
        """An instance was asked for by itself."""
        self._alone[instance_id] = seen_at

    def last_seen(self, instance_id: str) -> datetime | None:
        """When the instance was last observed in this run."""
        listed, alone = self._where.get(instance_id), self._alone.get(instance_id)
        if listed is None:
            return alone
        return listed.seen_at if alone is None else max(alone, listed.seen_at)

    def unseen(self, instance_ids: Iterable[str], *, sweep: int) -> list[str]:
        """Those of the instances that this sweep did not show."""
        where = self._where
        return [key for key in instance_ids if (listed := where.get(key)) is None or listed.sweep != sweep]

    def forget(self, instance_id: str) -> None:
        """It is watched no more. Its state stays: should it come back, its events go on being numbered."""
        self._where.pop(instance_id, None)
        self._alone.pop(instance_id, None)

    def cut(self, end: int) -> None:
        """The list ends here: drop the pages behind."""
        for offset in [offset for offset in self._pages if offset >= end]:
            del self._pages[offset]
