"""What each fault does to a request on the wire."""

import asyncio
import json
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from http.client import responses
from typing import Any, NoReturn

from aiohttp import web

from watcher.simulator.errors import ApiError, throttled
from watcher.simulator.faults import ActiveFault, Fault

Pause = Callable[[float], Awaitable[None]]
# These change the real answer; the other faults, latency apart, replace it.
SPOILING = ("truncated", "bad_json", "wrong_types")

Answer = Callable[[], Awaitable[web.StreamResponse]]

HTML = """<html>
<head><title>{status} {reason}</title></head>
<body><center><h1>{status} {reason}</h1></center><hr><center>proxy</center></body>
</html>
"""


async def answer_with_faults(
    request: web.Request,
    hits: list[ActiveFault],
    answer: Answer,
    *,
    limit: int,
    pause: Pause,
    headers: Mapping[str, str],
) -> web.StreamResponse:
    """Answers a request as the faults that hit it want it.

    `limit` is the number of requests a minute that a throttling answer names, `headers` belong on every answer.
    Raises ApiError for throttle and error. reset, truncated and hang cut the connection: they end in the cancellation
    of the request's task.
    """
    for hit in hits:
        if hit.fault.ms is not None:
            await pause(hit.fault.ms / 1000)
    for hit in hits:
        if hit.fault.kind in SPOILING:
            return await _spoil(request, hit.fault, await answer(), headers)
        if hit.fault.kind != "latency":
            return await _instead(request, hit, limit)
    return await answer()


async def _instead(request: web.Request, hit: ActiveFault, limit: int) -> web.Response:
    """What comes instead of the answer; the request never reaches its handler."""
    fault = hit.fault
    match fault.kind:
        case "throttle":
            raise throttled(limit, retry_after=fault.retry_after)
        case "error":
            raise _error(request, fault)
        case "html":
            status = fault.status or 502
            page = HTML.format(status=status, reason=responses.get(status, "Error"))
            return web.Response(status=status, content_type="text/html", text=page)
        case "empty":
            return web.Response(status=fault.status or 200)
        case "hang":
            await hit.removed.wait()
    return await _reset(request)


async def _spoil(
    request: web.Request, fault: Fault, response: web.StreamResponse, headers: Mapping[str, str]
) -> web.StreamResponse:
    """Spoils the answer on its way out; what was asked for has happened."""
    if not (isinstance(response, web.Response) and isinstance(response.body, bytes)):
        return response
    if response.content_type != "application/json":
        return response
    match fault.kind:
        case "truncated":
            response.headers.update(headers)
            await _truncate(request, response, response.body)
        case "bad_json":
            response.body = b"{" + response.body[: len(response.body) // 2]
        case "wrong_types":
            response.body = json.dumps(_spoilt(json.loads(response.body), fault.instance_id)).encode()
    return response


def _error(request: web.Request, fault: Fault) -> ApiError:
    status = fault.status or 500
    if fault.code is None and request.path.startswith("/v3/"):
        return ApiError(status, "IAM", fault.message or "An unexpected error occurred.")
    code, message = {
        503: ("WKS.00050902", "The service is temporarily unavailable."),
    }.get(status, ("WKS.00211401", "Internal service error."))
    return ApiError(status, fault.code or code, fault.message or message)


async def _gone() -> NoReturn:
    """Waits until the loss of the connection cancels the request."""
    await asyncio.get_running_loop().create_future()
    raise AssertionError("unreachable")


async def _reset(request: web.Request) -> NoReturn:
    if request.transport is not None:
        sock: socket.socket | None = request.transport.get_extra_info("socket")
        if sock is not None:
            # Closing with zero linger time sends RST rather than FIN.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request.transport.abort()
    await _gone()


async def _truncate(request: web.Request, response: web.Response, whole: bytes) -> NoReturn:
    partial = web.StreamResponse(status=response.status, headers=response.headers)
    partial.content_length = len(whole)
    await partial.prepare(request)
    await partial.write(whole[: len(whole) // 2])
    if request.transport is not None:
        request.transport.close()
    await _gone()


def _spoilt(body: Any, instance_id: str | None) -> Any:
    """The body with values of other types, ids excepted; with an instance_id, a list is spoilt in that item only."""
    if isinstance(body, dict) and isinstance(body.get("items"), list):
        items = [_other_types(item) if instance_id in (None, item.get("id")) else item for item in body["items"]]
        return {**body, "items": items}
    return _other_types(body)


def _other_types(record: Any) -> Any:
    if not isinstance(record, dict):
        return [record]
    return {key: value if key == "id" else _other_type(value) for key, value in record.items()}


def _other_type(value: Any) -> Any:
    match value:
        case str():
            return 7
        case dict():
            return "text"
        case list():
            return {"0": "text"}
        case _:
            return ["text"]
