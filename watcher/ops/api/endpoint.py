"""One operation of the API: what it takes and gives as models, for the server and for the OpenAPI document alike."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from aiohttp import web
from pydantic import BaseModel

from watcher.ops.api.reading import read_body, read_path, read_query
from watcher.ops.api.shapes import Shape
from watcher.ops.problems import Problem

PREFIX = "/api/v1"
_ETAG_BYTES = 12
_BODY_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """An operation at `path` below `/api/v1`.

    `handler` is called with `path`, `query` and `body` as far as it has models for them, and gives what `answer` is
    made of. `problems` says when it answers with which status of 400 and above, beside those that any operation may.
    `leads_to` names operations that what is answered can be used for, and where in the answer their parameters are.
    """

    method: str
    path: str
    summary: str
    handler: Callable[..., Awaitable[Mapping[str, Any] | None]]
    answer: type[Shape] | None
    in_path: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    status: int = 200
    problems: Mapping[int, str] = field(default_factory=dict)
    leads_to: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def operation_id(self) -> str:
        """What the document calls it, such as `Instances_show`."""
        return self.handler.__qualname__.replace("._", "_")

    def route(self, *, first: Callable[[], Awaitable[None]]) -> web.RouteDef:
        """The same for the server; `first` is awaited before the handler."""
        return web.route(self.method, PREFIX + self.path, partial(self._serve, first))

    async def _serve(self, first: Callable[[], Awaitable[None]], request: web.Request) -> web.Response:
        given: dict[str, BaseModel] = {}
        if self.in_path is not None:
            given["path"] = read_path(self.in_path, request.match_info)
        if self.query is not None:
            given["query"] = read_query(self.query, request.query)
        if self.body is not None:
            given["body"] = read_body(self.body, await _body(request))
        await first()
        made = await self.handler(**given)
        if self.answer is None or made is None:
            return web.Response(status=self.status)
        answer = self.answer.model_validate(made)  # so that nothing is answered which the document does not tell
        text = answer.model_dump_json(by_alias=True, exclude_unset=True)
        if not self.answer.has_etag:
            return _json(text, status=self.status)
        lasting = (
            answer.model_dump_json(exclude_unset=True, exclude=self.answer.passing) if self.answer.passing else text
        )
        etag = hashlib.blake2b(lasting.encode(), digest_size=_ETAG_BYTES).hexdigest()
        is_known = any(each.value in (etag, "*") for each in request.if_none_match or ())
        response = web.Response(status=304) if is_known else _json(text, status=self.status)
        response.headers.update({"ETag": f'W/"{etag}"', "Cache-Control": "private, no-cache"})
        return response


async def _body(request: web.Request) -> bytes:
    try:
        async with asyncio.timeout(_BODY_S):
            return await request.read()
    except TimeoutError:
        raise Problem(408, "the body did not come in time") from None


def _json(text: str, *, status: int) -> web.Response:
    return web.Response(status=status, text=text, content_type="application/json")
