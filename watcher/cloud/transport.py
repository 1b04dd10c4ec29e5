"""The connections of one source: what goes out, what comes back, how long it may take, how large it may be."""

from __future__ import annotations

import base64
import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import aiohttp
from yarl import URL

from watcher.cloud.exchange import Answer, Request
from watcher.cloud.text import one_line
from watcher.core.clock import Clock
from watcher.core.errors import (
    CloudEndpointError,
    CloudError,
    CloudMalformedError,
    CloudUnavailableError,
    ConfigurationError,
)
from watcher.fields import Secret

T = TypeVar("T")

OnRequest = Callable[[str, str, float], None]
"""Told of every request: operation, code (the HTTP status, `timeout`, `network` or `malformed`), seconds."""

MAX_BODY_BYTES = 8 * 1024 * 1024
"""The largest answer taken, decompressed. A page of 100 instances is about 100 kB."""

_KEEPALIVE_S = 75.0  # longer than the default steady interval of 60 s, so that a quiet source keeps its connections


class Transport:
    """Sends requests and reads answers whole; knows nothing of credentials nor of what an answer means.

    Raises CloudUnavailableError when no answer came (refused, reset, timed out, a certificate that is not trusted, a
    proxy that refuses) and CloudMalformedError when what came is not a whole HTTP answer of at most MAX_BODY_BYTES.
    Redirects are not followed: they would carry a signature or a token to another host.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        on_request: OnRequest,
        timeout_s: float,
        concurrency: int,
        user_agent: str,
        ca_file: Path | None = None,
        insecure_skip_verify: bool = False,
        proxy: Secret | None = None,
    ) -> None:
        self._clock = clock
        self._on_request = on_request
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._concurrency = concurrency
        self._user_agent = user_agent
        self._ssl = _ssl(ca_file, insecure_skip_verify=insecure_skip_verify)
        self._proxy = proxy
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    async def exchange(
        self,
        request: Request,
        headers: Mapping[str, str],
        read: Callable[[Answer], T],
        *,
        operation: str = "",
        timeout: aiohttp.ClientTimeout | None = None,
        direct: bool = False,
    ) -> T:
        """Send a request and return what `read` makes of the answer, whatever its status.

        `operation` "" is not counted as a request to the cloud; `direct` goes past the proxy, for addresses that only
        this machine can reach.
        """
        timeout = timeout or self._timeout
        started = self._clock.monotonic()
        code = ""
        try:
            proxy, proxy_headers = (None, None) if direct or self._proxy is None else _via(self._proxy)
            if proxy_headers is not None and request.endpoint.origin.startswith("http:"):
                headers = {**headers, **proxy_headers}  # without a tunnel the proxy reads the request itself
            response = await self._open().request(
                request.method,
                request.url,
                headers=headers,
                data=request.body or None,
                allow_redirects=False,
                proxy=proxy,
                proxy_headers=proxy_headers,
                timeout=timeout,
            )
            try:
                answer = Answer(response.status, response.headers, await _body(response))
            finally:
                if not response.closed:  # one read to its end is, and has given back its connection
                    response.close()
            code = str(answer.status)
            return read(answer)
        except CloudMalformedError:
            code = "malformed"
            raise
        except UnicodeError as error:  # a name that cannot be looked up, as one with a label that is too long
            code = "network"
            raise CloudEndpointError(f"{request.endpoint.host} is not an address that can be asked") from error
        except (aiohttp.ClientError, OSError) as error:  # TimeoutError is an OSError
            code, failure = _no_answer(error, request, timeout.total or 0.0)
            # A ClientResponseError holds the request's headers, secrets and all, in its repr.
            raise failure from (None if isinstance(error, aiohttp.ClientResponseError) else error)
        finally:
            if operation and code:  # a cancelled request says nothing of the cloud
                self._on_request(operation, code, self._clock.monotonic() - started)

    async def close(self) -> None:
        """Close the connections; nothing can be sent afterwards."""
        self._closed = True
        if self._session is not None:
            await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        if self._closed:
            raise RuntimeError("the cloud's client is closed")
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._concurrency, ssl=self._ssl, keepalive_timeout=_KEEPALIVE_S),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": self._user_agent, "Accept": "application/json"},
                trust_env=False,
            )
        return self._session


def _via(proxy: Secret) -> tuple[URL, dict[str, str] | None]:
    """The proxy without its credentials, which go into a header: URLs end up in messages."""
    try:
        url = URL(proxy.reveal())
    except ConfigurationError as error:
        raise CloudEndpointError(f"proxy_url_file: {error}") from error
    except ValueError:
        raise CloudEndpointError("proxy_url is not a URL") from None
    if url.user is None:
        return url, None
    credentials = base64.b64encode(f"{url.user}:{url.password or ''}".encode()).decode()
    return url.with_user(None), {"Proxy-Authorization": f"Basic {credentials}"}


def _ssl(ca_file: Path | None, *, insecure_skip_verify: bool) -> ssl.SSLContext | bool:
    """What aiohttp takes: True for the machine's own authorities, False for none at all."""
    if insecure_skip_verify:
        return False
    if ca_file is None:
        return True
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:  # ssl.SSLError is one
        raise ConfigurationError(f"cannot use tls.ca_file {ca_file}: {error.strerror or error}") from error


async def _body(response: aiohttp.ClientResponse) -> bytes:
    """The decompressed body; it is read in pieces, so that a small bomb cannot become a large one."""
    pieces: list[bytes] = []
    size = 0
    while not response.content.at_eof():
        piece = await response.content.readany()
        pieces.append(piece)
        size += len(piece)
        if size > MAX_BODY_BYTES:
            raise CloudMalformedError(
                f"the answer is larger than {MAX_BODY_BYTES // 1024**2} MiB", http_status=response.status
            )
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _no_answer(error: aiohttp.ClientError | OSError, request: Request, timeout_s: float) -> tuple[str, CloudError]:
    """The code for the metric and the error to raise."""
    host = request.endpoint.host
    why = one_line(getattr(error, "strerror", None) or str(error) or type(error).__name__)
    match error:
        case TimeoutError():
            return "timeout", CloudUnavailableError(f"{host} gave no answer within {timeout_s:g} s")
        case aiohttp.ClientHttpProxyError():
            return "network", CloudUnavailableError(
                f"the proxy would not connect to {host}: HTTP {error.status} {one_line(error.message, limit=80)}"
            )
        case aiohttp.ClientConnectorCertificateError():
            why = one_line(str(error.certificate_error))
            return "network", CloudUnavailableError(f"{host} has a certificate that is not trusted: {why}")
        case aiohttp.InvalidURL():
            return "network", CloudEndpointError(f"{host} is not an address that can be asked")
        case aiohttp.ClientPayloadError() | aiohttp.ClientResponseError():
            return "malformed", CloudMalformedError(f"{host} did not give a whole HTTP answer: {why}")
        case _:
            return "network", CloudUnavailableError(f"cannot reach {host}: {why}")
