"""Who may do what over HTTP."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from aiohttp import web

from watcher.ops.access import Access
from watcher.ops.problems import Problem

_OPEN_PATHS = frozenset({"/-/healthy", "/-/ready"})
_READS = frozenset({"GET", "HEAD"})
_DEFAULT_PORTS = {"http": 80, "https": 443}
_WHY_READ_ONLY = (
    "this watcher can be reached from other machines and has no web.auth, so it only shows things: "
    "set web.auth.bearer_token (or username and password), "
    "or let web.listen be a loopback address such as 127.0.0.1:9468"
)


class Guard:
    """Checks each request. With `access` all but health and readiness needs it; with `read_only`, nothing can be
    changed: anybody could who reaches the address. `external_url` is how browsers reach it from outside.

    A page of somebody else in a browser on this machine must not change anything either. It can send a request here
    without being asked, but not without its own `Origin`, nor a body of type JSON; and where a name of its own leads to
    this machine (DNS rebinding), that name is in `Host`.
    """

    def __init__(
        self, *, access: Access | None = None, read_only: bool = False, external_url: str | None = None
    ) -> None:
        self._access = access
        self.why_read_only = _WHY_READ_ONLY if read_only else None
        self._external = _authority(external_url) if external_url else None

    @property
    def schemes(self) -> tuple[str, ...]:
        """How to prove who one is, as OpenAPI calls it; empty where nobody has to."""
        return self._access.schemes if self._access is not None else ()

    async def check(self, request: web.Request) -> None:
        """Raise the Problem that forbids the request."""
        if request.path in _OPEN_PATHS:
            return
        if self._access is not None:
            await self._access.check(request)
        if request.method in _READS:
            return
        if self.why_read_only is not None:
            raise Problem(403, self.why_read_only)
        self._check_origin(request)
        if request.can_read_body and request.content_type != "application/json":
            raise Problem(415, "send the header 'Content-Type: application/json'")

    def _check_origin(self, request: web.Request) -> None:
        host = request.host.lower()
        if self._access is None and not (host == self._external or _is_loopback(host)):
            raise Problem(403, "the header 'Host' names another machine: use a loopback address, or set web.auth")
        origin = request.headers.get("Origin")
        if origin is None:
            return
        site = _authority(origin)
        if site is None or site not in (host, self._external):
            raise Problem(403, "the header 'Origin' names another site: nothing may be changed from there")


def _authority(url: str) -> str | None:
    """Host and port of a URL as a browser writes them: without the port that goes without saying."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    host = f"[{parts.hostname}]" if parts.hostname and ":" in parts.hostname else parts.hostname
    if parts.scheme not in _DEFAULT_PORTS or not host:
        return None
    return host if port in (None, _DEFAULT_PORTS[parts.scheme]) else f"{host}:{port}"


def _is_loopback(authority: str) -> bool:
    try:
        host = urlsplit(f"//{authority}").hostname or ""
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
