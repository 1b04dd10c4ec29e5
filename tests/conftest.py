"""What all tests have in common."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest begin first: where several run at once, nobody waits for one that began last."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)
