"""What several commands take, and how they read the configuration."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from watcher.core.model import Status
from watcher.fields import parse_duration

if TYPE_CHECKING:
    from watcher.settings import Finding, Settings

ConfigOption = Annotated[Path, typer.Option("-c", "--config", help="The configuration file.", metavar="FILE")]
DaemonConfigOption = Annotated[
    Path | None,
    typer.Option("-c", "--config", help="The watcher's configuration: where it listens, its token.", metavar="FILE"),
]
UrlOption = Annotated[
    str | None, typer.Option(help="Where the watcher is; default: from -c, else WATCHER_URL.", metavar="URL")
]
AuthorOption = Annotated[str, typer.Option(envvar="USER", help="Who you are.", metavar="NAME")]


class OutputFormat(StrEnum):
    """How a command prints what it found."""

    TABLE = "table"
    JSON = "json"


OutputOption = Annotated[OutputFormat, typer.Option("-o", "--output", help="How to print.")]


def read_settings(path: Path) -> tuple[Settings, tuple[Finding, ...]]:
    """The configuration and what there is to say of it; raises InvalidConfiguration with every error, one a line."""
    # Not above: every receiver comes along, which the commands for a running watcher need only with -c.
    from watcher.settings import load_or_raise  # noqa: PLC0415

    return load_or_raise(path, os.environ)


def print_errors(lines: Iterable[object]) -> None:
    """One line each on standard error."""
    for line in lines:
        print(line, file=sys.stderr)  # noqa: T201 - commands print


def print_json(document: object) -> None:
    """A JSON document on standard output."""
    typer.echo(json.dumps(document, indent=2))


def parse_duration_option(text: str) -> timedelta:
    """A duration as in the configuration."""
    try:
        return parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def parse_labels(pairs: Iterable[str]) -> dict[str, str]:
    """Labels written as NAME=VALUE."""
    labels = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not (name and equals):
            raise typer.BadParameter(f"not a label: {pair!r}: write NAME=VALUE")
        labels[name] = value
    return labels


def warn_of_statuses(words: Iterable[str]) -> None:
    """Say of each status that the cloud does not document it: it may be misspelt, and then means nothing."""
    known = [status.value for status in Status]
    print_errors(
        f"warning: {word!r} is not a status the cloud documents; those are {', '.join(known)}"
        for word in words
        if word not in known
    )
