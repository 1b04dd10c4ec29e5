"""The HTTP server: `/metrics`, `/-/healthy`, `/-/ready`, the API, and the status page."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import cast

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from watcher.core.clock import Clock
from watcher.core.errors import ConfigurationError, StoreError
from watcher.ops.connections import Connections, affordable
from watcher.ops.guard import Guard
from watcher.ops.health import Wellness
from watcher.ops.page import StatusPage
from watcher.ops.problems import Problem, problem_of
from watcher.ops.tls import Tls

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}

_LINE_BYTES = 160 * 1024  # the longest query the API takes, every character of it escaped
_IDLE_S = 75.0  # more than a minute, so that who scrapes each minute keeps its connection

_log = logging.getLogger("watcher.ops")
_http_log = logging.getLogger("watcher.ops.http")


class _OurFaults(logging.Filter):
    """aiohttp logs a traceback, and part of what was sent, for each request that is none: anybody could fill a log."""

    def filter(self, record: logging.LogRecord) -> bool:
        kind = record.exc_info[0] if record.exc_info else None
        return kind is None or not issubclass(kind, HttpProcessingError)


_http_log.addFilter(_OurFaults())

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class OpsServer:
    """Serves on one address until closed.

    `refresh` brings the metrics that live in the store up to date before a scrape; `routes` are served beside its own;
    `on_shutdown` ends answers that would go on for ever. With `tls` it is HTTPS. A connection is closed that sends no
    whole request for `idle_s`; `max_connections` is by default what this process can afford.
    """

    def __init__(
        self,
        *,
        host: str,
        port: int,
        registry: CollectorRegistry,
        refresh: Callable[[], Awaitable[None]],
        wellness: Wellness,
        routes: Sequence[web.RouteDef] = (),
        guard: Callable[[], Guard],
        clock: Clock,
        tls: Tls | None = None,
        on_shutdown: Callable[[], None] = lambda: None,
        idle_s: float = _IDLE_S,
        max_connections: int | None = None,
    ) -> None:
        self._host = host
        self._port = port
        self._registry = registry
        self._refresh = refresh
        self._wellness = wellness
        self._routes = routes
        self._guard = guard
        self._clock = clock
        self._tls = tls
        self._on_shutdown = on_shutdown
        self._idle_s = idle_s
        self._max_connections = max_connections
        self._runner: web.AppRunner | None = None
        self._connections: Connections | None = None

    async def start(self) -> str:
        """Listen; the URL served, with the real port where 0 was asked for. Raises ConfigurationError."""
        app = web.Application(middlewares=[self._answer], client_max_size=64 * 1024)
        app.add_routes(
            [
                *StatusPage().routes(),
                web.get("/metrics", self._metrics),
                web.get("/-/healthy", self._healthy),
                web.get("/-/ready", self._ready),
                *self._routes,
            ]
        )
        app.on_response_prepare.append(self._add_headers)
        app.on_shutdown.append(self._end_streams)
        runner = web.AppRunner(
            app,
            access_log=None,
            handle_signals=False,
            shutdown_timeout=2.0,
            max_line_size=_LINE_BYTES,
            keepalive_timeout=self._idle_s,
            logger=_http_log,
        )
        await runner.setup()
        self._runner = runner
        self._connections = Connections(
            server=cast("web.Server", runner.server),  # there since the setup
            tls=self._tls.context if self._tls is not None else None,
            limit=self._max_connections or affordable(),
            clock=self._clock,
        )
        try:
            host, port = await self._connections.listen(self._host, self._port)
        except (OSError, OverflowError) as error:
            await self.close()
            why = getattr(error, "strerror", None) or str(error)
            raise ConfigurationError(f"web.listen: cannot listen on {self._host}:{self._port}: {why}") from error
        scheme = "https" if self._tls is not None else "http"
        return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"

    async def close(self) -> None:
        """Stop listening."""
        if self._connections is not None:
            await self._connections.close()
        if self._runner is not None:
            await self._runner.cleanup()

    async def _end_streams(self, _app: web.Application) -> None:
        self._on_shutdown()

    @web.middleware
    async def _answer(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        with cast("Connections", self._connections).answering(request):  # whatever comes, comes through them
            return await self._answer_to(request, handler)

    async def _answer_to(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        response: web.StreamResponse
        try:
            await self._guard().check(request)
            response = await handler(request)
        except Problem as problem:
            response = problem.response()
        except StoreError as error:
            response = Problem(503, f"{error}: try again when the store works").response()
        except web.HTTPException as error:
            response = problem_of(error).response()
        except (ConnectionError, web.RequestPayloadError):
            response = Problem(400, "the body cannot be read to its end").response()
        except Exception:  # noqa: BLE001 - whatever it is, whoever asked is told that it is our fault
            _log.exception("a request failed by a fault of our own")
            response = Problem(500, "the watcher failed at this: its log says how").response()
        return response

    async def _add_headers(self, _request: web.Request, response: web.StreamResponse) -> None:
        for name, value in _HEADERS.items():
            response.headers.setdefault(name, value)

    async def _metrics(self, request: web.Request) -> web.Response:
        # The last known figures are better than no scrape; the store's trouble is logged where its work is done.
        with suppress(StoreError):
            await self._refresh()
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(self._registry), headers={"Content-Type": content_type})

    async def _healthy(self, _request: web.Request) -> web.Response:
        reason = self._wellness.unhealthy()
        if reason is None:
            return web.Response(text="watcher is healthy.\n")
        return web.Response(status=503, text=f"watcher is not healthy: {reason}.\n")

    async def _ready(self, _request: web.Request) -> web.Response:
        reason = self._wellness.not_ready()
        if reason is None:
            return web.Response(text="watcher is ready.\n")
        return web.Response(status=503, text=f"watcher is not ready: {reason}.\n")
