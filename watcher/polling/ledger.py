"""What is known of a source's instances: their states, when each was last seen, and where the list showed it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from watcher.core.model import Instance, InstanceState
from watcher.core.ports import InstancePage

_FORGOTTEN_KEPT = 10_000
_NOTHING = InstancePage(count=0, items=())


@dataclass(slots=True)
class Listed:
    """One page of the list as it was last read: in which sweep, when, how many of its instances are watched.

    `changing` are those of them that are on their way to another status.
    """

    offset: int
    page: InstancePage
    sweep: int
    seen_at: datetime | None = None
    watched: int = 0
    changing: tuple[str, ...] = ()


class Ledger:
    """States by instance id, and sightings. A page that stays the same is one entry to renew, not a hundred."""

    def __init__(self) -> None:
        self.states: dict[str, InstanceState] = {}
        self._pages: dict[int, Listed] = {}
        self._where: dict[str, Listed] = {}
        self._alone: dict[str, datetime] = {}
        self._sought: set[str] = set()
        self._forgotten: dict[str, None] = {}

    def keep(self, state: InstanceState) -> None:
        """What is known of an instance from now on."""
        self.states[state.key.id] = state
        self._forgotten.pop(state.key.id, None)
        if state.search is not None:
            self._sought.add(state.key.id)
        else:
            self._sought.discard(state.key.id)

    def in_question(self, offset: int, page: InstancePage) -> Sequence[Instance]:
        """Those on a page whose job may have to be looked for; of one that is as it was the last time, few or none."""
        listed = self._pages.get(offset)
        if listed is None or listed.page is not page:
            return page.items
        return [instance for instance in page.items if instance.id in self._sought] if self._sought else ()

    def page(self, offset: int, *, sweep: int) -> Listed:
        """The entry of a page that the sweep before this one read, too, else an empty one."""
        listed = self._pages.get(offset)
        if listed is None or listed.sweep != sweep - 1:
            listed = self._pages[offset] = Listed(offset, _NOTHING, sweep)
        return listed

    def shown(self, instance_id: str, listed: Listed) -> None:
        """A watched instance is on this page."""
        self._where[instance_id] = listed
        self._alone.pop(instance_id, None)

    def left(self, instance_id: str, listed: Listed) -> None:
        """An instance is on this page no more; perhaps on another."""
        if self._where.get(instance_id) is listed:
            del self._where[instance_id]
            if listed.seen_at is not None:
                self._alone[instance_id] = listed.seen_at

    def doubt(self, instance_id: str) -> None:
        """An instance, asked for by itself, is not what its page said: that page is to be read anew in any case."""
        listed = self._where.get(instance_id)
        if listed is not None and self._pages.get(listed.offset) is listed:
            del self._pages[listed.offset]

    def alone(self, instance_id: str, seen_at: datetime) -> None:
        """An instance was asked for by itself."""
        self._alone[instance_id] = seen_at

    def last_seen(self, instance_id: str) -> datetime | None:
        """When the instance was last observed in this run."""
        listed, alone = self._where.get(instance_id), self._alone.get(instance_id)
        if listed is None or listed.seen_at is None:
            return alone
        return listed.seen_at if alone is None else max(alone, listed.seen_at)

    def unseen(self, instance_ids: Iterable[str], *, sweep: int) -> list[str]:
        """Those of the instances that this sweep did not show."""
        where = self._where
        return [key for key in instance_ids if (listed := where.get(key)) is None or listed.sweep != sweep]

    def forget_pages(self) -> None:
        """Who is looked for on them is another: each page is to be read anew, though it be the same."""
        self._pages.clear()

    def forget(self, instance_id: str) -> None:
        """It is watched no more. Its state stays, without the record: should it come back, its events go on being
        numbered. Of very many only the last: the cloud gives no id twice.
        """
        self._where.pop(instance_id, None)
        self._alone.pop(instance_id, None)
        self._sought.discard(instance_id)
        if instance_id in self.states:
            self.states[instance_id] = replace(self.states[instance_id], record="{}")
            self._forgotten.pop(instance_id, None)
            self._forgotten[instance_id] = None
        if len(self._forgotten) > _FORGOTTEN_KEPT:
            oldest = next(iter(self._forgotten))
            del self._forgotten[oldest], self.states[oldest]

    def cut(self, end: int) -> None:
        """The list ends here: drop the pages behind."""
        for offset in [offset for offset in self._pages if offset >= end]:
            del self._pages[offset]
