"""The stores that the contract is for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.contract.stores import AnyStore, sqlite_url
from tests.fakes.model_store import ModelStore
from tests.postgres import Postgres
from watcher.store import Store, open_store


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
    else:
        opened = await _open(request.param, request, tmp_path)
    yield opened
    await opened.close()


@pytest.fixture(params=["sqlite", "postgres"])
async def real_store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """For what the model is too simple for."""
    opened = await _open(request.param, request, tmp_path)
    yield opened
    await opened.close()


async def _open(kind: str, request: pytest.FixtureRequest, folder: Path) -> Store:
    if kind == "sqlite":
        return await open_store(sqlite_url(folder))
    server: Postgres = request.getfixturevalue("postgres_server")
    like = await asyncio.to_thread(request.getfixturevalue, "migrated")
    return await open_store(server.database(like=like))
