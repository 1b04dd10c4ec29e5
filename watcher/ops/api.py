"""The API under `/api/v1`: what is so now, and what people may ask for."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Any, Protocol

from aiohttp import web

from watcher.core.clock import Clock
from watcher.core.model import DeliveryState, InstanceState
from watcher.core.ports import Background, DeliveryReport, InstanceView
from watcher.core.quiet import Acknowledgement, Silence
from watcher.ops.problems import Problem
from watcher.ops.reading import read_body, read_query
from watcher.ops.requests import (
    AckBody,
    DeliveriesQuery,
    InstancesQuery,
    NoBody,
    PageQuery,
    SilenceBody,
    SilencesQuery,
)
from watcher.ops.views import (
    delivery_to_json,
    firing,
    firing_to_json,
    instance_to_json,
    listed,
    page_of,
    record_of,
    silence_state,
    silence_to_json,
    taken_of,
)


class SilenceKeeper(Protocol):
    """Where silences are made and ended. Writing raises StoreError."""

    def silences(self) -> Sequence[Silence]:
        """All silences, ended ones, too."""
        ...

    async def add(self, silence: Silence) -> None:
        """A new silence."""
        ...

    async def expire(self, silence_id: str) -> bool:
        """End a silence; False when there is none that could."""
        ...


class ApiStore(Protocol):
    """What is kept of acknowledgements and deliveries. Every method raises StoreError."""

    async def acknowledge(self, acknowledgement: Acknowledgement) -> None:
        """Somebody takes on an alert."""
        ...

    async def acknowledgements(self) -> Sequence[Acknowledgement]:
        """All of them."""
        ...

    async def reports(
        self,
        *,
        before: int | None = None,
        limit: int = 100,
        state: DeliveryState | None = None,
        receiver: str | None = None,
    ) -> Sequence[DeliveryReport]:
        """Deliveries, newest first, from before the id `before`."""
        ...

    async def retry(self, ids: Collection[int] | None, *, receivers: Collection[str] | None, now: datetime) -> int:
        """Dead letters (None: all) of these receivers are pending again; how many."""
        ...


class Api:
    """The handlers.

    `on_retry` is called when deliveries are pending again, `on_acknowledged` when somebody has taken on an alert.
    """

    def __init__(
        self,
        *,
        view: InstanceView,
        silences: SilenceKeeper,
        store: ApiStore,
        receivers: Collection[str],
        on_retry: Callable[[], None],
        on_acknowledged: Callable[[], None],
        clock: Clock,
    ) -> None:
        self._view = view
        self._silences = silences
        self._store = store
        self._receivers = receivers
        self._on_retry = on_retry
        self._on_acknowledged = on_acknowledged
        self._clock = clock

    def routes(self) -> list[web.RouteDef]:
        """Which path leads to which handler."""
        return [
            web.get("/api/v1/instances", self._list_instances),
            web.get("/api/v1/instances/{source}/{id}", self._show_instance),
            web.get("/api/v1/alerts", self._list_alerts),
            web.post("/api/v1/alerts/{fingerprint}/ack", self._acknowledge),
            web.get("/api/v1/silences", self._list_silences),
            web.post("/api/v1/silences", self._add_silence),
            web.delete("/api/v1/silences/{id}", self._expire_silence),
            web.get("/api/v1/deliveries", self._list_deliveries),
            web.post("/api/v1/deliveries/retry", self._retry_all),
            web.post("/api/v1/deliveries/{id:[0-9]{1,18}}/retry", self._retry),
        ]

    async def _list_instances(self, request: web.Request) -> web.Response:
        query = read_query(InstancesQuery, request.query)
        now = self._clock.now()
        states = (
            state
            for source, states in self._view.states().items()
            if not query.source or source in query.source
            for state in states
            if not query.status or state.status in query.status
        )

        def show(state: InstanceState) -> dict[str, Any]:
            return instance_to_json(state, self._view.background(state), now=now)

        return web.json_response(page_of(states, query, key=lambda state: tuple(state.key), show=show))

    async def _show_instance(self, request: web.Request) -> web.Response:
        source, instance_id = request.match_info["source"], request.match_info["id"]
        by_source = self._view.states()
        if source not in by_source:
            raise Problem(404, f"no source is called {source!r}; configured: {', '.join(by_source) or 'none'}")
        state = next((state for state in by_source[source] if state.key.id == instance_id), None)
        if state is None:
            raise Problem(404, f"no instance {instance_id!r} of source {source!r} is watched, or it was not yet seen")
        shown = instance_to_json(state, self._view.background(state), now=self._clock.now())
        return web.json_response({**shown, "instance": record_of(state)})

    async def _list_alerts(self, request: web.Request) -> web.Response:
        query = read_query(PageQuery, request.query)
        taken = taken_of(await self._store.acknowledgements())
        return web.json_response(
            page_of(
                firing(self._view),
                query,
                key=lambda each: each.key,
                show=lambda each: firing_to_json(each, background=self._background(each.state), taken=taken),
            )
        )

    def _background(self, state: InstanceState | None) -> Background:
        return self._view.background(state) if state is not None else Background()

    async def _acknowledge(self, request: web.Request) -> web.Response:
        body = read_body(AckBody, await request.read())
        fingerprint = request.match_info["fingerprint"]
        each = next((each for each in firing(self._view) if each.alert.fingerprint == fingerprint), None)
        if each is None:
            raise Problem(404, f"no alert with the fingerprint {fingerprint!r} fires: see /api/v1/alerts")
        acknowledgement = Acknowledgement(
            fingerprint=fingerprint,
            starts_at=each.alert.starts_at,
            author=body.author,
            comment=body.comment,
            created_at=self._clock.now(),
        )
        await self._store.acknowledge(acknowledgement)
        self._on_acknowledged()
        background, taken = self._background(each.state), taken_of([acknowledgement])
        return web.json_response(firing_to_json(each, background=background, taken=taken))

    async def _list_silences(self, request: web.Request) -> web.Response:
        query = read_query(SilencesQuery, request.query)
        now = self._clock.now()
        chosen = [
            silence
            for silence in self._silences.silences()
            if not query.state or silence_state(silence, now=now) in query.state
        ]
        return web.json_response(
            page_of(
                [silence_to_json(silence, now=now) for silence in chosen],
                query,
                key=lambda shown: (shown["created_at"], shown["id"]),
                show=lambda shown: shown,
            )
        )

    async def _add_silence(self, request: web.Request) -> web.Response:
        now = self._clock.now()
        body = read_body(SilenceBody, await request.read())
        silence = body.silence(id=f"sil_{uuid.uuid4().hex[:16]}", now=now)
        await self._silences.add(silence)
        return web.json_response(silence_to_json(silence, now=now), status=201)

    async def _expire_silence(self, request: web.Request) -> web.Response:
        silence_id = request.match_info["id"]
        if not any(silence.id == silence_id for silence in self._silences.silences()):
            raise Problem(404, f"there is no silence {silence_id!r}: see /api/v1/silences")
        await self._silences.expire(silence_id)  # one that is over already is as was asked for
        return web.Response(status=204)

    async def _list_deliveries(self, request: web.Request) -> web.Response:
        query = read_query(DeliveriesQuery, request.query)
        found = await self._store.reports(
            before=query.before, limit=query.limit + 1, state=query.state, receiver=query.receiver
        )
        shown = found[: query.limit]
        after = (str(shown[-1].delivery.id),) if len(found) > query.limit else None
        return web.json_response(listed(map(delivery_to_json, shown), after=after))

    async def _retry(self, request: web.Request) -> web.Response:
        read_body(NoBody, await request.read())
        delivery_id = int(request.match_info["id"])
        report = await self._report(delivery_id)
        if report.state is not DeliveryState.DEAD:
            raise Problem(409, f"delivery {delivery_id} is {report.state.value}: only what is dead is tried again")
        if report.delivery.receiver not in self._receivers:
            raise Problem(409, f"receiver {report.delivery.receiver!r} is no longer in the configuration")
        await self._store.retry([delivery_id], receivers=self._receivers, now=self._clock.now())
        shown = delivery_to_json(await self._report(delivery_id))
        self._on_retry()
        return web.json_response(shown)

    async def _report(self, delivery_id: int) -> DeliveryReport:
        for report in await self._store.reports(before=delivery_id + 1, limit=1):
            if report.delivery.id == delivery_id:
                return report
        raise Problem(404, f"there is no delivery {delivery_id}: see /api/v1/deliveries")

    async def _retry_all(self, request: web.Request) -> web.Response:
        read_body(NoBody, await request.read())
        count = await self._store.retry(None, receivers=self._receivers, now=self._clock.now())
        self._on_retry()
        return web.json_response({"retried": count})
