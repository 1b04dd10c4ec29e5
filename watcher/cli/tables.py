"""How commands print tables: for people on a terminal, one line an item and nothing cut in a pipe."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

_PIPED_WIDTH = 10_000  # a table in a pipe is never folded nor cut
_STYLES = {"critical": "red", "warning": "yellow", "dead": "red", "pending": "yellow", "active": "green"}


def wide_console() -> Console:
    """Standard output for tables: as wide as the terminal, and never folding in a pipe."""
    return Console(width=None if sys.stdout.isatty() else _PIPED_WIDTH, highlight=False)


def plain_text(value: object) -> str:
    """One line that does nothing to a terminal: names and comments are anybody's text."""
    return "".join(char if char.isprintable() else " " for char in str(value))


def cell(value: object, *, styles: Mapping[str, str] = _STYLES) -> Text:
    """A cell that is no markup; `-` for what is not there."""
    text = plain_text(value) if value is not None and value != "" else "-"
    return Text(text, style=styles.get(text, ""))


def print_table(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table with these columns."""
    table = Table(*headers, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*map(cell, row))
    wide_console().print(table)
