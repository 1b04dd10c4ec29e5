"""Who may do what over HTTP."""

from __future__ import annotations

import base64
import hmac
import ipaddress
from urllib.parse import urlsplit

from aiohttp import web
from multidict import CIMultiDict

from watcher.core.errors import ConfigurationError
from watcher.fields import Secret
from watcher.ops.problems import Problem

_OPEN_PATHS = frozenset({"/-/healthy", "/-/ready"})
_READS = frozenset({"GET", "HEAD"})
_DEFAULT_PORTS = {"http": 80, "https": 443}
# In headers of their own: Chromium takes one header for one challenge.
_CHALLENGES = (("WWW-Authenticate", "Bearer"), ("WWW-Authenticate", 'Basic realm="watcher", charset="UTF-8"'))
_WHY_READ_ONLY = (
    "this watcher can be reached from other machines and has no web.auth, so it only shows things: "
    "set web.auth.bearer_token, or let web.listen be a loopback address such as 127.0.0.1:9468"
)


class Guard:
    """Checks each request. With `bearer_token` all but health and readiness needs it; with `read_only`, nothing can be
    changed: anybody could who reaches the address. `external_url` is how browsers reach it from outside.

    A browser asks its user for the token by itself when it is told of Basic, where the token is the password, and sends
    it with all that the page asks for. Programs had better use Bearer.

    A page of somebody else in a browser on this machine must not change anything either. It can send a request here
    without being asked, but not without its own `Origin`, nor a body of type JSON; and where a name of its own leads to
    this machine (DNS rebinding), that name is in `Host`.
    """

    def __init__(
        self, *, bearer_token: Secret | None = None, read_only: bool = False, external_url: str | None = None
    ) -> None:
        self._bearer_token = bearer_token
        self.why_read_only = _WHY_READ_ONLY if read_only else None
        self._external = _authority(external_url) if external_url else None

    @property
    def has_token(self) -> bool:
        """Whether a token is needed."""
        return self._bearer_token is not None

    def check(self, request: web.Request) -> None:
        """Raise the Problem that forbids the request."""
        if request.path in _OPEN_PATHS:
            return
        self._check_token(request)
        if request.method in _READS:
            return
        if self.why_read_only is not None:
            raise Problem(403, self.why_read_only)
        self._check_origin(request)
        if request.can_read_body and request.content_type != "application/json":
            raise Problem(415, "send the header 'Content-Type: application/json'")

    def _check_token(self, request: web.Request) -> None:
        if self._bearer_token is None:
            return
        refused = Problem(
            401,
            "send the header 'Authorization: Bearer TOKEN' with the token of web.auth, or Basic with it as password",
            headers=CIMultiDict(_CHALLENGES),
        )
        given = _token_of(request.headers.get("Authorization", ""))
        try:
            wanted = self._bearer_token.reveal()
        except ConfigurationError:
            raise refused from None
        if given is None or not hmac.compare_digest(given, wanted.encode()):
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


def _token_of(authorization: str) -> bytes | None:
    """The token in the header of that name, None when there is none."""
    scheme, _, given = authorization.partition(" ")
    text = given.strip().encode(errors="surrogateescape")
    match scheme.lower():
        case "bearer":
            return text
        case "basic":
            try:
                return base64.b64decode(text, validate=True).partition(b":")[2]
            except ValueError:
                return None
        case _:
            return None


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
