"""When nobody is to be disturbed: silences that somebody made, and maintenance windows that come again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from watcher.core.maintenance import Window
from watcher.core.model import Event, Suppression
from watcher.core.routing import Matcher


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """Events that match are not told between two times; `author` and `comment` say who wanted it and why."""

    id: str
    match: Matcher
    starts_at: datetime
    ends_at: datetime
    author: str
    comment: str
    created_at: datetime

    def is_active(self, now: datetime) -> bool:
        """Whether it is quiet now."""
        return self.starts_at <= now < self.ends_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledgement:
    """Somebody has taken on an alert, the one that began at `starts_at`: it is not reminded of."""

    fingerprint: str
    starts_at: datetime
    author: str
    comment: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Why an event is kept back: by which silence or window."""

    reason: Suppression
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Quiet:
    """All silences and windows."""

    silences: Sequence[Silence] = ()
    windows: Sequence[Window] = ()

    def why(self, event: Event, *, now: datetime) -> Held | None:
        """What keeps the event back at this time, None if nothing does."""
        for silence in self.silences:
            if silence.is_active(now) and silence.match.matches(event):
                by = f"silence {silence.id} by {silence.author}: {silence.comment}"
                return Held(reason=Suppression.SILENCE, by=by)
        for window in self.windows:
            if window.match.matches(event) and window.ends_at(now) is not None:
                return Held(reason=Suppression.MAINTENANCE, by=f"maintenance {window.name}")
        return None
