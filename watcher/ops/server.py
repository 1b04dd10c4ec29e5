"""The HTTP server: `/metrics`, `/-/healthy`, `/-/ready`, the API, and a page that says where they are."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from watcher import __version__
from watcher.core.errors import ConfigurationError, StoreError
from watcher.fields import Secret
from watcher.ops.guard import Guard
from watcher.ops.problems import Problem, problem_of

_OPEN_PATHS = frozenset({"/-/healthy", "/-/ready"})
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>watcher</title></head>
<body><h1>watcher</h1><p>Version {version}</p>
<ul><li><a href="metrics">Metrics</a></li>
<li><a href="api/v1/instances">Instances</a></li><li><a href="api/v1/alerts">Alerts</a></li>
<li><a href="-/healthy">Healthy</a></li><li><a href="-/ready">Ready</a></li></ul>
</body></html>
"""
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}

_log = logging.getLogger("watcher.ops")

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class OpsServer:
    """Serves on one address until closed.

    `not_ready` and `unhealthy` say in words why the watcher is not, or None when it is; `refresh` brings the metrics
    that live in the store up to date before a scrape; `routes` are served beside its own. With `bearer_token`, all but
    health and readiness need it; with `read_only`, nothing can be changed. `external_url` is how browsers reach it from
    outside.
    """

    def __init__(
        self,
        *,
        host: str,
        port: int,
        registry: CollectorRegistry,
        refresh: Callable[[], Awaitable[None]],
        not_ready: Callable[[], str | None],
        unhealthy: Callable[[], str | None],
        routes: Sequence[web.RouteDef] = (),
        bearer_token: Secret | None = None,
        read_only: bool = False,
        external_url: str | None = None,
    ) -> None:
        self._host = host
        self._port = port
        self._registry = registry
        self._refresh = refresh
        self._not_ready = not_ready
        self._unhealthy = unhealthy
        self._routes = routes
        self._guard = Guard(bearer_token=bearer_token, read_only=read_only, external_url=external_url)
        self._runner: web.AppRunner | None = None

    async def start(self) -> str:
        """Listen; the URL served, with the real port where 0 was asked for. Raises ConfigurationError."""
        app = web.Application(middlewares=[self._answer], client_max_size=64 * 1024)
        app.add_routes(
            [
                web.get("/", self._index),
                web.get("/metrics", self._metrics),
                web.get("/-/healthy", self._healthy),
                web.get("/-/ready", self._ready),
                *self._routes,
            ]
        )
        runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=2.0)
        await runner.setup()
        try:
            await web.TCPSite(runner, self._host, self._port).start()
        except (OSError, OverflowError) as error:
            await runner.cleanup()
            why = getattr(error, "strerror", None) or str(error)
            raise ConfigurationError(f"web.listen: cannot listen on {self._host}:{self._port}: {why}") from error
        self._runner = runner
        host, port = runner.addresses[0][:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    async def close(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()

    @web.middleware
    async def _answer(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        response: web.StreamResponse
        try:
            if request.path not in _OPEN_PATHS:
                self._guard.check(request)
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
        response.headers.update(_HEADERS)
        return response

    async def _index(self, _request: web.Request) -> web.Response:
        return web.Response(text=_PAGE.format(version=__version__), content_type="text/html")

    async def _metrics(self, request: web.Request) -> web.Response:
        # The last known figures are better than no scrape; the store's trouble is logged where its work is done.
        with suppress(StoreError):
            await self._refresh()
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(self._registry), headers={"Content-Type": content_type})

    async def _healthy(self, _request: web.Request) -> web.Response:
        reason = self._unhealthy()
        if reason is None:
            return web.Response(text="watcher is healthy.\n")
        return web.Response(status=503, text=f"watcher is not healthy: {reason}.\n")

    async def _ready(self, _request: web.Request) -> web.Response:
        reason = self._not_ready()
        if reason is None:
            return web.Response(text="watcher is ready.\n")
        return web.Response(status=503, text=f"watcher is not ready: {reason}.\n")
