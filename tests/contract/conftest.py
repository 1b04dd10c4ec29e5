"""The stores that the contract is for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.contract.stores import AnyStore, sqlite_url
from tests.fakes.model_store import ModelStore
from tests.postgres import Postgres
from watcher.store import open_store


@pytest.fixture(scope="session")
def migrated(postgres_server: Postgres) -> str:
    """The name of a database that has the tables already, for others to be like."""
    url = postgres_server.database()

    async def make() -> None:
        await (await open_store(url)).close()

    asyncio.run(make())
    return url.rpartition("/")[2]


@pytest.fixture(params=["sqlite", "postgres", "model"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[AnyStore]:
    opened: AnyStore
    if request.param == "model":
        opened = ModelStore()
    elif request.param == "sqlite":
        opened = await open_store(sqlite_url(tmp_path))
    else:
        server: Postgres = request.getfixturevalue("postgres_server")
        like = await asyncio.to_thread(request.getfixturevalue, "migrated")
        opened = await open_store(server.database(like=like))
    yield opened
    await opened.close()
