"""All resources together, and the document that tells of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from aiohttp import web

from watcher.core.clock import Clock
from watcher.core.model import Event
from watcher.core.ports import HistoryStore, InstanceView
from watcher.core.quiet import Held
from watcher.ops.api.alerts import AcknowledgementStore, Alerts
from watcher.ops.api.deliveries import Deliveries, DeliveryReports
from watcher.ops.api.endpoint import PREFIX, Endpoint
from watcher.ops.api.events import Events
from watcher.ops.api.instances import Instances
from watcher.ops.api.openapi import document
from watcher.ops.api.silences import SilenceKeeper, Silences
from watcher.ops.api.sources import SourceInfo, SourceLog, Sources
from watcher.ops.api.status import StatusReport
from watcher.ops.api.views import Pages
from watcher.ops.guard import Guard
from watcher.ops.health import Wellness


class ApiStore(AcknowledgementStore, DeliveryReports, HistoryStore, Protocol):
    """What the API asks of the store. Every method raises StoreError."""


class Quiet(SilenceKeeper, Protocol):
    """Silences, and what is quiet by them."""

    def why_quiet(self, event: Event) -> Held | None:
        """What keeps the event back now, None if nothing does."""
        ...


class Api:
    """The API's routes.

    `receivers` are the types by name. `on_retry` is called when deliveries are pending again, `on_acknowledged` when
    somebody has taken on an alert.
    """

    def __init__(
        self,
        *,
        view: InstanceView,
        quiet: Quiet,
        store: ApiStore,
        sources: Sequence[SourceInfo],
        log: SourceLog,
        receivers: Mapping[str, str],
        pages: Pages,
        wellness: Wellness,
        guard: Guard,
        external_url: str | None,
        on_retry: Callable[[], None],
        on_acknowledged: Callable[[], None],
        clock: Clock,
    ) -> None:
        self._guard = guard
        self._endpoints: list[Endpoint] = [
            *StatusReport(
                view=view,
                store=store,
                silences=quiet.silences,
                receivers=receivers,
                log=log,
                wellness=wellness,
                guard=guard,
                external_url=external_url,
                clock=clock,
            ).endpoints(),
            *Instances(view=view, pages=pages, clock=clock).endpoints(),
            *Events(store=store, view=view, clock=clock).endpoints(),
            *Alerts(
                view=view,
                store=store,
                why_quiet=quiet.why_quiet,
                on_acknowledged=on_acknowledged,
                pages=pages,
                clock=clock,
            ).endpoints(),
            *Silences(keeper=quiet, clock=clock).endpoints(),
            *Deliveries(store=store, receivers=receivers, on_retry=on_retry, clock=clock).endpoints(),
            *Sources(sources=sources, log=log, view=view, pages=pages).endpoints(),
        ]

    def routes(self) -> list[web.RouteDef]:
        """Which path leads to which handler."""
        return [*(each.route() for each in self._endpoints), web.get(f"{PREFIX}/openapi.json", self._document)]

    async def _document(self, _request: web.Request) -> web.Response:
        told = document(self._endpoints, has_token=self._guard.has_token)
        return web.Response(text=json.dumps(told), content_type="application/json")
