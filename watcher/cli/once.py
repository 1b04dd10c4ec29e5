"""`watcher once`: the present state of everything, with nothing sent and nothing written."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable

import typer
from rich.table import Table

from watcher.cli.look import look_at_all
from watcher.cli.options import ConfigOption, OutputFormat, OutputOption, print_errors, read_settings
from watcher.cli.tables import cell, wide_console
from watcher.core.model import InstanceState, Presence
from watcher.logging import configure_logging

_COLOURS = {"ERROR": "red", "BUILT": "green", "BUILDING": "yellow", "CREATING": "yellow", "DELETING": "magenta"}


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


def table_of(states: Iterable[InstanceState]) -> Table:
    """Instances one a line, by source and name."""
    table = Table("SOURCE", "INSTANCE", "NAME", "STATUS", "UPDATED", box=None, pad_edge=False, header_style="bold")
    for state in sorted(states, key=lambda state: (state.key.source, state.name, state.key.id)):
        status = state.status or "-"
        if state.presence is not Presence.PRESENT or state.absences:
            status = f"{status} (gone)" if state.status else "(not found)"
        cells = (state.key.source, state.key.id, state.name, status, state.updated_at)
        table.add_row(*(cell(value, styles=_COLOURS) for value in cells))
    return table
