"""The API of a running watcher, as the commands use it. What comes back is not trusted: anything may listen there."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from watcher.cli.options import read_settings
from watcher.cli.server_events import Message, StreamParser, StreamTooLargeError
from watcher.cli.tables import plain_text
from watcher.core.errors import ConfigurationError, WatcherError
from watcher.fields import hide_credentials

if TYPE_CHECKING:
    from watcher.settings import Listen, WebAuthSettings

_TIMEOUT_S = 30.0
_SILENCE_S = 45.0
_MAX_BYTES = 32 * 1024 * 1024
_PAGE = 1000
_MAX_PAGES = 1000
_TOLD_CHARS = 500
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_TRUST = "with -c FILE web.tls.cert_file is trusted; for authorities of your own, set SSL_CERT_FILE"
_MAY_PASS = (429, 500, 502, 503, 504)  # a watcher that starts or ends, or something before it that waits for it
_ANYWHERE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - to be reached, not listened on
_T = TypeVar("_T")
Item = Mapping[str, Any]


class ApiError(WatcherError):
    """The watcher did not do what it was asked to."""


class AwayError(ApiError):
    """The watcher is not there at present, or does not answer: it may later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a watcher is, and what opens it: `authorization` is the header of that name.

    With `certificate` (DER) it is this one that is to be shown there, whatever its name and whoever issued it.
    """

    url: str
    authorization: str | None = None
    certificate: bytes | None = None


def address_of(url: str | None, config: Path | None, environment: Mapping[str, str]) -> Address:
    """Where the watcher is that a command is for; raises ConfigurationError."""
    authorization, certificate = _authorization(environment), None
    if config is not None:
        web = read_settings(config)[0].web
        if web.auth is not None:
            authorization = _configured(web.auth)
        if url is None:
            url = _url_of(web.listen, is_https=web.tls is not None)
            certificate = _certificate(web.tls.cert_file) if web.tls is not None else None
    url = url or environment.get("WATCHER_URL")
    if not url:
        raise ConfigurationError("which watcher? say --url http://HOST:9468, or -c FILE, or set WATCHER_URL")
    try:
        parts = urlsplit(url)
        is_good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_good = False
    if not is_good:
        raise ConfigurationError(f"not an address of a watcher: {hide_credentials(url)}: write http://HOST:9468")
    return Address(url=url.rstrip("/"), authorization=authorization, certificate=certificate)


def _authorization(environment: Mapping[str, str]) -> str | None:
    token, password = (environment.get(name, "").strip() for name in ("WATCHER_TOKEN", "WATCHER_PASSWORD"))
    if token:
        return f"Bearer {token}"
    username = environment.get("WATCHER_USERNAME", "").strip()
    return _basic(username, password) if username and password else None


def _configured(auth: WebAuthSettings) -> str:
    token, password = auth.optional_secret("bearer_token"), auth.optional_secret("password")
    if token is not None or password is None:
        return f"Bearer {token.reveal() if token is not None else ''}"
    return _basic(auth.username or "", password.reveal())


def _basic(username: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


def _url_of(listen: Listen, *, is_https: bool) -> str:
    if listen.port == 0:
        raise ConfigurationError("web.listen has port 0, which is any free one: say --url with the one it took")
    host = listen._replace(host=_ANYWHERE.get(listen.host, listen.host))
    return f"{'https' if is_https else 'http'}://{host}"


def _certificate(path: Path) -> bytes:
    """The first certificate of a PEM file, which is the server's own."""
    try:
        found = _PEM.search(path.read_text(encoding="ascii", errors="replace"))
        return ssl.PEM_cert_to_DER_cert(found[0] if found is not None else "")
    except OSError as error:
        raise ConfigurationError(f"web.tls.cert_file: cannot read {path}: {error.strerror}") from error
    except ValueError:
        raise ConfigurationError(f"web.tls.cert_file: {path} holds no certificate in PEM") from None


