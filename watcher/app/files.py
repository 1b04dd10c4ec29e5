"""Noticing that files have changed."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from pathlib import Path

from watcher.core.clock import Clock

_LOOK_S = 1.0

_Signs = tuple[tuple[int, ...] | None, ...]


class FileWatch:
    """Looks at files once a second and says when they are others than before.

    By their status, which follows symbolic links: so it sees a file that is replaced (as editors do) and the swapped
    link of a ConfigMap or Secret, on any file system, and needs none of the kernel's scarce inotify instances.
    """

    def __init__(self, paths: Collection[Path], *, clock: Clock) -> None:
        self._paths = tuple(paths)
        self._clock = clock
        self._known = self._seen = self._signs()

    def settle(self) -> None:
        """The files as they are now are known."""
        self._known = self._signs()

    async def changed(self) -> None:
        """Wait until they are others."""
        while True:
            await self._clock.sleep(_LOOK_S)
            if await asyncio.to_thread(self.look):
                return

    def look(self) -> bool:
        """Look once: whether they are others, and were so at the last look; what is half written changes again."""
        seen, self._seen = self._seen, self._signs()
        if self._seen != seen or seen == self._known:
            return False
        self._known = seen
        return True

    def _signs(self) -> _Signs:
        return tuple(map(_sign, self._paths))


def _sign(path: Path) -> tuple[int, ...] | None:
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
