"""What was sent to whom and what was not, and trying that anew."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from watcher.core.clock import Clock
from watcher.core.model import DeliveryState
from watcher.core.ports import DeliveryReport
from watcher.ops.api.configured import Present
from watcher.ops.api.endpoint import Endpoint
from watcher.ops.api.requests import DeliveriesQuery, DeliveryPath, NoBody
from watcher.ops.api.shapes import DeliveryList, DeliveryShape, Retried
from watcher.ops.api.views import delivery_to_json, listed
from watcher.ops.problems import Problem


class DeliveryReports(Protocol):
    """What is kept of deliveries. Every method raises StoreError."""

    async def reports(
        self,
        *,
        before: int | None = None,
        limit: int = 100,
        state: DeliveryState | None = None,
        receiver: str | None = None,
        source: str | None = None,
        instance_id: str | None = None,
        event_id: str | None = None,
    ) -> Sequence[DeliveryReport]:
        """Deliveries, newest first, from before the id `before`."""
        ...

    async def unfinished(self) -> Mapping[tuple[str, DeliveryState], int]:
        """How many deliveries of each receiver are pending, and how many dead."""
        ...

    async def retry(self, ids: Collection[int] | None, *, receivers: Collection[str] | None, now: datetime) -> int:
        """Dead letters (None: all) of these receivers are pending again; how many."""
        ...


class Deliveries:
    """The handlers of `/deliveries`; `on_retry` is called when some are pending."""

    def __init__(
        self,
        *,
        store: DeliveryReports,
        configured: Present,
        on_retry: Callable[[], None],
        clock: Clock,
    ) -> None:
        self._store = store
        self._configured = configured
        self._on_retry = on_retry
        self._clock = clock

    def endpoints(self) -> Iterator[Endpoint]:
        """What may be asked."""
        yield Endpoint(
            method="GET",
            path="/deliveries",
            summary="What was sent to whom and what was not, newest first",
            handler=self._list,
            query=DeliveriesQuery,
            answer=DeliveryList,
            leads_to={"Deliveries_retry": {"id": "/items/0/id"}},
        )
        yield Endpoint(
            method="POST",
            path="/deliveries/retry",
            summary="Try all dead deliveries again, as if they were new",
            handler=self._retry_all,
            body=NoBody,
            answer=Retried,
        )
        yield Endpoint(
            method="POST",
            path="/deliveries/{id}/retry",
            summary="Try a dead delivery again, as if it were new",
            handler=self._retry,
            in_path=DeliveryPath,
            body=NoBody,
            answer=DeliveryShape,
            problems={404: "There is no such delivery", 409: "It is not dead, or its receiver is gone"},
        )

    async def _list(self, query: DeliveriesQuery) -> Mapping[str, Any]:
        found = await self._store.reports(
            before=query.after,
            limit=query.limit + 1,
            state=query.state,
            receiver=query.receiver,
            source=query.source,
            instance_id=query.instance_id,
            event_id=query.event_id,
        )
        shown = found[: query.limit]
        return listed(map(self._show, shown), after=str(shown[-1].delivery.id) if len(found) > query.limit else None)

    def _show(self, report: DeliveryReport) -> dict[str, Any]:
        return delivery_to_json(report, receiver_type=self._configured().receivers.get(report.delivery.receiver))

    async def _retry(self, path: DeliveryPath, body: NoBody) -> Mapping[str, Any]:  # noqa: ARG002 - read, and empty
        report = await self._report(path.id)
        if report.state is not DeliveryState.DEAD:
            raise Problem(409, f"delivery {path.id} is {report.state.value}: only what is dead is tried again")
        if report.delivery.receiver not in self._configured().receivers:
            raise Problem(409, f"receiver {report.delivery.receiver!r} is no longer in the configuration")
        await self._store.retry([path.id], receivers=self._configured().receivers, now=self._clock.now())
        shown = self._show(await self._report(path.id))
        self._on_retry()
        return shown

    async def _report(self, delivery_id: int) -> DeliveryReport:
        for report in await self._store.reports(before=delivery_id + 1, limit=1):
            if report.delivery.id == delivery_id:
                return report
        raise Problem(404, f"there is no delivery {delivery_id}: see /api/v1/deliveries")

    async def _retry_all(self, body: NoBody) -> Mapping[str, Any]:  # noqa: ARG002 - read, and empty
        count = await self._store.retry(None, receivers=self._configured().receivers, now=self._clock.now())
        self._on_retry()
        return {"retried": count}
