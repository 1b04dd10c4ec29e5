"""What receivers that speak HTTP share: a session that follows no redirects, and what an answer means.

2xx is success. 408, 425, 429, 5xx and network errors are worth another try; everything else is final. Of an answer a
short excerpt is kept, without the secrets that the receiver was asked with.
"""

from __future__ import annotations

import asyncio
import base64
import html
import json
import os
import re
import socket
import ssl
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from types import SimpleNamespace
from typing import Any, NoReturn
from urllib.parse import parse_qsl, quote, quote_plus, unquote, urlsplit

import aiohttp
from yarl import URL

from watcher import __version__
from watcher.core.destinations import ForbiddenAddressError, check_address
from watcher.core.errors import ConfigurationError, DeliveryError, FailureReason
from watcher.core.http_headers import retry_after_s
from watcher.outbound import open_socket

_BODY_LIMIT = 64 * 1024
_EXCERPT_CHARS = 200
_HIDDEN = "**********"
_SECRET_CHARS = 4  # shorter ones are no secrets, and hiding each "1" would leave nothing to read
_TOKEN_CHARS = 12  # from so many on a part of a secret path may be the secret of it
_TOO_LARGE = 413
_RETRIED = frozenset({408, 425, 429})
_REASONS = {
    401: FailureReason.AUTH_ERROR,
    403: FailureReason.AUTH_ERROR,
    408: FailureReason.TIMEOUT,
    429: FailureReason.RATE_LIMITED,
}


class _ShortResponse(aiohttp.ClientResponse):
    """Reads no more of a body than anybody would look at: an endless one must not fill the memory.

    What it says counts by its status: text that cannot be decoded makes no failure of a success.
    """

    async def read(self) -> bytes:
        if self._body is None:
            kept = bytearray()
            async for chunk in self.content.iter_chunked(8192):
                kept += chunk
                if len(kept) >= _BODY_LIMIT:
                    self.close()
                    break
            self._body = bytes(kept)
        return self._body

    async def text(self, encoding: str | None = None, errors: str = "replace") -> str:  # noqa: ARG002 - aiohttp's own
        return (await self.read()).decode(errors=errors)


def open_session(*, timeout_s: float) -> aiohttp.ClientSession:
    """A session for one receiver. `HTTPS_PROXY` and `NO_PROXY` are honoured; a redirect is refused, not followed.

    So is a link-local address, whatever name leads there; behind a proxy it is the proxy that looks the name up.
    """
    trace = aiohttp.TraceConfig()
    trace.on_request_redirect.append(_refuse_redirect)
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(socket_factory=open_socket),
        timeout=aiohttp.ClientTimeout(total=timeout_s),
        headers={"User-Agent": f"watcher/{__version__}"},
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=True,
        trace_configs=[trace],
        response_class=_ShortResponse,
    )


async def _refuse_redirect(
    _session: aiohttp.ClientSession, _context: SimpleNamespace, params: aiohttp.TraceRequestRedirectParams
) -> NoReturn:
    # Followed, a POST can become a GET of a login page that answers 200: the alert would be lost and counted as sent.
    raise DeliveryError(
        f"answered HTTP {params.response.status}, a redirect: give the final address",
        reason=FailureReason.CLIENT_ERROR,
        permanent=True,
    )


def check_answer(status: int, *, headers: Mapping[str, str], body: str, now: datetime, secrets: Iterable[str]) -> str:
    """What a good answer said, in one short line; raises DeliveryError for any other answer.

    `secrets` are those that the other side was shown, and might show again.
    """
    excerpt = " ".join(redacted(body, secrets).split())[:_EXCERPT_CHARS]
    if 200 <= status < 300:  # noqa: PLR2004 - the class of success, RFC 9110 section 15.3
        return f"HTTP {status} {excerpt}".rstrip()
    temporary = status in _RETRIED or status >= 500  # noqa: PLR2004 - the class of server errors, section 15.6
    raise DeliveryError(
        f"answered HTTP {status}" + (f": {excerpt}" if excerpt else ""),
        reason=_reason(status),
        permanent=not temporary,
        retry_after_s=retry_after_s(headers, now=now) if temporary else None,
        too_large=status == _TOO_LARGE,
    )


def json_of(body: str) -> object:
    """What an answer says as JSON; None when it is none."""
    try:
        said: object = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return said


def object_of(body: str) -> dict[str, Any]:
    """The JSON object that an answer is; an empty one when it is something else."""
    said = json_of(body)
    return said if isinstance(said, dict) else {}


