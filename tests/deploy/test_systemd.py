"""The systemd unit, as far as it can be tested where systemd does not run: what it means is checked, not what it does.

What it does (READY, reload, watchdog, credentials, a bad configuration) was tried by hand on Debian 12, systemd 252.
"""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.components import program
from watcher.cli.main import BAD_USAGE

UNIT = Path(__file__).parents[2] / "deploy/systemd/watcher.service"
README = UNIT.with_name("README.md")
DOCKERFILE = UNIT.parents[2] / "Dockerfile"
EXPOSURE_MAX = 15
"""In tenths; 100 is a service that is not locked in at all."""


@pytest.fixture
def analyze() -> str:
    return program("systemd-analyze", package="systemd")


def setting(section: str, name: str) -> str:
    """The value of a setting that the unit has once."""
    parser = configparser.RawConfigParser(strict=False)
    parser.read(UNIT)
    return parser[section][name]


def test_systemd_understands_every_line(analyze: str, tmp_path: Path) -> None:
    # The command must be there for it: another stands in for an installed watcher.
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/opt/watcher/bin/watcher", str(shutil.which("true"))))
    ended = subprocess.run((analyze, "verify", "--man=no", unit), capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_it_is_locked_in(analyze: str) -> None:
    command = (analyze, "security", "--offline=true", f"--threshold={EXPOSURE_MAX}", "--no-pager", UNIT)
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_a_bad_configuration_is_not_started_again_and_again() -> None:
    assert setting("Service", "RestartPreventExitStatus") == str(BAD_USAGE)
    # systemd does not heed that for the commands before the start.
    assert "ExecStartPre=" not in re.sub(r"^#.*$", "", UNIT.read_text(), flags=re.MULTILINE)


def test_it_runs_the_command_that_the_image_runs() -> None:
    command = re.findall(r'"([^"]+)"', DOCKERFILE.read_text().rpartition("CMD ")[2])
    assert setting("Service", "ExecStart") == " ".join(["/opt/watcher/bin/watcher", *command])


def test_the_words_on_installing_fit_the_unit() -> None:
    text = README.read_text()
    loaded, _, folder = setting("Service", "LoadCredential").partition(":")
    assert folder in text
    assert f"${{CREDENTIALS_DIRECTORY}}/{loaded}_" in text
    assert f"LoadCredential={loaded}:{folder}" in text
