"""`watcher schema`: the JSON Schema of the configuration."""

from __future__ import annotations

import json

import typer

from watcher.settings import json_schema


def schema() -> None:
    """Print the JSON Schema of the configuration, for editors and linters."""
    typer.echo(json.dumps(json_schema(), indent=2, ensure_ascii=False))
