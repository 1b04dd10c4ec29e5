"""What most of these tests need: a simulated cloud that stands still, and somebody to be told."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.fakes.sink import Sink
from watcher.simulator import Scenario, Simulator


@pytest.fixture
async def cloud() -> AsyncIterator[Simulator]:
    async with Simulator(Scenario(), speed=0) as simulator:
        yield simulator


@pytest.fixture
async def hooks() -> AsyncIterator[Sink]:
    async with Sink() as sink:
        yield sink
