"""What Apprise's services do in one try, watched and bounded. Imports `requests`: only where Apprise is installed.

Apprise itself says only that it failed. All its services use `requests`, so each answer is seen where it comes in: its
status, its `Retry-After` and its words are judged as those of any receiver; no redirect is followed, whatever a service
asks for; an endless answer is cut; and a try that was given up sends nothing more. Of those that speak no HTTP, what
they log is kept as the reason. Nothing else of that goes anywhere: Apprise logs addresses, tokens and payloads.
"""

from __future__ import annotations

import logging
import os
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import requests
import requests.sessions
from requests.adapters import HTTPAdapter
from urllib3.exceptions import DecodeError, HTTPError, NewConnectionError
from urllib3.exceptions import TimeoutError as _Urllib3Timeout

from watcher.core.destinations import ForbiddenAddressError, check_address
from watcher.core.errors import DeliveryError, FailureReason
from watcher.receivers.apprise.tries import Attempt

_BODY_LIMIT = 1024 * 1024
_LINES = 5
_LINE_CHARS = 2000
_TALKATIVE = ("urllib3", "requests_oauthlib", "oauthlib", "paho", "slixmpp")
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer to one request, its body cut."""

    status: int
    headers: Mapping[str, str]
    body: str

    @property
    def is_good(self) -> bool:
        """Whether it is one of success."""
        return 200 <= self.status < 300  # noqa: PLR2004 - the class of success, RFC 9110 section 15.3

    @property
    def is_redirect(self) -> bool:
        """Whether it sends elsewhere."""
        return self.status in _REDIRECTS


@dataclass(slots=True, kw_only=True)
class Exchange:
    """What was asked in one try and what came of it, in order; `lines` are what was logged about failures."""

    attempt: Attempt
    results: list[Answer | DeliveryError] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)


_EXCHANGE: ContextVar[Exchange | None] = ContextVar("watcher_apprise_exchange", default=None)


def listen() -> None:
    """Once a process: see what Apprise's services do, and show nothing that they log. Others use requests as ever."""
    # There is no way to hand a session to Apprise's services.
    requests.sessions.HTTPAdapter = _WatchedAdapter  # type: ignore[attr-defined]
    logger = logging.getLogger("apprise")
    logger.setLevel(logging.DEBUG)
    if not any(isinstance(each, _Overhearing) for each in logger.filters):
        logger.addFilter(_Overhearing())
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)


@contextmanager
def watched(attempt: Attempt) -> Iterator[Exchange]:
    """Watch what this thread does."""
    exchange = Exchange(attempt=attempt)
    token = _EXCHANGE.set(exchange)
    try:
        yield exchange
    finally:
        _EXCHANGE.reset(token)


class _Overhearing(logging.Filter):
    """Lets nothing through to any handler."""

    def filter(self, record: logging.LogRecord) -> bool:
        exchange = _EXCHANGE.get()
        if exchange is not None and len(exchange.lines) < _LINES:
            with suppress(TypeError, ValueError):  # what cannot be formatted says nothing
                text = record.getMessage()
                if record.levelno >= logging.WARNING or "Exception:" in text:
                    exchange.lines.append(text[:_LINE_CHARS])
        return False


class _WatchedAdapter(HTTPAdapter):
    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,  # noqa: FBT001, FBT002 - requests' own
        timeout: float | tuple[float | None, float | None] | None = None,
        verify: bool | str = True,  # noqa: FBT001, FBT002
        cert: str | tuple[str, str] | None = None,
        proxies: dict[str, str] | None = None,
    ) -> requests.Response:
        """Send it, keep what came of it, and raise for a redirect."""
        exchange = _EXCHANGE.get()
        if exchange is None:
            return super().send(request, stream, timeout, verify, cert, proxies)
        if exchange.attempt.abandoned:
            raise requests.ConnectionError("given up")
        try:
            if requests.utils.select_proxy(request.url or "", proxies) is None:
                _check(request.url or "")
            response = super().send(request, True, timeout, verify, cert, proxies)  # noqa: FBT003 - requests' own
            body = _read(response, exchange.attempt)
        except (requests.RequestException, HTTPError, OSError) as error:
            failure = _failure(request.url or "", error)
            exchange.results.append(failure)
            raise requests.ConnectionError(str(failure)) from error
        answer = Answer(status=response.status_code, headers=response.headers, body=body.decode(errors="replace"))
        exchange.results.append(answer)
        if answer.is_redirect:
            # Followed, a POST can become a GET of a login page that answers 200: the alert would be lost and counted
            # as sent.
            raise requests.TooManyRedirects("redirects are not followed")
        return response


def _check(url: str) -> None:
    """Raise ForbiddenAddressError where the host of a URL is a link-local address, or has one."""
    parts = urlsplit(url)
    # Looked up once more when the connection is made, which also tells why a name is none: urllib3 has no place to
    # stand in between.
    with suppress(socket.gaierror):
        for found in socket.getaddrinfo(parts.hostname, parts.port, type=socket.SOCK_STREAM):
            check_address(str(found[4][0]))


def _read(response: requests.Response, attempt: Attempt) -> bytes:
    """The body or its beginning, kept in the response as if it had been read whole."""
    kept = bytearray()
    try:
        while len(kept) < _BODY_LIMIT and not attempt.abandoned:
            piece = response.raw.read1(8192, decode_content=True)
            if not piece:
                break
            kept += piece
    except DecodeError:
        pass  # an answer counts by its status
    finally:
        response.raw.close()
    response._content = bytes(kept)  # noqa: SLF001 - what reading `content` does, without a bound
    response._content_consumed = True  # noqa: SLF001
    return bytes(kept)


def _failure(url: str, error: Exception) -> DeliveryError:
    parts = urlsplit(url)
    place = f"{parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}"
    causes = list(_causes(error))
    if isinstance(error, ForbiddenAddressError):
        message = f"cannot connect to {place}: {error}"
        return DeliveryError(message, reason=FailureReason.CLIENT_ERROR, permanent=False)
    message = f"the connection failed: {type(causes[-1]).__name__}"
    if any(isinstance(cause, NewConnectionError) for cause in causes):
        message = f"cannot connect to {place}: {next(_of_the_system(causes), 'no connection')}"
    elif any(isinstance(cause, TimeoutError | requests.Timeout | _Urllib3Timeout) for cause in causes):
        return DeliveryError("no answer in time", reason=FailureReason.TIMEOUT, permanent=False)
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            message = f"the TLS certificate of {place} is not trusted: {cause.verify_message}"
    return DeliveryError(message, reason=FailureReason.NETWORK, permanent=False)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what is behind it: requests and urllib3 wrap in four ways."""
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        each = waiting.pop(0)
        if isinstance(each, BaseException) and id(each) not in seen:
            seen.add(id(each))
            yield each
            waiting += [getattr(each, "reason", None), *each.args, each.__cause__, each.__context__]


def _of_the_system(causes: list[BaseException]) -> Iterator[str]:
    for cause in causes:
        if isinstance(cause, socket.gaierror) and cause.strerror:
            yield cause.strerror
        elif isinstance(cause, OSError) and not isinstance(cause, requests.RequestException) and cause.errno:
            yield os.strerror(cause.errno)
