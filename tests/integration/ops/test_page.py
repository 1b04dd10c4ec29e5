"""The files of the status page over HTTP: `/` and `/static/{name}`."""

from __future__ import annotations

import gzip
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import resources

import aiohttp
import pytest
from prometheus_client import CollectorRegistry

from tests.fakes.clock import FakeClock
from tests.fakes.view import Well
from watcher.ops import Guard, OpsServer

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
FILES = {entry.name for entry in resources.files("watcher.ops.page").iterdir() if not entry.name.startswith("__")}


async def no_refresh() -> None:
    pass


@asynccontextmanager
async def serving() -> AsyncIterator[str]:
    server = OpsServer(
        host="127.0.0.1",
        port=0,
        registry=CollectorRegistry(),
        refresh=no_refresh,
        wellness=Well(),
        guard=Guard,
        clock=FakeClock(),
    )
    yield await server.start()
    await server.close()


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with serving() as url, aiohttp.ClientSession(url) as opened:
        yield opened


async def test_each_file_is_there_as_what_it_is(session: aiohttp.ClientSession) -> None:
    types = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml", "html": "text/html"}
    for name in FILES:
        async with session.get(f"/static/{name}") as answer:
            assert answer.status == 200
            assert answer.headers["Content-Type"] == f"{types[name.rpartition('.')[2]]}; charset=utf-8"
            assert answer.headers["Content-Security-Policy"] == CSP
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["Cache-Control"] == "no-cache"


async def test_it_comes_compressed_to_who_can_read_that() -> None:
    async with serving() as url, aiohttp.ClientSession(url, auto_decompress=False) as session:
        async with session.get("/static/app.js", headers={"Accept-Encoding": "gzip"}) as answer:
            assert (answer.headers["Content-Encoding"], answer.headers["Vary"]) == ("gzip", "Accept-Encoding")
            packed = await answer.read()
        async with session.get("/static/app.js", headers={"Accept-Encoding": "identity"}) as answer:
            assert await answer.read() == gzip.decompress(packed)


async def test_what_did_not_change_is_not_sent_again(session: aiohttp.ClientSession) -> None:
    async with session.get("/") as answer:
        etag = answer.headers["ETag"]
    for known, status in ((etag, 304), (f'"other", {etag}', 304), (etag[2:], 304), ("*", 304), ('"other"', 200)):
        async with session.get("/", headers={"If-None-Match": known}) as answer:
            assert (answer.status, answer.headers["ETag"]) == (status, etag)
            assert (len(await answer.read()) == 0) is (status == 304)


@pytest.mark.parametrize("name", ["nothing.js", "__init__.py", "..%2Fserver.py", "%2e%2e/guard.py", ""])
async def test_nothing_else_is_served(session: aiohttp.ClientSession, name: str) -> None:
    async with session.get(f"/static/{name}") as answer:
        assert answer.status == 404
        assert answer.headers["Content-Security-Policy"] == "default-src 'none'"


async def test_all_that_is_asked_for_is_ours_and_relative(session: aiohttp.ClientSession) -> None:
    """So it also works below a path of somebody else's server, and without the Internet."""
    async with session.get("/") as answer:
        page = await answer.text()
    assert {path for path in re.findall(r'(?:src|href)="([^"#]+)"', page) if path.startswith("static/")} == {
        f"static/{name}" for name in FILES - {"index.html"}
    }
    sizes = 0
    for name in FILES:
        text = resources.files("watcher.ops.page").joinpath(name).read_text()
        sizes += len(text.encode())
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(| style=\"", text), name
        assert not re.search(r"""["'(]/(api|static)|https?://(?!www\.w3\.org/)""", text), name
    assert sizes < 100_000
