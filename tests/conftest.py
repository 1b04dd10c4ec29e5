"""What all tests have in common."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.postgres import Postgres, postgres


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest begin first: where several run at once, nobody waits for one that began last."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    """A PostgreSQL for all tests that only need a database on one."""
    with postgres() as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: Postgres) -> str:
    """An empty database."""
    return postgres_server.database()


@pytest.fixture(autouse=True)
def _unmeasured(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """What others measure as well is not measured in the processes of these tests: that takes them twice as long."""
    if request.node.get_closest_marker("unmeasured") is not None:
        for name in [name for name in os.environ if name.startswith("COV")]:
            monkeypatch.delenv(name)
