"""How commands print tables: for people on a terminal, one line an item and nothing cut in a pipe."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from rich.console import Console
from rich.table import Table
from rich.text import Text

from watcher.cli.times import age
from watcher.core.clock import SystemClock

_NOTHING = "-"
_LEAST = 16  # characters that a column is left that can be cut
_GAP = 2
_PIPED_WIDTH = 10_000  # a table in a pipe is never folded nor cut
STYLES = {
    "critical": "red",
    "warning": "yellow",
    "dead": "red",
    "pending": "yellow",
    "active": "green",
    "down": "red",
    "up": "green",
    "CREATING": "yellow",
    "ACTIVE": "cyan",
    "BUILDING": "yellow",
    "BUILT": "green",
    "ERROR": "red",
    "DELETING": "magenta",
    "missing": "red",
    "late": "yellow",
}


@dataclass(frozen=True, slots=True)
class Since:
    """A time in a table: on a terminal how long ago that is (`24m`, `in 2h`), in a pipe the time itself."""

    value: object


@dataclass(frozen=True, slots=True)
class Styled:
    """A text in a style that is not that of its word."""

    value: object
    style: str


def wide_console() -> Console:
    """Standard output for tables: as wide as the terminal, and never folding in a pipe."""
    return Console(width=None if sys.stdout.isatty() else _PIPED_WIDTH, highlight=False)


def print_plain(*lines: str) -> None:
    """One line each on standard output, out at once."""
    for line in lines:
        print(line)  # noqa: T201 - commands print
    sys.stdout.flush()


def plain_text(value: object) -> str:
    """One line that does nothing to a terminal: names and comments are anybody's text."""
    return "".join(char if char.isprintable() else " " for char in str(value))


def cell(value: object, *, styles: Mapping[str, str] = STYLES, now: datetime | None = None) -> Text:
    """A cell that is no markup; `-` for what is not there. With `now`, a time is shown as its age."""
    style = ""
    if isinstance(value, Styled):
        style, value = value.style, value.value
    if isinstance(value, Since):
        value = age(value.value, now) if now is not None and value.value else value.value
    text = plain_text(value) if value is not None and value != "" else _NOTHING
    return Text(text, style=style or styles.get(text, ""))


def print_table(
    headers: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    now: datetime | None = None,
    flexible: Collection[str] = (),
    spare: Sequence[str] = (),
) -> None:
    """A table with these columns; `now` is what ages are counted to: by default, what the clock says here.

    On a terminal that is too narrow, columns that are `spare` are left out, the first first (and all that hold
    nothing), and then those that are `flexible` are cut. In a pipe all are there in full.
    """
    is_terminal = sys.stdout.isatty()
    moment = (now or SystemClock().now()) if is_terminal else None
    rows = list(rows)
    columns = {header: [cell(row[place], now=moment) for row in rows] for place, header in enumerate(headers)}
    if not is_terminal:
        _print_plain(columns)
        return
    console = wide_console()
    table = Table(box=None, pad_edge=False, header_style="bold")
    columns = _fitting(columns, console.width, flexible=flexible, spare=spare)
    for header, cells in columns.items():
        # rich takes the width that lacks from columns that may fold, before it takes it from the others.
        table.add_column(header, no_wrap=bool(flexible) and header not in flexible)
        for shown in cells if header in flexible else ():
            shown.no_wrap, shown.overflow = True, "ellipsis"
    for shown_row in zip(*columns.values(), strict=True):
        table.add_row(*shown_row)
    console.print(table)


def _print_plain(columns: Mapping[str, Sequence[Text]]) -> None:
    padded = []
    for header, cells in columns.items():
        width = max([len(header), *(shown.cell_len for shown in cells)])
        padded.append([header.ljust(width), *(shown.plain + " " * (width - shown.cell_len) for shown in cells)])
    print_plain(*((" " * _GAP).join(row).rstrip() for row in zip(*padded, strict=True)))


def _fitting(
    columns: dict[str, list[Text]], width: int, *, flexible: Collection[str], spare: Sequence[str]
) -> dict[str, list[Text]]:
    is_empty = {header: all(shown.plain == _NOTHING for shown in cells) for header, cells in columns.items()}
    left = {header: cells for header, cells in columns.items() if not (header in spare and is_empty[header])}
    for header in spare:
        if _width(left, flexible) <= width:
            break
        left.pop(header, None)
    return left


def _width(columns: Mapping[str, Sequence[Text]], flexible: Collection[str]) -> int:
    """How wide a table is at least."""
    widths = []
    for header, cells in columns.items():
        widest = max((shown.cell_len for shown in cells), default=0)
        widths.append(max(len(header), min(widest, _LEAST) if header in flexible else widest))
    return sum(widths) + _GAP * (len(widths) - 1)
