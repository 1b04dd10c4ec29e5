"""A browser for each module, a daemon for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from playwright.async_api import Browser

from tests.browser import bench as benches
from tests.browser.bench import Bench


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with benches.chromium() as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="module")
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with benches.bench(tmp_path) as made:
        yield made
