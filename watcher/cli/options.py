"""What several commands take, and how they read the configuration."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from watcher.settings import Finding, Settings, load_or_raise

ConfigOption = Annotated[Path, typer.Option("-c", "--config", help="The configuration file.", metavar="FILE")]


class OutputFormat(StrEnum):
    """How a command prints what it found."""

    TABLE = "table"
    JSON = "json"


OutputOption = Annotated[OutputFormat, typer.Option("-o", "--output", help="How to print.")]


def read_settings(path: Path) -> tuple[Settings, tuple[Finding, ...]]:
    """The configuration and what there is to say of it; raises InvalidConfiguration with every error, one a line."""
    return load_or_raise(path, os.environ)


def print_errors(lines: Iterable[object]) -> None:
    """One line each on standard error."""
    for line in lines:
        print(line, file=sys.stderr)  # noqa: T201 - commands print
