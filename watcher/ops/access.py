"""The ways in: who shows a token, or a name and a password."""

from __future__ import annotations

import base64
import hashlib
import hmac
import logging

from aiohttp import web
from multidict import CIMultiDict

from watcher.core.clock import Clock
from watcher.core.errors import ConfigurationError
from watcher.fields import Secret
from watcher.ops.problems import Problem
from watcher.ops.tally import Tally

_REFUSAL_S = 1.0
_WAITING_AT_ONCE = 32
_BEARER = ("WWW-Authenticate", "Bearer")
_BASIC = ("WWW-Authenticate", 'Basic realm="watcher", charset="UTF-8"')

_log = logging.getLogger("watcher.ops")


class Access:
    """Lets in who shows `bearer_token`, or by Basic `username` and `password`; raises Problem 401 for all others.

    Where there is no `username`, Basic takes the token as password and any name: a browser asks its user for that by
    itself, and sends it with all that the page asks for.

    Whoever is right is let in at once, however many others are wrong: nobody can be locked out. Who shows something
    wrong waits a second for the answer, and where too many wait already, loses the connection instead. Files are read
    at each use; one that cannot be read lets nobody in.
    """

    def __init__(
        self,
        *,
        bearer_token: Secret | None = None,
        username: str | None = None,
        password: Secret | None = None,
        clock: Clock,
    ) -> None:
        if (username is None) != (password is None) or (bearer_token is None and password is None):
            raise ValueError("a token, or a name and a password, or all three")
        self._bearer_token = bearer_token
        self._username = username
        self._password = password
        self._clock = clock
        self._waiting = 0
        self._refused = Tally(clock=clock)

    @property
    def schemes(self) -> tuple[str, ...]:
        """The schemes taken, as OpenAPI calls them."""
        return ("bearer", "basic") if self._bearer_token is not None else ("basic",)

    async def check(self, request: web.Request) -> None:
        """Raise the Problem that keeps the request out."""
        authorization = request.headers.get("Authorization")
        why = None
        try:
            if authorization is not None and self._fits(authorization):
                return
        except ConfigurationError as error:
            why = str(error)
        if authorization is not None:
            self._tell(request.remote, why)
            await self._slow_down(request)
        # In headers of their own: Chromium takes one header for one challenge.
        challenges = [_BEARER, _BASIC] if self._bearer_token is not None else [_BASIC]
        raise Problem(401, self._advice(), headers=CIMultiDict(challenges))

    def _fits(self, authorization: str) -> bool:
        scheme, _, given = authorization.partition(" ")
        text = given.strip().encode(errors="surrogateescape")
        match scheme.lower():
            case "bearer":
                return self._bearer_token is not None and _same(text, self._bearer_token)
            case "basic":
                return self._fits_basic(text)
            case _:
                return False

    def _fits_basic(self, text: bytes) -> bool:
        try:
            name, _, password = base64.b64decode(text, validate=True).partition(b":")
        except ValueError:
            return False
        if self._username is None or self._password is None:
            return self._bearer_token is not None and _same(password, self._bearer_token)
        same_name, same_password = _same(name, Secret(value=self._username)), _same(password, self._password)
        return same_name and same_password

    def _advice(self) -> str:
        bearer = "send the header 'Authorization: Bearer TOKEN' with the token of web.auth"
        if self._username is None:
            return f"{bearer}, or Basic with it as password"
        basic = "Basic with the user and the password of web.auth"
        return f"{bearer}, or {basic}" if self._bearer_token is not None else f"send {basic}"

    async def _slow_down(self, request: web.Request) -> None:
        if self._waiting >= _WAITING_AT_ONCE:
            if request.transport is not None:
                request.transport.abort()
            return
        self._waiting += 1
        try:
            await self._clock.sleep(_REFUSAL_S)
        finally:
            self._waiting -= 1

    def _tell(self, peer: str | None, why: str | None) -> None:
        count = self._refused.add()
        if count:
            what = f"{count} requests with wrong credentials, the last from {peer}" if why is None else why
            _log.warning("access refused: %s", what)


def _same(given: bytes, wanted: Secret) -> bool:
    """Whether it is the secret; the time it takes tells nothing of it, not even how long it is."""
    digests = [hashlib.sha256(text).digest() for text in (given, wanted.reveal().encode())]
    return hmac.compare_digest(*digests)
