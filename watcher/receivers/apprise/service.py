"""The library Apprise as a receiver needs it. Imports it: only where it is installed."""

from __future__ import annotations

import re
import warnings
from datetime import datetime
from typing import Protocol, cast
from urllib.parse import parse_qsl, urlsplit

from apprise import (
    Apprise,
    AppriseAsset,
    NotificationManager,
    NotifyFormat,
    NotifyType,
    OverflowMode,
    PersistentStoreMode,
)

from watcher import __version__
from watcher.core.clock import Clock
from watcher.core.destinations import ForbiddenAddressError, is_forbidden
from watcher.core.errors import DeliveryError, FailureReason
from watcher.receivers.apprise.tries import Attempt, Outcome
from watcher.receivers.apprise.watch import Answer, Exchange, listen, watched
from watcher.receivers.http import check_answer, redacted, secrets_of
from watcher.receivers.message import Message

_KNOWN = NotificationManager()  # type: ignore[no-untyped-call]  # the library marks itself as typed, this is not
with warnings.catch_warnings():
    # Of a module that Python drops in 3.13; Apprise can do without it.
    warnings.filterwarnings("ignore", "'imghdr' is deprecated", DeprecationWarning)
    # This also loads them all, at once and not in a thread.
    _SCHEMES = frozenset(_KNOWN.schemas())  # type: ignore[no-untyped-call]
_PLAIN_HTTP = frozenset({"json", "jsons", "form", "forms", "xml", "xmls"})
_EXCERPT_CHARS = 200
_EXCERPT_BODY = 64 * 1024
_LATE = re.compile(r"timed? ?out", re.IGNORECASE)
_UNREACHED = re.compile(r"connection|socket|resol", re.IGNORECASE)
_EARLY = range(102, 200)


class _Service(Protocol):
    """What of an Apprise service is used."""

    schema: str
    secure: bool
    host: str
    port: int | None
    templates: tuple[str, ...]
    request_rate_per_sec: float
    socket_connect_timeout: float
    socket_read_timeout: float
    overflow_mode: OverflowMode

    def notify(self, *, title: str, body: str, notify_type: NotifyType, body_format: NotifyFormat) -> bool: ...


class AppriseServices:
    """Says messages by address; nothing here is awaited, and `send` blocks.

    Apprise reads no configuration, loads no plugins of others, keeps nothing on disk and attaches nothing. A service is
    made anew for each message: it has no state that threads could share, and does not make them wait for one another;
    how fast is sent is the receiver's `rate_limit`.
    """

    def __init__(self) -> None:
        self._asset = AppriseAsset(
            storage_mode=PersistentStoreMode.MEMORY,
            allow_templates=False,
            app_id=f"watcher/{__version__}",
            app_desc="watcher",
            app_url="",
            image_url_mask="",
            image_url_logo="",
            async_mode=False,
            http_redirects=False,
            interpret_emojis=False,
            pem_autogen=False,
            pgp_autogen=False,
            secure_logging=True,
        )
        listen()

    def problem(self, address: str) -> str | None:
        """Why the address cannot be used, without a word of it that could be secret."""
        service = self._service(address)
        if service is not None:
            return str(ForbiddenAddressError()) if is_forbidden(getattr(service, "host", None) or "") else None
        scheme = self.scheme(address)
        if scheme == "unknown":
            return "not an address that Apprise understands: it begins with no scheme that it knows, such as mailto://"
        if not _KNOWN[scheme].enabled:
            return f"Apprise lacks a library that {scheme}:// needs"
        return f"not an address that Apprise understands: something is wrong or lacking after {scheme}://"

    def scheme(self, address: str) -> str:
        """Which of Apprise's services it is for; `unknown`: none, and then it could be anything, a secret too."""
        service = self._service(address)
        if service is not None:
            return service.schema
        scheme = address.partition("://")[0].lower()
        return scheme if scheme in _SCHEMES else "unknown"

    def http_url(self, address: str) -> str | None:
        """Where it connects to, for those addresses that say so."""
        service = self._service(address)
        if service is None or service.schema not in _PLAIN_HTTP:
            return None
        port = f":{service.port}" if service.port else ""
        return f"{'https' if service.secure else 'http'}://{service.host}{port}"

    def send(self, address: str, message: Message, attempt: Attempt, *, timeout_s: float, clock: Clock) -> Outcome:
        """Say it there, and tell what came of it. Blocks, for `timeout_s` a socket; never raises."""
        try:
            return self._send(address, message, attempt, timeout_s=timeout_s, clock=clock)
        except DeliveryError as error:
            return error
        except Exception as error:  # noqa: BLE001 - of a hundred services anything can come, and no alert may be lost by it
            told = f"the service failed: {type(error).__name__}"
            return DeliveryError(told, reason=FailureReason.OTHER, permanent=False)

    def _send(self, address: str, message: Message, attempt: Attempt, *, timeout_s: float, clock: Clock) -> str:
        service = self._service(address)
        told = self.problem(address)
        if service is None or told is not None:
            told = told or ""
            raise DeliveryError(told, reason=FailureReason.AUTH_ERROR, permanent=False)
        service.request_rate_per_sec = 0
        service.socket_connect_timeout = service.socket_read_timeout = timeout_s
        if "overflow" not in dict(parse_qsl(urlsplit(address).query)):
            service.overflow_mode = OverflowMode.TRUNCATE
        title, body = texts(message)
        secrets = _secrets(address, service)
        with watched(attempt) as exchange:
            accepted = service.notify(
                title=title,
                body=body,
                notify_type=NotifyType(message.tone.value),
                body_format=NotifyFormat.TEXT,
            )
        return _judged(exchange, accepted=accepted, now=clock.now(), secrets=secrets)

    def _service(self, address: str) -> _Service | None:
        try:
            return cast("_Service | None", Apprise.instantiate(address, asset=self._asset))
        except Exception:  # noqa: BLE001 - whatever is wrong with it, it is no address
            return None


