"""What is quiet at present: the silences of the store and the maintenance windows of the configuration."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

from watcher.core.clock import Clock
from watcher.core.maintenance import Window
from watcher.core.model import Event
from watcher.core.quiet import Held, Quiet, Silence


class SilenceStore(Protocol):
    """What is kept of silences. Every method raises StoreError."""

    async def silences(self) -> list[Silence]:
        """All silences, the first made first."""
        ...

    async def add_silence(self, silence: Silence) -> None:
        """A new silence."""
        ...

    async def expire_silence(self, silence_id: str, *, now: datetime) -> bool:
        """End it now; False when there is none that could."""
        ...


class QuietKeeper:
    """Knows what is quiet, without asking the store each time; `on_change` is called when that is another."""

    def __init__(self, *, store: SilenceStore, clock: Clock, on_change: Callable[[], None]) -> None:
        self._store = store
        self._clock = clock
        self._on_change = on_change
        self._quiet = Quiet()

    async def refresh(self) -> None:
        """Take up what is in the store, whoever wrote it; raises StoreError."""
        silences = tuple(await self._store.silences())
        if silences != self._quiet.silences:
            self._quiet = Quiet(silences=silences, windows=self._quiet.windows)
            self._on_change()

    def set_windows(self, windows: Sequence[Window]) -> None:
        """Other maintenance windows from now on."""
        if windows != self._quiet.windows:
            self._quiet = Quiet(silences=self._quiet.silences, windows=windows)
            self._on_change()

    def why_quiet(self, event: Event) -> Held | None:
        """What keeps the event back now, None if nothing does."""
        return self._quiet.why(event, now=self._clock.now())

    def silences(self) -> Sequence[Silence]:
        """All silences, ended ones, too, until they are forgotten."""
        return self._quiet.silences

    async def add(self, silence: Silence) -> None:
        """A new silence, from now on; raises StoreError."""
        await self._store.add_silence(silence)
        await self.refresh()

    async def expire(self, silence_id: str) -> bool:
        """End a silence; False when there is none that could. Raises StoreError."""
        expired = await self._store.expire_silence(silence_id, now=self._clock.now())
        await self.refresh()
        return expired
