"""One event a line."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from tests.fakes.stories import stories
from tests.fakes.values import event
from watcher.cli.event_lines import EventPrinter
from watcher.cli.tables import STYLES, _fitting, cell
from watcher.core.event_json import to_json


def on_a_terminal(*events: dict[str, Any], width: int = 80) -> list[str]:
    """What is seen there, without colours."""
    screen = io.StringIO()
    EventPrinter(Console(file=screen, width=width, highlight=False)).show(events)
    return [line.rstrip() for line in screen.getvalue().splitlines()]


def in_a_pipe(capsys: pytest.CaptureFixture[str], *events: dict[str, Any]) -> list[str]:
    printer = EventPrinter(None)
    printer.head()
    printer.show(events)
    return capsys.readouterr().out.splitlines()


def test_every_sort_of_event_is_a_line_of_words(capsys: pytest.CaptureFixture[str]) -> None:
    told = {name: to_json(each) for name, each in stories().items()}
    for name, shown in told.items():
        lines = on_a_terminal(shown, width=200)
        assert len(lines) == 1, name
        assert lines[0][16:].split(), name
        assert "None" not in lines[0]
    assert len(in_a_pipe(capsys, *told.values())) == len(told) + 1


def test_a_pipe_has_every_fact_in_its_column(capsys: pytest.CaptureFixture[str]) -> None:
    head, line = in_a_pipe(capsys, to_json(event()))
    assert " ".join(head.split()) == "TIME SEVERITY KIND SOURCE INSTANCE NAME FROM TO AFTER ALERTS REASON"
    assert line.split() == [
        "2026-01-01T00:00:15.123Z",
        *("info", "transition", "prod", "697612196993040384", "office-2026", "BUILDING", "BUILT", "1412s", "-", "-"),
    ]


def test_a_reason_that_does_not_fit_has_a_line_of_its_own() -> None:
    reason = {"code": "WKS.0017", "message": "sysprep failed: " + "x" * 20, "exact": False}
    shown = {**to_json(event(to_status="ERROR")), "reason": reason}
    first, second = on_a_terminal(shown)
    assert first.endswith("BUILDING → ERROR     23m")
    assert second == " " * 20 + "likely WKS.0017: sysprep failed: " + "x" * 20
    assert len(on_a_terminal(shown, width=160)) == 1


@pytest.mark.parametrize(
    "odd",
    [
        {},
        {"kind": 7, "from": {}, "to": [], "alerts": "x", "reason": 7, "duration_s": "x", "observed_at": 7},
        {
            "kind": "transition",
            "from": "A\x1b[31m",
            "to": "B\n",
            "instance_name": "x\x9b\u202e[bold]",
            "alerts": [7, {}],
        },
        {"kind": "frobbed", "duration_s": 1e300, "severity": "[red]"},
        {"kind": "transition", "from": "A" * 90, "to": "B", "instance_name": "n" * 90, "duration_s": float("inf")},
    ],
)
def test_what_is_no_event_is_a_harmless_line(odd: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    lines = on_a_terminal(odd) + in_a_pipe(capsys, odd)
    assert len(lines) == 3
    assert all(char.isprintable() for line in lines for char in line)


def test_colours_follow_what_fires() -> None:
    assert cell("ERROR").style == STYLES["ERROR"] == "red"
    assert cell("[red]x").plain == "[red]x"


def test_a_table_loses_what_is_spare_before_anything_is_cut() -> None:
    columns = {"A": [cell("x" * 30)], "B": [cell("y" * 10)], "C": [cell("-")], "D": [cell("z" * 10)]}

    def left(width: int) -> list[str]:
        return list(_fitting(columns, width, flexible=("A",), spare=("C", "B", "D")))

    assert left(99) == ["A", "B", "D"]
    assert left(40) == ["A", "B", "D"]
    assert left(39) == ["A", "D"]
    assert left(20) == ["A"]