def _judged(exchange: Exchange, *, accepted: bool, now: datetime, secrets: list[str]) -> str:
    if accepted:
        last = exchange.results[-1] if exchange.results else None
        return _checked(last, now, secrets) if isinstance(last, Answer) and last.is_good else "accepted"
    failures = [error for result in exchange.results if (error := _error(result, now, secrets)) is not None]
    # With several requests, as to several targets of one address, what can help is tried.
    temporary = [error for error in failures if not error.permanent]
    if failures:
        raise (temporary or failures)[-1]
    words = " ".join(" ".join(exchange.lines).split())
    reason = FailureReason.NETWORK if _UNREACHED.search(words) else FailureReason.OTHER
    if _LATE.search(words):
        reason = FailureReason.TIMEOUT
    excerpt = redacted(words, secrets)[:_EXCERPT_CHARS]
    told = f"not accepted: {excerpt}" if excerpt else "not accepted, and the service did not say why"
    raise DeliveryError(told, reason=reason, permanent=False)


def _error(result: Answer | DeliveryError, now: datetime, secrets: list[str]) -> DeliveryError | None:
    if isinstance(result, DeliveryError):
        return result
    if result.is_redirect:
        told = f"answered HTTP {result.status}, a redirect: give the final address"
        return DeliveryError(told, reason=FailureReason.CLIENT_ERROR, permanent=True)
    if result.status in _EARLY:
        # Python's client takes these for the last word (RFC 9110 section 15.2 says they are not).
        told = f"answered HTTP {result.status}, and no more was read"
        return DeliveryError(told, reason=FailureReason.OTHER, permanent=False)
    try:
        _checked(result, now, secrets)
    except DeliveryError as error:
        return error
    return None


def _checked(answer: Answer, now: datetime, secrets: list[str]) -> str:
    body = answer.body[:_EXCERPT_BODY]
    return check_answer(answer.status, headers=answer.headers, body=body, now=now, secrets=secrets)


def texts(message: Message) -> tuple[str, str]:
    """Title and body, in which what others wrote mentions, links and marks nothing, in whatever format it ends up."""
    title = harmless(f"{message.emoji} {message.title}")
    links = [f"{text}: {url}" for text, url in message.links]
    return title, "\n".join([*map(harmless, message.lines), *links]) or title


# Apprise escapes for some services, for some wrongly (Telegram: tags of a plain text come alive), for some not at all.
_ENTITY = re.compile(r"&(?=#?\w+;)")
_LINK = re.compile(r"\](?=[(\[:])")
_MENTION = re.compile(r"@(?=\S)")  # each one: Discord finds `@corp` in ann@corp.example, too
_ANGLES = str.maketrans("<>", "\u2039\u203a")  # the same, as quotation marks
_GAP = "\N{ZERO WIDTH SPACE}"


def harmless(text: str) -> str:
    """The text for all that may read it as HTML, Markdown or a chat's own marks; people read the same."""
    for pattern in (_ENTITY, _LINK, _MENTION):
        text = pattern.sub(lambda found: found[0] + _GAP, text)
    return text.translate(_ANGLES).encode(errors="replace").decode()


def _secrets(address: str, service: _Service) -> list[str]:
    """All of an address but its scheme and, where it is one, its host: a token can stand anywhere."""
    parts = urlsplit(address)
    found = [*secrets_of(address, path=True), *parts.path.split("/"), parts.fragment, *parts.fragment.split("/")]
    found += [parts.username or "", parts.password or ""]
    if not any("{host}" in template for template in service.templates):
        found += [parts.netloc, parts.hostname or "", service.host]
    return found
