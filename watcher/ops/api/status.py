"""The whole at one glance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, Protocol

from watcher import __version__
from watcher.core.clock import Clock
from watcher.core.event_json import format_time
from watcher.core.model import DeliveryState, Severity
from watcher.core.ports import InstanceView
from watcher.core.quiet import Acknowledgement, Silence
from watcher.core.sharing import Roster
from watcher.ops.api.configured import Present
from watcher.ops.api.endpoint import Endpoint
from watcher.ops.api.sources import SourceLog
from watcher.ops.api.status_shapes import Status
from watcher.ops.api.views import firing, taken_of, taken_on, word_of
from watcher.ops.health import Wellness
from watcher.ops.reload import ReloadLog


class StatusStore(Protocol):
    """What is counted. Every method raises StoreError."""

    async def acknowledgements(self) -> Sequence[Acknowledgement]:
        """All of them."""
        ...

    async def unfinished(self) -> Mapping[tuple[str, DeliveryState], int]:
        """How many deliveries of each receiver are pending, and how many dead."""
        ...


class StatusReport:
    """The handler of `/status`."""

    def __init__(
        self,
        *,
        view: InstanceView,
        store: StatusStore,
        silences: Callable[[], Collection[Silence]],
        configured: Present,
        log: SourceLog,
        reloads: ReloadLog,
        wellness: Wellness,
        roster: Callable[[], Roster],
        replica_id: Callable[[], str],
        why_unwell: Callable[[], str | None],
        clock: Clock,
    ) -> None:
        self._why_unwell = why_unwell
        self._roster = roster
        self._replica_id = replica_id
        self._view = view
        self._store = store
        self._silences = silences
        self._configured = configured
        self._log = log
        self._reloads = reloads
        self._wellness = wellness
        self._clock = clock
        self._started_at = clock.now()

    def endpoints(self) -> Iterator[Endpoint]:
        """What may be asked."""
        yield Endpoint(
            method="GET",
            path="/status",
            summary="The whole at one glance: is anything wrong, and how many of everything",
            handler=self._show,
            answer=Status,
        )

    async def _show(self) -> Mapping[str, Any]:
        unfinished = await self._store.unfinished()
        taken = taken_of(await self._store.acknowledgements())
        now, states, configured = self._clock.now(), self._view.states(), self._configured()
        fires = [each.alert for each in firing(self._view)]
        severities = Counter(alert.severity for alert in fires)
        not_ready, unhealthy = self._wellness.not_ready(), self._wellness.unhealthy()
        return {
            "version": __version__,
            "started_at": format_time(self._started_at),
            "now": format_time(now),
            "ready": not_ready is None,
            "why_not_ready": not_ready,
            "healthy": unhealthy is None,
            "why_unhealthy": unhealthy,
            "can_write": configured.guard.why_read_only is None,
            "why_read_only": configured.guard.why_read_only,
            "external_url": configured.external_url,
            "configuration": {"refused": list(self._reloads.refused), "waiting": list(self._reloads.waiting)},
            "instances": {
                "total": sum(map(len, states.values())),
                "by_status": dict(Counter(word_of(state) for of_source in states.values() for state in of_source)),
            },
            "alerts": {severity.value: severities[severity] for severity in Severity},
            "acknowledged": sum(taken_on(alert, taken) is not None for alert in fires),
            "deliveries": {
                "pending": sum(count for (_, state), count in unfinished.items() if state is DeliveryState.PENDING),
                "dead": sum(count for (_, state), count in unfinished.items() if state is DeliveryState.DEAD),
            },
            "receivers": [
                {
                    "name": name,
                    "type": type_,
                    "pending": unfinished.get((name, DeliveryState.PENDING), 0),
                    "dead": unfinished.get((name, DeliveryState.DEAD), 0),
                }
                for name, type_ in configured.receivers.items()
            ],
            "silences": sum(silence.is_active(now) for silence in self._silences()),
            "sources": {"total": len(states), "down": sum(self._log.of(source).state == "down" for source in states)},
            "replica": self._replica_id(),
            "replicas": len(self._roster().replicas),
            "why_unwell": self._why_unwell(),
        }
