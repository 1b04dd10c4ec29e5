"""`watcher events --timeline`: each instance as a bar of what it was when."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import datetime, timedelta, tzinfo
from itertools import groupby

from rich.console import Console
from rich.text import Text

from watcher.cli.axis import ticks
from watcher.cli.client import Address, Client, ask
from watcher.cli.follow import Query
from watcher.cli.history import MOST_EVENTS, History, Known, known_of, load_history
from watcher.cli.lives import Life, lives_of, shown_status
from watcher.cli.options import OutputFormat, print_errors, print_json
from watcher.cli.tables import plain_text
from watcher.cli.times import Moment, how_long
from watcher.core.event_json import format_time
from watcher.core.model import Status

_USUAL = timedelta(hours=24)
_ON_A_SCREEN = 50
_NAME_CHARS = 28
_PIPED_CHARS = 120
_LEAST_BAR = 20
_LOOKS: dict[str | None, tuple[str, str]] = {
    Status.CREATING: ("c", "black on cyan"),
    Status.ACTIVE: ("a", "black on bright_cyan"),
    Status.BUILDING: ("b", "black on yellow"),
    Status.BUILT: ("-", "green"),
    Status.ERROR: ("E", "bold white on red"),
    Status.DELETING: ("d", "black on magenta"),
    None: ("?", "bold red"),
}
_OTHER = ("*", "black on white")
_NOTHING = (" ", "")
_MARK_CHARS = 12  # as wide as the widest mark of the axis, and some room


def print_timeline(
    address: Address,
    query: Query,
    *,
    since: Moment | None,
    limit: int | None,
    output: OutputFormat,
    now: datetime,
) -> int:
    """Print what each instance was since then, the worst first."""
    begins_at = (since or Moment(_USUAL)).at(now)

    async def load(client: Client) -> tuple[History, list[Known]]:
        # Asked for first: who changes meanwhile has an event that says so.
        known = known_of(await client.items("/api/v1/instances", {"source": query["source"]}))
        wanted = query["instance_id"]
        history = await load_history(client, query, since=begins_at)
        return history, [each for each in known if not wanted or each.key.id in wanted]

    history, known = ask(address, load)
    warn_of_gaps(history)
    lives = lives_of(history.events, known, begins_at=begins_at, ends_at=now)
    if output is OutputFormat.JSON:
        print_json({"items": [_item(life) for life in lives[:limit]]})
        return 0
    console = Console(highlight=False, width=None if sys.stdout.isatty() else _PIPED_CHARS)
    most = limit or (_ON_A_SCREEN if sys.stdout.isatty() else len(lives))
    for line in drawing(lives[:most], begins_at=begins_at, ends_at=now, width=console.width):
        console.print(line, no_wrap=True, crop=sys.stdout.isatty())
    if sys.stdout.isatty() and len(lives) > most:
        console.print(f"and {len(lives) - most} more, calmer ones: --limit {len(lives)} shows all")
    return 0


def warn_of_gaps(history: History) -> None:
    """Say what is not in it."""
    if history.is_cut:
        begins = format_time(history.events[0].observed_at) if history.events else "now"
        print_errors([f"warning: more than {MOST_EVENTS} events: only those since {begins} are looked at"])
    if history.unreadable:
        print_errors([f"warning: {history.unreadable} events cannot be read, and are left out"])


def drawing(
    lives: Sequence[Life], *, begins_at: datetime, ends_at: datetime, width: int, zone: tzinfo | None = None
) -> list[Text]:
    """A line for each instance below a time axis, and a legend; as wide as that."""
    if not lives:
        return [Text("Nothing is known of any instance in this time.")]
    names = [plain_text(life.name or life.key.id) for life in lives]
    left = min(max(map(len, names)), _NAME_CHARS)
    chars = max(_LEAST_BAR, width - left - 2 - 1)
    lines = [_axis(begins_at, ends_at, chars=chars, left=left, zone=zone)]
    for name, life in zip(names, lives, strict=True):
        label = Text(name, style="bold")
        label.truncate(left, overflow="ellipsis", pad=True)
        drawn = bar(life, begins_at=begins_at, ends_at=ends_at, chars=chars)
        lines.append(Text.assemble(label, "  ", drawn))
    return [*lines, Text(), _legend(lives, cell_s=(ends_at - begins_at).total_seconds() / chars)]


def bar(life: Life, *, begins_at: datetime, ends_at: datetime, chars: int) -> Text:
    """An instance's time as so many characters, each with the letter and the colour of a status."""
    step = (ends_at - begins_at) / chars
    looks = []
    for number in range(chars):
        begin = begins_at + step * number
        status, is_there = shown_status(life.spans, begin, begin + step)
        looks.append(_LOOKS.get(status, _OTHER) if is_there else _NOTHING)
    text = Text()
    for (letter, style), run in groupby(looks):
        text.append(letter * len(list(run)), style=style)
    return text


def _axis(begins_at: datetime, ends_at: datetime, *, chars: int, left: int, zone: tzinfo | None) -> Text:
    line = [" "] * (left + 2 + chars)
    length = ends_at - begins_at
    for at, label in ticks(begins_at, ends_at, at_most=max(1, chars // _MARK_CHARS), zone=zone):
        place = left + 2 + min(chars - 1, int((at - begins_at) / length * chars))
        mark = f"|{label}"
        if place + len(mark) <= len(line) and all(char == " " for char in line[place : place + len(mark)]):
            line[place : place + len(mark)] = mark
    return Text("".join(line), style="dim")


def _legend(lives: Sequence[Life], *, cell_s: float) -> Text:
    seen = {span.status for life in lives for span in life.spans}
    legend = Text()
    for status, (letter, style) in _LOOKS.items():
        if status in seen:
            legend.append(letter, style=style).append(f" {status or 'missing'}   ")
    for status in sorted(status for status in seen if status not in _LOOKS and status is not None):
        legend.append(_OTHER[0], style=_OTHER[1]).append(f" {plain_text(status)}   ")
    return legend.append(f"one character: {how_long(cell_s)}", style="dim")


def _item(life: Life) -> dict[str, object]:
    return {
        "source": life.key.source,
        "instance_id": life.key.id,
        "instance_name": life.name,
        "spans": [
            {
                "status": span.status,
                "began_at": format_time(span.began_at),
                "ended_at": format_time(span.ended_at) if span.ended_at is not None else None,
                "duration_s": round(span.duration_s(span.began_at), 3),
            }
            for span in life.spans
        ],
    }
