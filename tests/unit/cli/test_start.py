"""How the commands are found, and what their start brings along."""

from __future__ import annotations

import subprocess
import sys

import pytest

from watcher.cli.main import _COMMANDS, main

HEAVY = ("sqlalchemy", "alembic", "slack_sdk", "cloudevents", "jinja2", "prometheus_client", "watcher.settings")


def test_the_help_shows_every_command_of_the_table_in_its_order(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    shown = [line.removeprefix("│ ") for line in capsys.readouterr().out.splitlines()]
    firsts = [line.split()[0] for line in shown if line and not line[0].isspace()]
    assert [first for first in firsts if first in _COMMANDS] == list(_COMMANDS)


@pytest.mark.parametrize("name", _COMMANDS)
def test_every_command_of_the_table_is_there(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0
    assert f"Usage: watcher {name}" in capsys.readouterr().out


def test_a_misspelt_command_is_answered_with_the_right_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["alrts"]) == 2
    assert "No such command 'alrts'. Did you mean 'alerts'?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "unwanted"),
    [
        (["--version"], (*HEAVY, "pydantic", "aiohttp", "rich")),
        (["alerts", "--url", "http://127.0.0.1:1"], HEAVY),
        (["schema"], ("sqlalchemy", "alembic", "prometheus_client", "watcher.polling")),
        (["check", "-c", "/nonexistent.yaml"], ("sqlalchemy", "alembic")),
        (["simulate", "--port", "x"], ("sqlalchemy", "slack_sdk", "watcher.settings")),
    ],
)
def test_a_command_brings_along_only_what_it_needs(arguments: list[str], unwanted: tuple[str, ...]) -> None:
    code = (
        "import sys; from watcher.cli.main import main\n"
        f"try: main({arguments})\nfinally: print('came along:', *(set({unwanted}) & set(sys.modules)))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.splitlines()[-1] == "came along:"
