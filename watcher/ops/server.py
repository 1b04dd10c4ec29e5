"""The HTTP server: `/metrics`, `/-/healthy`, `/-/ready`, and a page that says where they are."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from contextlib import suppress

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from watcher import __version__
from watcher.core.errors import ConfigurationError, StoreError
from watcher.fields import Secret

_OPEN_PATHS = frozenset({"/-/healthy", "/-/ready"})
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>watcher</title></head>
<body><h1>watcher</h1><p>Version {version}</p>
<ul><li><a href="metrics">Metrics</a></li>
<li><a href="-/healthy">Healthy</a></li><li><a href="-/ready">Ready</a></li></ul>
</body></html>
"""
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class OpsServer:
    """Serves on one address until closed.

    `not_ready` says in words why the watcher is not ready, or None when it is; `refresh` brings the metrics that live
    in the store up to date before a scrape. With `bearer_token`, all but health and readiness need it.
    """

    def __init__(
        self,
        *,
        host: str,
        port: int,
        registry: CollectorRegistry,
        refresh: Callable[[], Awaitable[None]],
        not_ready: Callable[[], str | None],
        bearer_token: Secret | None = None,
    ) -> None:
        self._host = host
        self._port = port
        self._registry = registry
        self._refresh = refresh
        self._not_ready = not_ready
        self._bearer_token = bearer_token
        self._runner: web.AppRunner | None = None

    async def start(self) -> str:
        """Listen; the URL served, with the real port where 0 was asked for. Raises ConfigurationError."""
        app = web.Application(middlewares=[self._guard], client_max_size=64 * 1024)
        app.add_routes(
            [
                web.get("/", self._index),
                web.get("/metrics", self._metrics),
                web.get("/-/healthy", self._healthy),
                web.get("/-/ready", self._ready),
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
    async def _guard(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        response: web.StreamResponse
        if request.path in _OPEN_PATHS or self._is_allowed(request):
            try:
                response = await handler(request)
            except web.HTTPException as error:
                error.headers.update(_HEADERS)
                raise
        else:
            response = web.Response(status=401, text="Unauthorized\n", headers={"WWW-Authenticate": "Bearer"})
        response.headers.update(_HEADERS)
        return response

    def _is_allowed(self, request: web.Request) -> bool:
        if self._bearer_token is None:
            return True
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        try:
            wanted = self._bearer_token.reveal()
        except ConfigurationError:
            return False
        return scheme.lower() == "bearer" and hmac.compare_digest(
            given.strip().encode(errors="surrogateescape"), wanted.encode()
        )

    async def _index(self, _request: web.Request) -> web.Response:
        return web.Response(text=_PAGE.format(version=__version__), content_type="text/html")

    async def _metrics(self, request: web.Request) -> web.Response:
        # The last known figures are better than no scrape; the store's trouble is logged where its work is done.
        with suppress(StoreError):
            await self._refresh()
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(self._registry), headers={"Content-Type": content_type})

    async def _healthy(self, _request: web.Request) -> web.Response:
        return web.Response(text="watcher is healthy.\n")

    async def _ready(self, _request: web.Request) -> web.Response:
        reason = self._not_ready()
        if reason is None:
            return web.Response(text="watcher is ready.\n")
        return web.Response(status=503, text=f"watcher is not ready: {reason}.\n")
