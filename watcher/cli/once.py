"""`watcher once`: the present state of everything, with nothing sent and nothing written."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterable

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from watcher.cli.look import look_at_all
from watcher.cli.options import ConfigOption, OutputFormat, OutputOption, print_errors, read_settings
from watcher.core.model import InstanceState, Presence
from watcher.logging import configure_logging

_COLOURS = {"ERROR": "red", "BUILT": "green", "BUILDING": "yellow", "CREATING": "yellow", "DELETING": "magenta"}
_PIPED_WIDTH = 10_000  # a table in a pipe is never folded nor cut


def once(config: ConfigOption, output: OutputOption = OutputFormat.TABLE) -> int:
    """Poll everything once and print it; send nothing, write nothing. Exit code 1 if anything could not be read."""
    settings, _ = read_settings(config)
    configure_logging(level=settings.log.level, style="console")
    looks = asyncio.run(look_at_all(settings))
    if output is OutputFormat.JSON:
        typer.echo(json.dumps({"items": [_item(state) for look in looks for state in look.states]}, indent=2))
    else:
        wide_console().print(table_of(state for look in looks for state in look.states))
    problems = [problem for look in looks for problem in look.problems]
    print_errors(problems)
    return 1 if problems else 0


def _item(state: InstanceState) -> dict[str, object]:
    return {
        "source": state.key.source,
        "instance_id": state.key.id,
        "instance_name": state.name,
        "status": state.status,
        "image_id": state.image_id,
        "updated_at": state.updated_at,
        "instance": json.loads(state.record),
    }


def wide_console() -> Console:
    """Standard output for tables: as wide as the terminal, and never folding in a pipe."""
    return Console(width=None if sys.stdout.isatty() else _PIPED_WIDTH, highlight=False)


def table_of(states: Iterable[InstanceState]) -> Table:
    """Instances one a line, by source and name."""
    table = Table("SOURCE", "INSTANCE", "NAME", "STATUS", "UPDATED", box=None, pad_edge=False, header_style="bold")
    for state in sorted(states, key=lambda state: (state.key.source, state.name, state.key.id)):
        status = state.status or "-"
        if state.presence is not Presence.PRESENT or state.absences:
            status = f"{status} (gone)" if state.status else "(not found)"
        cells = (state.key.source, state.key.id, state.name, state.updated_at)
        source, instance_id, name, updated = (Text(cell) for cell in cells)  # Text: names are not markup
        table.add_row(source, instance_id, name, Text(status, style=_COLOURS.get(state.status or "", "")), updated)
    return table
