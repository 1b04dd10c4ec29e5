"""What is read has an end, and what is compared takes no time."""

from __future__ import annotations

import timeit
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from watcher.core.errors import ConfigurationError
from watcher.fields import Secret


@pytest.mark.parametrize("path", [Path("/dev/zero"), None])
def test_a_secret_file_that_has_no_end_is_refused(path: Path | None, tmp_path: Path) -> None:
    if path is None:
        path = tmp_path / "secret"
        path.write_bytes(b"x" * 300_000)
    with pytest.raises(ConfigurationError, match="larger than 256 KiB"):
        Secret(path=path).reveal()


def test_no_glob_takes_long() -> None:
    """Those of silences are anybody's who may write; Python's `re` alone would take longer than the sun lasts."""
    glob, name = "*a" * 100 + "b", "a" * 1000
    assert timeit.timeit(lambda: fnmatchcase(name, glob), number=1) < 1.0
