"""An answer that is not a success, as the error that says what to do (the table in `core.errors`)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from http import HTTPStatus

from watcher.cloud.decode import decode_json
from watcher.cloud.exchange import Answer
from watcher.cloud.text import one_line, redact
from watcher.core.errors import (
    CloudAuthError,
    CloudEndpointError,
    CloudError,
    CloudMalformedError,
    CloudNotFoundError,
    CloudPermissionError,
    CloudThrottledError,
    CloudUnavailableError,
)
from watcher.core.http_headers import parse_http_date, retry_after_s

_SKEW_WORTH_TELLING = timedelta(minutes=5)
_CODE_NAMES = ("error_code", "errorCode", "code")
_MESSAGE_NAMES = ("error_msg", "errorMsg", "message", "title", "error_description")
_REQUEST_ID_NAMES = ("request_id", "requestId")
_DEPTH = 4
_KINDS: dict[int, type[CloudError]] = {
    HTTPStatus.UNAUTHORIZED: CloudAuthError,
    HTTPStatus.FORBIDDEN: CloudPermissionError,
    HTTPStatus.REQUEST_TIMEOUT: CloudUnavailableError,
    HTTPStatus.TOO_MANY_REQUESTS: CloudThrottledError,
}


def failure(answer: Answer, *, now: datetime, names_one: bool = False, secrets: Iterable[str] = ()) -> CloudError:
    """The error for an answer outside 200 to 299.

    `names_one`: the request named one thing, so that a 404 of the service means that thing. `secrets` are blotted out
    of what the cloud said. Every 404 without a `WKS.` code is a CloudEndpointError: neither a gateway nor a proxy's
    HTML page knows whether a server was deleted.
    """
    said, code, body_request_id = _read(answer)
    kind = _kind(answer.status, code, names_one=names_one)
    message = one_line(redact(said, secrets)) or _unsaid(answer)
    if kind is CloudAuthError:
        message += _clock_skew(answer, now)
    return kind(
        message,
        http_status=answer.status,
        code=one_line(redact(code, secrets), limit=60),
        request_id=answer.request_id or one_line(redact(body_request_id, secrets), limit=80),
        retry_after_s=retry_after_s(answer.headers, now=now),
    )


def _kind(status: int, code: str, *, names_one: bool) -> type[CloudError]:
    if status == HTTPStatus.NOT_FOUND and names_one and code.startswith("WKS."):
        return CloudNotFoundError
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return CloudUnavailableError
    return _KINDS.get(status, CloudEndpointError)


def _clock_skew(answer: Answer, now: datetime) -> str:
    theirs = parse_http_date(answer.headers.get("Date", ""))
    if theirs is None or abs(now - theirs) <= _SKEW_WORTH_TELLING:
        return ""
    side = "ahead of" if now > theirs else "behind"
    off = timedelta(seconds=round(abs(now - theirs).total_seconds()))
    return f"; this machine's clock is {off} (h:mm:ss) {side} the cloud's, which refuses more than 15 minutes"


def _unsaid(answer: Answer) -> str:
    if HTTPStatus.MULTIPLE_CHOICES <= answer.status < HTTPStatus.BAD_REQUEST:
        return "the endpoint redirects elsewhere, which is not followed"
    if answer.body.lstrip()[:1] == b"<":
        return "an HTML page came instead of the cloud's answer: is something between us and the cloud?"
    return "the cloud gave no reason it could be understood by" if answer.body else "the answer is empty"


def _read(answer: Answer) -> tuple[str, str, str]:
    """Message, code and request id from any of the shapes seen; "" where there is none."""
    try:
        document = decode_json(answer)
    except CloudMalformedError:
        return "", "", ""
    layers = list(_layers(document, _DEPTH))
    code = _first(layers, _CODE_NAMES)
    if code == str(answer.status):
        code = ""  # IAM repeats the HTTP status as its code
    return _first(layers, _MESSAGE_NAMES), code, _first(layers, _REQUEST_ID_NAMES)


def _layers(document: object, depth: int) -> Iterator[dict[str, object]]:
    """The objects of a document, the outermost first, a few levels deep."""
    level = [document]
    for _ in range(depth):
        objects = [item for item in level if isinstance(item, dict)]
        yield from objects
        values = [value for item in objects for value in item.values()]
        level = [part for value in values for part in (value if isinstance(value, list) else [value])]


def _first(layers: list[dict[str, object]], names: tuple[str, ...]) -> str:
    for name in names:
        for layer in layers:
            value = layer.get(name)
            if isinstance(value, str | int) and not isinstance(value, bool) and value != "":
                return str(value)
    return ""
