"""Errors as the API tells them: problem details (RFC 9457), in words for people."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from aiohttp import web
from multidict import CIMultiDict


class Problem(Exception):  # noqa: N818 - reads as what it is
    """What is wrong with a request. `errors` says where, one mapping for each: `pointer` or `parameter`, `detail`."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        errors: Sequence[Mapping[str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = CIMultiDict(headers or {})

    def response(self) -> web.Response:
        """The answer."""
        body: dict[str, Any] = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
        }
        if self.errors:
            body["errors"] = list(self.errors)
        return web.Response(
            status=self.status, text=json.dumps(body), content_type="application/problem+json", headers=self.headers
        )


def problem_of(error: web.HTTPException) -> Problem:
    """What aiohttp itself found wrong, as a problem."""
    match error:
        case web.HTTPNotFound():
            detail = (
                "no such path: / is the status page, /api/v1/openapi.json tells of the API, and there are /metrics, "
                "/-/healthy and /-/ready"
            )
        case web.HTTPMethodNotAllowed():
            allowed = ", ".join(sorted(error.allowed_methods))
            return Problem(error.status, f"use one of {allowed} here", headers={"Allow": allowed})
        case web.HTTPRequestEntityTooLarge():
            detail = "the body is larger than any request here needs to be: send less than 64 KiB"
        case _:
            detail = error.reason
    return Problem(error.status, detail)
