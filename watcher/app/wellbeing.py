"""Whether the watcher is started, well, and gets on, as health checks and the dead man's switch ask."""

from __future__ import annotations

from watcher.app.others import Others
from watcher.app.receivers import Receivers
from watcher.app.sharing import Sharing
from watcher.app.sources import Sources
from watcher.core.errors import StoreError
from watcher.ops import Progress, StoreHealth
from watcher.polling import PollScheduler
from watcher.store import Store


class Wellbeing:
    """In a few words what is wrong, None when nothing is. `begin` and `drain` say how far the daemon is."""

    def __init__(
        self,
        *,
        store: Store,
        health: StoreHealth,
        progress: Progress,
        scheduler: PollScheduler,
        sources: Sources,
        receivers: Receivers,
        sharing: Sharing,
        others: Others,
    ) -> None:
        self._store = store
        self._health = health
        self._progress = progress
        self._scheduler = scheduler
        self._sources = sources
        self._receivers = receivers
        self._sharing = sharing
        self._others = others
        self._was_ready = False
        self.is_started = self.is_draining = False

    def begin(self) -> None:
        """All that is to run does."""
        self.is_started = True

    def drain(self) -> None:
        """It is to end."""
        self.is_draining = True

    def stuck(self) -> str | None:
        """What does not get on though it should: only a restart helps."""
        return self._scheduler.why_stuck() or self._receivers.why_stuck()

    def unhealthy(self) -> str | None:
        """Why the watcher cannot do its work."""
        return self._health.unhealthy() or self.stuck()

    def unwell(self) -> str | None:
        """Why this replica's own work does not get on."""
        return self.unhealthy() or self._progress.why_not(oldest_pending_at=None)

    async def why_no_beat(self) -> str | None:
        """Why the work does not get on, whichever replica's it is."""
        try:
            oldest_pending_at = await self._store.oldest_pending_at()
        except StoreError as error:
            return str(error)
        return self.unhealthy() or self._progress.why_not(oldest_pending_at=oldest_pending_at) or self._others.unwell()

    def not_ready(self) -> str | None:
        """Why the watcher is not to be asked yet, or not any more."""
        if self.is_draining:
            return "it is draining"
        if self._was_ready:
            return None  # a source that a reload brings makes no difference to who asks for the others
        if not self.is_started:
            return "it is starting"
        if not self._sharing.settled:
            return "it has not yet joined the other replicas"
        untried = self._sources.untried
        self._was_ready = not untried
        return f"not yet tried: {', '.join(untried)}" if untried else None
