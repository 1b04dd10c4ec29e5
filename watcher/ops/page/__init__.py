"""The status page: files of its own, without a framework or a build, that show what the API answers."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib import resources

from aiohttp import ETag, web

_TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
_HEADERS = {
    "Cache-Control": "no-cache",  # kept by browsers, but never shown without asking
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "Vary": "Accept-Encoding",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    """One file of the page, as it is served."""

    content: bytes
    content_type: str
    etag: str


class StatusPage:
    """Serves `/` and `/static/{name}`: the files beside this one, read once."""

    def __init__(self) -> None:
        self._files = dict(_read())

    def routes(self) -> list[web.RouteDef]:
        """Which path leads to which handler."""
        return [web.get("/", self._index), web.get("/static/{name}", self._static)]

    async def _index(self, request: web.Request) -> web.Response:
        return _answer(request, self._files["index.html"])

    async def _static(self, request: web.Request) -> web.Response:
        file = self._files.get(request.match_info["name"])
        if file is None:
            raise web.HTTPNotFound
        return _answer(request, file)


def _read() -> list[tuple[str, _File]]:
    found: list[tuple[str, _File]] = []
    for entry in resources.files(__name__).iterdir():
        content_type = _TYPES.get(f".{entry.name.rpartition('.')[2]}")
        if content_type is not None:
            content = entry.read_bytes()
            etag = hashlib.sha256(content).hexdigest()[:32]
            found.append((entry.name, _File(content=content, content_type=content_type, etag=etag)))
    return found


def _answer(request: web.Request, file: _File) -> web.Response:
    known = request.if_none_match or ()
    if any(each.value in (file.etag, "*") for each in known):
        response = web.Response(status=304, headers=_HEADERS)
    else:
        response = web.Response(body=file.content, content_type=file.content_type, charset="utf-8", headers=_HEADERS)
        response.enable_compression()
    response.etag = ETag(file.etag, is_weak=True)  # the same page, whether it is compressed or not
    return response
