"""Who may do what over HTTP."""

from __future__ import annotations

import hmac
import ipaddress
from urllib.parse import urlsplit

from aiohttp import web

from watcher.core.errors import ConfigurationError
from watcher.fields import Secret
from watcher.ops.problems import Problem

_READS = frozenset({"GET", "HEAD"})
_DEFAULT_PORTS = {"http": 80, "https": 443}


class Guard:
    """Checks each request. With `read_only` nothing can be changed: anybody could who reaches the address.

    A page of somebody else in a browser on this machine must not change anything either. It can send a request here
    without being asked, but not without its own `Origin`, nor a body of type JSON; and where a name of its own leads to
    this machine (DNS rebinding), that name is in `Host`.
    """

    def __init__(self, *, bearer_token: Secret | None, read_only: bool, external_url: str | None) -> None:
        self._bearer_token = bearer_token
        self._read_only = read_only
        self._external = _authority(external_url) if external_url else None

    def check(self, request: web.Request) -> None:
        """Raise the Problem that forbids the request."""
        self._check_token(request)
        if request.method in _READS:
            return
        if self._read_only:
            raise Problem(
                403,
                "this watcher can be reached from other machines and has no web.auth, so it only shows things: "
                "set web.auth.bearer_token, or let web.listen be a loopback address such as 127.0.0.1:9468",
            )
        self._check_origin(request)
        if request.can_read_body and request.content_type != "application/json":
            raise Problem(415, "send the header 'Content-Type: application/json'")

    def _check_token(self, request: web.Request) -> None:
        if self._bearer_token is None:
            return
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        refused = Problem(
            401,
            "send the header 'Authorization: Bearer TOKEN' with the token of web.auth",
            headers={"WWW-Authenticate": "Bearer"},
        )
        try:
            wanted = self._bearer_token.reveal()
        except ConfigurationError:
            raise refused from None
        if scheme.lower() != "bearer" or not hmac.compare_digest(
            given.strip().encode(errors="surrogateescape"), wanted.encode()
        ):
            raise refused

    def _check_origin(self, request: web.Request) -> None:
        host = request.host.lower()
        if self._bearer_token is None and not (host == self._external or _is_loopback(host)):
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
