"""Whether the watcher is healthy: it is not while the store cannot be used, because then nobody is told anything."""

from __future__ import annotations

from typing import Protocol

from watcher.core.facts import Fact, LeasesGiven, LeasesLost, StoreFailed, StoreRecovered
from watcher.core.sharing import kind_of, subject_of


class Wellness(Protocol):
    """Whether the watcher does its work; each in words why not, or None."""

    def not_ready(self) -> str | None:
        """Why it is not to be asked yet, or not any more."""
        ...

    def unhealthy(self) -> str | None:
        """Why it cannot do its work."""
        ...


class StoreHealth:
    """An observer that remembers for whom the store fails."""

    def __init__(self) -> None:
        self._failing: dict[str, str] = {}

    def __call__(self, fact: Fact) -> None:
        """Take up what happened."""
        match fact:
            case StoreFailed(who, error):
                self._failing[who] = str(error)
            case StoreRecovered(who):
                self._failing.pop(who, None)
            case LeasesGiven(leases) | LeasesLost(leases):  # who worked for them does not use the store any more
                for lease in leases:
                    self._failing.pop(f"{kind_of(lease)} {subject_of(lease)}", None)
            case _:
                pass

    def unhealthy(self) -> str | None:
        """In words why the watcher is not healthy, None when it is."""
        return next(iter(self._failing.values()), None)
