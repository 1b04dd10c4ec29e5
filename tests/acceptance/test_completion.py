"""Completion as shells ask for it: with the words in the environment, by the script that the command prints."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from tests.acceptance.process import ended
from tests.components import program

ROOT = Path(__file__).parents[2]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with `watcher` on its path."""
    script = tmp_path / "bin" / "watcher"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m watcher "$@"\n')
    script.chmod(0o755)
    (tmp_path / "watch conf.yaml").touch()
    return tmp_path


async def run(home: Path, *arguments: str, **environment: str) -> tuple[int, str, str]:
    return await ended(*arguments, cwd=home, PATH=f"{home}/bin:/usr/bin:/bin", **environment)


async def test_bash_completes_what_it_was_installed_for(home: Path) -> None:
    """All in one bash: a word an array, as readline gives them; what comes back is what TAB would offer."""
    asked = (
        ("watcher", "al"),
        ("watcher", "deliveries", "--st"),
        ("watcher", "deliveries", "--state", "de"),
        ("watcher", "silence", ""),
        ("watcher", "alerts", "-c", "watch"),
    )
    words = "\n".join(f"ask {' '.join(repr(word) for word in each)}" for each in asked)
    script = f"""
        ask() {{
            COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
            _watcher_completion watcher
            echo "${{COMPREPLY[*]}}"
        }}
        watcher --install-completion >&2
        source ~/.bashrc
        complete -p watcher
        {words}
    """
    code, out, err = await run(home, program("bash", package="bash"), "--norc", "-c", script)
    assert (code, "bash completion installed" in err) == (0, True)
    registered, *answers = out.splitlines()
    assert "-o default" in registered  # where nothing is offered, as for -c, readline offers files
    assert answers == ["alerts", "--state", "delivered dead", "add list expire", ""]


@pytest.mark.parametrize(
    ("shell", "more", "offered"),
    [
        ("zsh", {}, ['"delivered"', '"dead"']),
        ("fish", {"_TYPER_COMPLETE_FISH_ACTION": "get-args"}, ["delivered", "dead"]),
    ],
)
async def test_zsh_and_fish_ask_in_their_own_ways(
    shell: str, more: dict[str, str], offered: list[str], home: Path
) -> None:
    environment = {"_WATCHER_COMPLETE": f"complete_{shell}", **more}
    line = "watcher deliveries --state de"
    code, out, err = await run(home, "watcher", _TYPER_COMPLETE_ARGS=line, **environment)
    assert (code, err) == (0, "")
    assert [word for word in offered if word in out] == offered
    assert "pending" not in out


async def test_zsh_is_told_that_this_watcher_is_not_openstacks(home: Path) -> None:
    bash = shutil.which("bash")
    assert bash is not None
    (home / "bin" / "zsh").symlink_to(bash)  # which shell calls is known by its name alone
    code, _, err = await run(home, "zsh", "-c", "watcher --install-completion && watcher --install-completion; :")
    assert (code, err) == (0, "")
    lines = (home / ".zshrc").read_text().splitlines()
    assert [line.startswith("source ~/.zfunc/_watcher") for line in lines].count(True) == 1
    assert lines[-1].startswith("source ")  # behind compinit, which gives the name away
    assert any("compinit" in line for line in lines)
    assert (home / ".zfunc" / "_watcher").is_file()
