"""The alerts that fire, and who has taken them on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from watcher.core.alerts import ERROR
from watcher.core.clock import Clock
from watcher.core.model import Event, EventKind, Severity
from watcher.core.ports import Background, InstanceView
from watcher.core.quiet import Acknowledgement, Held
from watcher.ops.api.configured import Present
from watcher.ops.api.endpoint import Endpoint
from watcher.ops.api.requests import AckBody, AlertPath, AlertsQuery
from watcher.ops.api.shapes import AlertList, FiringShape
from watcher.ops.api.views import Firing, Key, Taken, firing, firing_to_json, page_of, taken_of, taken_on
from watcher.ops.problems import Problem

_FAR_MS = 10**15  # a time in milliseconds that is later than any other: what is left until then sorts the latest first


class AcknowledgementStore(Protocol):
    """What is kept of acknowledgements. Every method raises StoreError."""

    async def acknowledge(self, acknowledgement: Acknowledgement) -> None:
        """Somebody takes on an alert."""
        ...

    async def acknowledgements(self) -> Sequence[Acknowledgement]:
        """All of them."""
        ...


class Alerts:
    """The handlers of `/alerts`. `why_quiet` says what keeps an event back now, `on_acknowledged` is called after."""

    def __init__(
        self,
        *,
        view: InstanceView,
        store: AcknowledgementStore,
        why_quiet: Callable[[Event], Held | None],
        on_acknowledged: Callable[[], None],
        configured: Present,
        clock: Clock,
    ) -> None:
        self._view = view
        self._store = store
        self._why_quiet = why_quiet
        self._on_acknowledged = on_acknowledged
        self._configured = configured
        self._clock = clock

    def endpoints(self) -> Iterator[Endpoint]:
        """What may be asked."""
        yield Endpoint(
            method="GET",
            path="/alerts",
            summary="The alerts that fire, by source and instance, or (`order=problems`) those nobody has "
            "taken on first, then the worst, then the latest",
            handler=self._list,
            query=AlertsQuery,
            answer=AlertList,
            leads_to={"Alerts_acknowledge": {"fingerprint": "/items/0/fingerprint"}},
        )
        yield Endpoint(
            method="POST",
            path="/alerts/{fingerprint}/ack",
            summary="Take on an alert: it is not reminded of any more",
            handler=self._acknowledge,
            in_path=AlertPath,
            body=AckBody,
            answer=FiringShape,
            problems={404: "No such alert fires"},
        )

    async def _list(self, query: AlertsQuery) -> Mapping[str, Any]:
        taken = taken_of(await self._store.acknowledgements())
        chosen = (
            each
            for each in firing(self._view)
            if (not query.source or each.source in query.source)
            and (not query.instance_id or (each.state is not None and each.state.key.id in query.instance_id))
            and (not query.severity or each.alert.severity in query.severity)
        )

        def by_problems(each: Firing) -> Key:
            before_ms = _FAR_MS - round(each.alert.starts_at.timestamp() * 1000)
            is_taken = taken_on(each.alert, taken) is not None
            rank = Severity.CRITICAL.rank - each.alert.severity.rank
            return (str(int(is_taken)), str(rank), f"{before_ms:015}", *each.key)

        key = by_problems if query.order == "problems" else _by_id
        return page_of(chosen, query, key=key, show=lambda each: self._show(each, taken))

    async def _acknowledge(self, path: AlertPath, body: AckBody) -> Mapping[str, Any]:
        each = next((each for each in firing(self._view) if each.alert.fingerprint == path.fingerprint), None)
        if each is None:
            raise Problem(404, f"no alert with the fingerprint {path.fingerprint!r} fires: see /api/v1/alerts")
        acknowledgement = Acknowledgement(
            fingerprint=path.fingerprint,
            starts_at=each.alert.starts_at,
            author=body.author,
            comment=body.comment,
            created_at=self._clock.now(),
        )
        await self._store.acknowledge(acknowledgement)
        self._on_acknowledged()
        return self._show(each, taken_of([acknowledgement]))

    def _show(self, each: Firing, taken: Taken) -> dict[str, Any]:
        background = self._view.background(each.state) if each.state is not None else Background()
        return firing_to_json(
            each,
            background=background,
            taken=taken,
            silenced_by=self._silenced_by(each, background),
            pages=self._configured().pages,
        )

    def _silenced_by(self, each: Firing, background: Background) -> str | None:
        """What would keep back the news of this alert: that it began, and that it goes on."""
        began_with = EventKind.TRANSITION if each.alert.name == ERROR else EventKind(each.alert.name)
        for kind in (began_with, EventKind.REMINDER):
            held = self._why_quiet(self._news(each, kind, background))
            if held is not None:
                return held.by
        return None

    def _news(self, each: Firing, kind: EventKind, background: Background) -> Event:
        state = each.state
        return Event(
            id="",
            kind=kind,
            source=each.source,
            instance_id=state.key.id if state is not None else "",
            instance_name=state.name if state is not None else "",
            from_status=state.status if state is not None else None,
            to_status=state.status if state is not None else None,
            severity=each.alert.severity,
            observed_at=each.alert.starts_at,
            previous_observed_at=None,
            sequence=0,
            duration_s=None,
            labels=dict(background.labels),
        )


def _by_id(each: Firing) -> Key:
    return each.key
