"""The stores that the contract is for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.contract.stores import AnyStore, sqlite_url
from tests.fakes.model_store import ModelStore
from watcher.store import open_store


@pytest.fixture(params=["sqlite", "model"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[AnyStore]:
    opened = await open_store(sqlite_url(tmp_path)) if request.param == "sqlite" else ModelStore()
    yield opened
    await opened.close()
