"""All resources together, and the document that tells of them."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Protocol

from aiohttp import web

from watcher.core.clock import Clock
from watcher.core.model import Event
from watcher.core.ports import HistoryStore, InstanceView
from watcher.core.quiet import Held
from watcher.core.sharing import Roster
from watcher.ops.api.alerts import AcknowledgementStore, Alerts
from watcher.ops.api.configured import Present
from watcher.ops.api.deliveries import Deliveries, DeliveryReports
from watcher.ops.api.endpoint import PREFIX, Endpoint
from watcher.ops.api.events import Events
from watcher.ops.api.instances import Instances
from watcher.ops.api.openapi import document
from watcher.ops.api.replicas import Replicas
from watcher.ops.api.silences import SilenceKeeper, Silences
from watcher.ops.api.sources import SourceLog, Sources
from watcher.ops.api.status import StatusReport
from watcher.ops.health import Wellness
from watcher.ops.reload import ReloadLog


class ApiStore(AcknowledgementStore, DeliveryReports, HistoryStore, Protocol):
    """What the API asks of the store. Every method raises StoreError."""


class Quiet(SilenceKeeper, Protocol):
    """Silences, and what is quiet by them."""

    def why_quiet(self, event: Event) -> Held | None:
        """What keeps the event back now, None if nothing does."""
        ...


class Api:
    """The API's routes.

    `on_retry` is called when deliveries are pending again, `on_acknowledged` when
    somebody has taken on an alert, `catch_up` before anything is answered.
    """

    def __init__(
        self,
        *,
        view: InstanceView,
        quiet: Quiet,
        store: ApiStore,
        configured: Present,
        log: SourceLog,
        reloads: ReloadLog,
        wellness: Wellness,
        on_retry: Callable[[], None],
        on_acknowledged: Callable[[], None],
        roster: Callable[[], Roster],
        replica_id: Callable[[], str],
        why_unwell: Callable[[], str | None],
        catch_up: Callable[[], Awaitable[None]],
        clock: Clock,
    ) -> None:
        self._configured = configured
        self._catch_up = catch_up
        self._endpoints: list[Endpoint] = [
            *StatusReport(
                view=view,
                store=store,
                silences=quiet.silences,
                configured=configured,
                log=log,
                reloads=reloads,
                wellness=wellness,
                roster=roster,
                replica_id=replica_id,
                why_unwell=why_unwell,
                clock=clock,
            ).endpoints(),
            *Instances(view=view, configured=configured, clock=clock).endpoints(),
            *Events(store=store, view=view, clock=clock).endpoints(),
            *Alerts(
                view=view,
                store=store,
                why_quiet=quiet.why_quiet,
                on_acknowledged=on_acknowledged,
                configured=configured,
                clock=clock,
            ).endpoints(),
            *Silences(keeper=quiet, clock=clock).endpoints(),
            *Deliveries(store=store, configured=configured, on_retry=on_retry, clock=clock).endpoints(),
            *Sources(configured=configured, log=log, view=view, roster=roster).endpoints(),
            *Replicas(roster=roster, replica_id=replica_id).endpoints(),
        ]

    def routes(self) -> list[web.RouteDef]:
        """Which path leads to which handler."""
        return [
            *(each.route(first=self._catch_up) for each in self._endpoints),
            web.get(f"{PREFIX}/openapi.json", self._document),
        ]

    async def _document(self, _request: web.Request) -> web.Response:
        told = document(self._endpoints, security=self._configured().guard.schemes)
        return web.Response(text=json.dumps(told), content_type="application/json")
