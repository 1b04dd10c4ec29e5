"""One reading of the cloud's list, page by page: what to ask next, and where it ends."""

from __future__ import annotations

from watcher.core.ports import InstancePage

PAGE_LIMIT = 100
"""The most the API gives in one page (ListImageServers, `limit`)."""

_MOST = 1_000_000  # a list longer than this is a server that never ends it
_TRIES = 3


class Sweep:
    """Which pages are still to be asked. The first goes alone; it tells how many there are, then all may go at once.

    The cloud's count is a hint: a list ends where a page is empty or short, or where as many have come as it counted.
    A server that gives shorter pages than asked for is followed; one that ignores the offset is not asked for ever.
    A page that fails is asked again, three times in all, but the first only once: without it there is no sweep.
    """

    def __init__(self) -> None:
        self.pages = 0
        self._step = PAGE_LIMIT
        self._first_id: str | None = None
        self._next = 0
        self._end = 1  # exclusive: for a start, there is a first page
        self._again: list[int] = []
        self._tries: dict[int, int] = {}
        self._under_way = 0

    @property
    def begun(self) -> bool:
        """Whether the first page has come."""
        return self.pages > 0

    @property
    def complete(self) -> bool:
        """Whether nothing is left to ask or to wait for."""
        return not self._under_way and not self._again and self._next >= self._end

    @property
    def end(self) -> int:
        """The offset behind the last instance, as far as is known."""
        return self._end

    def take(self) -> int | None:
        """The offset of the next page to ask; None when there is none for now."""
        if self._again:
            self._under_way += 1
            return self._again.pop()
        if self._next >= self._end:
            return None
        offset = self._next
        self._next += self._step
        self._under_way += 1
        return offset

    def answered(self, offset: int, page: InstancePage) -> None:
        """A page came."""
        count, size = page.count, len(page.items) + len(page.malformed)
        first_id = page.items[0].id if page.items else None
        self._under_way -= 1
        self.pages += 1
        if offset == 0:
            self._first_id = first_id
            if 0 < size < min(PAGE_LIMIT, count):
                self._step = self._next = size
        if size == 0 or (offset and first_id is not None and first_id == self._first_id):
            self._end = min(self._end, max(offset, 1))
            return
        far = offset + size
        believed = count if count >= far else far + (size == self._step)
        if offset == 0 or far >= self._end:
            self._end = min(believed, _MOST)

    def failed(self, offset: int) -> None:
        """A page did not come."""
        self._under_way -= 1
        tries = self._tries[offset] = self._tries.get(offset, 0) + 1
        if self.begun and tries < _TRIES:
            self._again.append(offset)