class Client:
    """Talks to one watcher. Every method raises ApiError with what to do about it.

    `silence_s`: a stream that says nothing for so long is lost; by default three of its heartbeats.
    """

    def __init__(self, session: aiohttp.ClientSession, address: Address, *, silence_s: float = _SILENCE_S) -> None:
        self._session = session
        self._address = address
        self._silence_s = silence_s
        self._trusted = _only(address.certificate) if address.certificate is not None else True
        self._where = f"the watcher at {hide_credentials(address.url)}"

    async def items(self, path: str, query: Mapping[str, Sequence[str]], *, limit: int | None = None) -> list[Item]:
        """All items of a list, or the first `limit`."""
        return [item async for page in self.pages(path, query, limit=limit) for item in page]

    async def pages(
        self, path: str, query: Mapping[str, Sequence[str]], *, limit: int | None = None
    ) -> AsyncGenerator[list[Item]]:
        """The same, page by page."""
        count = 0
        after: str | None = None
        for _ in range(_MAX_PAGES):
            size = min(_PAGE, limit - count) if limit is not None else _PAGE
            pairs = [(key, value) for key, values in query.items() for value in values]
            pairs += [("limit", str(size))] + ([("after", after)] if after is not None else [])
            page = await self.call("GET", path, query=pairs)
            items, after = page.get("items"), page.get("next")
            if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
                raise ApiError(f"{self._where} did not answer with a list: is it a watcher, and of this version?")
            yield items
            count += len(items)
            if not isinstance(after, str) or not items or (limit is not None and count >= limit):
                break

    async def call(
        self, method: str, path: str, *, query: Sequence[tuple[str, str]] = (), body: Item | None = None
    ) -> Item:
        """What it answers to one request, as a JSON object; an empty one when it answers nothing."""
        try:
            async with self._request(method, path, query=query, json=body) as response:
                content = await _read(response)
                status = response.status
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
            raise self._away(error, _TIMEOUT_S) from error
        return self._object(status, content)

    async def stream(
        self, path: str, *, query: Sequence[tuple[str, str]] = (), last_id: str = ""
    ) -> AsyncGenerator[Sequence[Message]]:
        """Server-sent events as they come, first none when it answers, and none for each sign of life.

        `last_id` is that of the last one seen. Ends when the watcher ends it; raises ApiError.
        """
        headers = {"Accept": "text/event-stream", **({"Last-Event-ID": last_id} if last_id else {})}
        timeout = aiohttp.ClientTimeout(total=None, connect=_TIMEOUT_S, sock_read=self._silence_s)
        parser = StreamParser()
        try:
            async with self._request("GET", path, query=query, headers=headers, timeout=timeout) as response:
                if response.status != 200 or response.content_type != "text/event-stream":  # noqa: PLR2004 - "OK"
                    async with asyncio.timeout(_TIMEOUT_S):
                        content = await _read(response)
                    self._refuse_stream(response.status, content)
                yield ()
                async for chunk in response.content.iter_any():
                    yield parser.feed(chunk)
        except StreamTooLargeError:
            raise ApiError(f"{self._where} sent a message that has no end: is it a watcher?") from None
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
            raise self._away(error, self._silence_s) from error

    def _refuse_stream(self, status: int, content: bytes | None) -> NoReturn:
        try:
            self._object(status, content)
        except ApiError as error:
            if status in _MAY_PASS:
                raise AwayError(str(error)) from None
            raise
        raise ApiError(f"{self._where} did not answer with events: is it a watcher, and of this version?")

    def _request(
        self,
        method: str,
        path: str,
        *,
        query: Sequence[tuple[str, str]],
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        url = URL(self._address.url + path, encoded=True).update_query(query)
        address = self._address
        shown = {"Authorization": address.authorization} if address.authorization is not None else {}
        return self._session.request(
            method, url, headers={**shown, **(headers or {})}, allow_redirects=False, ssl=self._trusted, **more
        )

    def _away(self, error: Exception, timeout_s: float) -> AwayError:
        if isinstance(error, TimeoutError):
            return AwayError(f"{self._where} does not answer within {timeout_s:g} s")
        if isinstance(error, aiohttp.ClientConnectorCertificateError):
            why = plain_text(str(error.certificate_error))[:_TOLD_CHARS]
            what = "a certificate that is not trusted" if self._trusted is True else "not the one of web.tls.cert_file"
            return AwayError(f"{self._where} shows {what}: {why}" + (f": {_TRUST}" if self._trusted is True else ""))
        why = plain_text(_why(error))[:_TOLD_CHARS]
        return AwayError(f"{self._where} cannot be reached: {why}: does it run, and is it there?")

    def _object(self, status: int, content: bytes | None) -> Item:
        if content is None:
            raise ApiError(f"{self._where} answered HTTP {status} with more than {_MAX_BYTES} bytes: is it a watcher?")
        try:
            answer = json.loads(content) if content else {}
        except (ValueError, RecursionError):
            answer = None
        is_good = 200 <= status < 300  # noqa: PLR2004 - "success" in HTTP
        if is_good and isinstance(answer, dict):
            return answer
        detail = answer.get("detail") if isinstance(answer, dict) else None
        if is_good or not isinstance(detail, str):
            raise ApiError(f"{self._where} answered HTTP {status}, and not as a watcher does: check the address")
        if status == 401 and self._address.authorization is None:  # noqa: PLR2004 - "unauthorized" in HTTP
            detail = (
                "it wants a token: set WATCHER_TOKEN (or WATCHER_USERNAME and WATCHER_PASSWORD), "
                "or say -c FILE with its configuration"
            )
        raise ApiError(f"{self._where} answered HTTP {status}: {plain_text(detail)[:_TOLD_CHARS]}")


def _only(certificate: bytes) -> ssl.SSLContext:
    """Trusts this certificate (DER), whatever name it has, and no other."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # a listener is reached by addresses that no certificate names
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # it need not be an authority
    context.load_verify_locations(cadata=certificate)
    return context


async def _read(response: aiohttp.ClientResponse) -> bytes | None:
    """The body; None when it is too large to be meant."""
    content = bytearray()
    async for chunk in response.content.iter_chunked(65536):
        content += chunk
        if len(content) > _MAX_BYTES:
            return None
    return bytes(content)


def _why(error: Exception) -> str:
    number = getattr(error, "errno", None) or 0
    told = os.strerror(number) if number > 0 else getattr(error, "strerror", None)  # negative: those of DNS
    return told or str(error) or type(error).__name__


def ask(address: Address, work: Callable[[Client], Awaitable[_T]]) -> _T:
    """Do some work with a watcher."""

    async def run() -> _T:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_TIMEOUT_S)) as session:
            return await work(Client(session, address))

    return asyncio.run(run())
