"""A notebook for who needs none that lasts."""

from __future__ import annotations

from datetime import datetime


class MemoryNotebook:
    """Notes that are forgotten at the end of the process."""

    def __init__(self) -> None:
        self._notes: dict[tuple[str, str], str] = {}

    async def note(self, receiver: str, key: str) -> str | None:
        """What the receiver noted there; None if nothing."""
        return self._notes.get((receiver, key))

    async def write_note(self, receiver: str, key: str, text: str | None, *, now: datetime) -> None:  # noqa: ARG002 - as the store's
        """Note it, in place of what was there; None: forget."""
        if text is None:
            self._notes.pop((receiver, key), None)
        else:
            self._notes[receiver, key] = text
