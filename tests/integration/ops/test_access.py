"""Who gets in, who does not, and what that costs them."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from prometheus_client import CollectorRegistry

from tests.fakes.clock import FakeClock, HastyClock
from tests.fakes.view import Well
from watcher.core.clock import Clock
from watcher.fields import Secret
from watcher.ops import Access, Guard, OpsServer

TOKEN, PASSWORD = "t0ken", "p:äss"


class WatchedClock(FakeClock):
    """Tells when so many sleep."""

    def __init__(self) -> None:
        super().__init__()
        self._asleep = 0
        self._news = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        self._asleep += 1
        self._news.set()
        try:
            await super().sleep(seconds)
        finally:
            self._asleep -= 1

    async def sleeping(self, count: int) -> None:
        while self._asleep < count:
            self._news.clear()
            await self._news.wait()


async def _nothing() -> None:
    pass


@asynccontextmanager
async def serving(*, clock: Clock | None = None, **ways: Any) -> AsyncIterator[aiohttp.ClientSession]:
    clock = clock or HastyClock()
    guard = Guard(access=Access(clock=clock, **ways))
    server = OpsServer(
        host="127.0.0.1",
        port=0,
        registry=CollectorRegistry(),
        refresh=_nothing,
        wellness=Well(),
        guard=lambda: guard,
        clock=clock,
    )
    url = await server.start()
    try:
        async with aiohttp.ClientSession(url) as session:
            yield session
    finally:
        await server.close()


async def status(session: aiohttp.ClientSession, authorization: str = "", path: str = "/metrics") -> int:
    headers = {"Authorization": authorization} if authorization else {}
    async with session.get(path, headers=headers) as response:
        return response.status


def basic(username: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


BOTH = {"bearer_token": Secret(value=TOKEN), "username": "ann", "password": Secret(value=PASSWORD)}
ONLY_TOKEN = {"bearer_token": Secret(value=TOKEN)}
ONLY_PASSWORD = {"username": "ann", "password": Secret(value=PASSWORD)}


@pytest.mark.parametrize(
    ("ways", "good", "bad"),
    [
        (ONLY_TOKEN, [f"Bearer {TOKEN}", f"bearer {TOKEN}", basic("x", TOKEN), basic("", TOKEN)], [basic("ann", "x")]),
        (ONLY_PASSWORD, [basic("ann", PASSWORD)], [f"Bearer {TOKEN}", f"Bearer {PASSWORD}", "Bearer "]),
        (BOTH, [f"Bearer {TOKEN}", basic("ann", PASSWORD)], [basic("ann", TOKEN), basic("", TOKEN)]),
    ],
    ids=["token", "password", "both"],
)
async def test_the_ways_in(ways: dict[str, Any], good: list[str], bad: list[str]) -> None:
    never = [
        *(
            "Bearer",
            f"Bearer {TOKEN}x",
            f"Bearer {TOKEN[:-1]}",
            f"Digest {TOKEN}",
            TOKEN,
            "Basic !",
            "Basic",
            "Basic YQ",
        ),
        *(
            basic("ann", ""),
            basic("", ""),
            basic("bob", PASSWORD),
            basic("ann", PASSWORD + "x"),
            basic("ANN", PASSWORD),
        ),
    ]
    async with serving(**ways) as session:
        assert [await status(session, each) for each in good] == [200] * len(good)
        assert [await status(session, each) for each in [*bad, *never]] == [401] * len([*bad, *never])
        assert await status(session) == 401
        assert await status(session, path="/-/healthy") == 200


async def test_what_is_said_fits_the_ways_in() -> None:
    for ways, challenges, said in (
        (ONLY_PASSWORD, ["Basic"], "send Basic with the user and the password of web.auth"),
        (BOTH, ["Bearer", "Basic"], "or Basic with the user and the password of web.auth"),
        (ONLY_TOKEN, ["Bearer", "Basic"], "or Basic with it as password"),
    ):
        async with serving(**ways) as session, session.get("/") as response:
            assert [each.split()[0] for each in response.headers.getall("WWW-Authenticate")] == challenges
            assert said in (await response.json(content_type="application/problem+json"))["detail"]


async def test_files_are_read_at_each_use(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "password"
    file.write_text("old\n", encoding="utf-8")
    async with serving(username="ann", password=Secret(path=file)) as session:
        assert await status(session, basic("ann", "old")) == 200
        file.write_text("new\n", encoding="utf-8")
        assert [await status(session, basic("ann", each)) for each in ("old", "new")] == [401, 200]
        file.unlink()
        assert [await status(session, basic("ann", each)) for each in ("new", "")] == [401, 401]
        file.write_text("", encoding="utf-8")
        assert await status(session, basic("ann", "")) == 401
    assert [each.getMessage() for each in caplog.records] == [
        "access refused: 1 requests with wrong credentials, the last from 127.0.0.1"
    ]


async def test_one_that_cannot_be_read_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with serving(bearer_token=Secret(path=tmp_path / "no")) as session:
        assert await status(session, "Bearer ") == 401
    assert "access refused: cannot read the secret file" in caplog.text


async def test_who_is_wrong_waits_and_who_is_right_does_not(caplog: pytest.LogCaptureFixture) -> None:
    clock = WatchedClock()
    async with serving(clock=clock, **BOTH) as session:
        wrong = [asyncio.create_task(status(session, f"Bearer {number}")) for number in range(20)]
        await clock.sleeping(20)
        assert await status(session, f"Bearer {TOKEN}") == 200
        assert await status(session) == 401  # nothing was tried: a browser asks its user only then
        assert not any(each.done() for each in wrong)
        await clock.advance(1.0)
        assert set(await asyncio.gather(*wrong)) == {401}
        assert [each.getMessage() for each in caplog.records] == [
            "access refused: 1 requests with wrong credentials, the last from 127.0.0.1"
        ]
        await clock.advance(60.0)
        late = asyncio.create_task(status(session, "Bearer x"))
        await clock.sleeping(1)
        assert caplog.records[1].getMessage().startswith("access refused: 20 requests")
        await clock.advance(1.0)
        assert await late == 401


async def test_where_too_many_wait_the_connection_is_lost() -> None:
    clock = WatchedClock()
    async with serving(clock=clock, **BOTH) as session:
        wrong = [asyncio.create_task(status(session, f"Bearer {number}")) for number in range(32)]
        await clock.sleeping(32)
        with pytest.raises(aiohttp.ClientError):
            await status(session, "Bearer x")
        assert await status(session, f"Bearer {TOKEN}") == 200
        await clock.advance(1.0)
        assert set(await asyncio.gather(*wrong)) == {401}


def test_half_a_way_in_is_a_fault() -> None:
    for ways in ({}, {"username": "ann"}, {"password": Secret(value="x")}, {**ONLY_TOKEN, "username": "ann"}):
        with pytest.raises(ValueError, match="a token, or a name and a password"):
            Access(clock=FakeClock(), **ways)
