"""One event a line: short and in colour on a terminal, with every fact and exact times in a pipe."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from watcher.cli.tables import STYLES, cell, plain_text, print_plain
from watcher.cli.times import how_long, local_time, read_number, read_time

Item = Mapping[str, Any]
_COLUMNS = (
    ("TIME", 24),
    ("SEVERITY", 8),
    ("KIND", 12),
    ("SOURCE", 8),
    ("INSTANCE", 18),
    ("NAME", 16),
    ("FROM", 8),
    ("TO", 8),
    ("AFTER", 8),
    ("ALERTS", 12),
    ("REASON", 6),
)
_NAME_CHARS = (12, 28)
_CHANGE_CHARS = 19  # CREATING → BUILDING
_TIME_CHARS, _LASTED_CHARS, _GAP = 15, 6, 2
_ALL_OVER = "green"  # alerts that only end
_MARKS = {"critical": "‼", "warning": "!"}
_WORDS = {
    "build_failed": "build failed",
    "deleted": "deleted",
    "missing": "missing",
    "flapping": "flapping",
    "unreachable": "does not answer",
}
_IN_STATUS = {"discovered": "discovered", "stuck": "stuck in", "recovered": "back in"}


class EventPrinter:
    """Prints events as they come; on a terminal, names stand in a column as wide as the widest so far."""

    def __init__(self, console: Console | None) -> None:
        self._console = console
        self._name_chars = _NAME_CHARS[0]

    @classmethod
    def on_stdout(cls) -> EventPrinter:
        """For standard output, whatever that is."""
        return cls(Console(highlight=False) if sys.stdout.isatty() else None)

    def head(self) -> None:
        """The names of the columns, in a pipe."""
        if self._console is None:
            print_plain(_row([name for name, _ in _COLUMNS]))

    def show(self, events: Sequence[Item]) -> None:
        """Print these, and have them out at once."""
        if self._console is None:
            print_plain(*(_row(_facts(event)) for event in events))
            return
        widest = max((len(_name(event)) for event in events), default=0)
        self._name_chars = min(max(self._name_chars, widest), _NAME_CHARS[1])
        for event in events:
            self._print(event, self._console)

    def _print(self, event: Item, console: Console) -> None:
        widths = (_TIME_CHARS, 1, self._name_chars, _CHANGE_CHARS, _LASTED_CHARS)
        line = Table.grid(padding=(0, _GAP, 0, 0))
        for width in widths:
            line.add_column(width=width, no_wrap=True, overflow="ellipsis")
        severity, at = str(event.get("severity")), read_time(event.get("observed_at"))
        fires = any(alert.get("status") == "firing" for alert in alerts_of(event))
        style = STYLES.get(severity, "") if fires else _ALL_OVER
        alerts, reason = _alerts(event), _reason(event)
        # A reason that does not fit has a line of its own, below the name.
        fits = sum(widths) + _GAP * len(widths) + len(alerts) + len(reason) + 2 <= console.width
        line.add_row(
            Text(local_time(at) if at is not None else "-", style="dim"),
            Text(_MARKS.get(severity, "") if fires else "", style=f"bold {style}"),
            Text(_name(event), style="bold"),
            _change(event),
            Text(_lasted(event.get("duration_s"), how_long)),
            Text("; ".join(filter(None, (alerts, reason if fits else ""))), style=style),
        )
        console.print(line)
        if reason and not fits:
            console.print(Padding(Text(reason, style=style), (0, 0, 0, _TIME_CHARS + 1 + 2 * _GAP)))


class JsonPrinter:
    """Prints events as they come, one JSON object a line."""

    def head(self) -> None:
        """Nothing stands above them."""

    def show(self, events: Sequence[Item]) -> None:
        """Print these, and have them out at once."""
        print_plain(*(json.dumps(event, separators=(",", ":")) for event in events))


def _row(values: Sequence[object]) -> str:
    return "  ".join(
        cell(value).plain.ljust(width) for value, (_, width) in zip(values, _COLUMNS, strict=True)
    ).rstrip()


def _facts(event: Item) -> list[object]:
    keys = ("observed_at", "severity", "kind", "source", "instance_id", "instance_name", "from", "to")
    lasted = _lasted(event.get("duration_s"), lambda seconds: f"{round(seconds, 3)}s".replace(".0s", "s"))
    return [*(event.get(key) for key in keys), lasted, _alerts(event), _reason(event)]


def _name(event: Item) -> str:
    named = event.get("instance_name") or event.get("instance_id") or f"source {event.get('source')}"
    return plain_text(named)


def _change(event: Item) -> Text:
    """What happened in two or three words, statuses in their colours."""
    kind, before, after = (plain_text(event.get(key) or "") for key in ("kind", "from", "to"))
    if kind == "transition" and before:
        words = [before, "→", after or "?"]
    elif kind in _IN_STATUS:
        words = [_IN_STATUS[kind], after] if after else ["answers again" if kind == "recovered" else kind]
    else:
        words = [_WORDS.get(kind, kind or "?")]
    return Text(" ").join(Text(word, style=STYLES.get(word, "")) for word in words if word)


def _lasted(value: object, words: Callable[[float], str]) -> str:
    seconds = read_number(value)
    return words(seconds) if seconds is not None else ""


def _alerts(event: Item) -> str:
    """`error firing, missing resolved`."""
    return plain_text(", ".join(f"{alert.get('name')} {alert.get('status')}" for alert in alerts_of(event)))


def alerts_of(item: Item) -> list[Item]:
    """The alerts of an event or an instance, as far as they are any."""
    alerts = item.get("alerts")
    return [alert for alert in alerts if isinstance(alert, dict)] if isinstance(alerts, list) else []


def _reason(event: Item) -> str:
    return reason_in_words(event.get("reason"))


def reason_in_words(reason: object) -> str:
    """`WKS.0017: sysprep failed`; in front of a guess, `likely`."""
    if not isinstance(reason, dict):
        return ""
    said = ": ".join(str(reason[key]) for key in ("code", "message") if reason.get(key))
    return plain_text(f"likely {said}" if said and reason.get("exact") is False else said)