def _reason(status: int) -> FailureReason:
    if status < 200:  # noqa: PLR2004 - no final answer at all, RFC 9110 section 15.2
        return FailureReason.OTHER
    default = FailureReason.SERVER_ERROR if status >= 500 else FailureReason.CLIENT_ERROR  # noqa: PLR2004 - as above
    return _REASONS.get(status, default)


def redacted(text: str, secrets: Iterable[str]) -> str:
    """The text without the secrets, whether they stand there as they are or quoted as in URLs, JSON or HTML."""
    plain = {form for secret in secrets for form in (secret, unquote(secret)) if len(form) >= _SECRET_CHARS}
    forms = {form for each in plain for form in _forms(each)}
    longest_first = sorted(forms, key=len, reverse=True)
    return re.sub("|".join(map(re.escape, longest_first)), _HIDDEN, text, flags=re.IGNORECASE) if forms else text


def _forms(secret: str) -> tuple[str, ...]:
    in_json = json.dumps(secret)[1:-1]
    in_url = (quote(secret), quote(secret, safe=""), quote_plus(secret))
    return secret, *in_url, in_json, in_json.replace("/", "\\/"), html.escape(secret)


def secrets_of(url: str, *, path: bool = False) -> list[str]:
    """What of an address must not be shown: itself, user and password, query, and where it is one the path."""
    parts = urlsplit(url)
    found = [url, parts.query, *(value for _, value in parse_qsl(parts.query))]
    if parts.password is not None:
        userinfo = parts.netloc.rpartition("@")[0]
        found += [userinfo, parts.password, base64.b64encode(unquote(userinfo).encode()).decode()]
    if path:
        steps = [step for step in parts.path.split("/") if step]
        found += [parts.path, *steps[-1:], *(step for step in steps if len(step) >= _TOKEN_CHARS)]
    return found


async def reach(url: str) -> None:
    """Connect to where `url` is, TLS and all, and send nothing; raises DeliveryError."""
    with delivery_errors():
        parsed = URL(url)
        if parsed.host is None or parsed.port is None:
            raise aiohttp.InvalidURL(url)
        context = ssl.create_default_context() if parsed.scheme == "https" else None
        try:
            for found in await asyncio.get_running_loop().getaddrinfo(
                parsed.host, parsed.port, type=socket.SOCK_STREAM
            ):
                check_address(str(found[4][0]))
            _, writer = await asyncio.open_connection(parsed.host, parsed.port, ssl=context)
        except OSError as error:
            why = error.strerror or str(error)
            if isinstance(error, ForbiddenAddressError):
                raise _forbidden(parsed.host, parsed.port, error) from error
            if isinstance(error, ConnectionError) and error.errno:
                why = os.strerror(error.errno)  # asyncio's own words name the address again
            message = f"cannot connect to {parsed.host}:{parsed.port}: {why}"
            raise DeliveryError(message, reason=FailureReason.NETWORK, permanent=False) from error
        writer.close()


@contextmanager
def delivery_errors() -> Iterator[None]:
    """Turn what a request raises into a DeliveryError whose text never holds the address, which can be a secret."""
    try:
        yield
    except DeliveryError:
        raise
    except ConfigurationError as error:
        raise DeliveryError(str(error), reason=FailureReason.AUTH_ERROR, permanent=False) from error
    except TimeoutError as error:
        raise DeliveryError("no answer in time", reason=FailureReason.TIMEOUT, permanent=False) from error
    except aiohttp.InvalidURL as error:
        raise DeliveryError("not a usable address", reason=FailureReason.CLIENT_ERROR, permanent=True) from error
    except (aiohttp.ClientError, OSError, ssl.SSLError) as error:
        cause = getattr(error, "os_error", None)
        if isinstance(error, aiohttp.ClientConnectorError) and isinstance(cause, ForbiddenAddressError):
            raise _forbidden(error.host, error.port, cause) from error
        raise DeliveryError(_network(error), reason=FailureReason.NETWORK, permanent=False) from error
    except (ValueError, LookupError) as error:
        message = f"the answer cannot be read: {type(error).__name__}"
        raise DeliveryError(message, reason=FailureReason.OTHER, permanent=False) from error


def _forbidden(host: str, port: int | None, error: ForbiddenAddressError) -> DeliveryError:
    message = f"cannot connect to {host}:{port}: {error}"
    return DeliveryError(message, reason=FailureReason.CLIENT_ERROR, permanent=False)


def _network(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return f"the TLS certificate of {error.host}:{error.port} is not trusted: {error.certificate_error}"
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"cannot connect to {error.host}:{error.port}: {error.os_error.strerror or type(error).__name__}"
    return f"the connection failed: {type(error).__name__}"
