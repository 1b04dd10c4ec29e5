"""Helm lints, packages and renders the chart."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import PIPE
from typing import Any

import yaml

from tests.components import missing

ROOT = Path(__file__).parents[2]
CHART = ROOT / "deploy/helm/watcher"

_WARNING = 2  # Helm's numbers: 1 is information, 3 an error


@dataclass(frozen=True)
class Rendered:
    """What an install made of the chart, or why there was none."""

    manifest: str
    """All objects but hooks, as YAML."""
    hooks: tuple[str, ...]
    """The objects of hooks, each as YAML."""
    notes: str
    error: str | None

    @property
    def objects(self) -> list[dict[str, Any]]:
        """All objects, hooks last; fails when there are none."""
        assert self.error is None, self.error
        return [one for text in (self.manifest, *self.hooks) for one in yaml.safe_load_all(text) if one]


class Helm:
    """A running `helm_process`: its first answer takes a second, the others next to nothing."""

    def __init__(self, process: subprocess.Popen[str], *, log: Path) -> None:
        self._process = process
        self._log = log

    def render(self, *values: dict[str, Any], release: str = "watcher") -> list[Rendered]:
        """Install the chart once with each of the values, into the namespace `monitoring`."""
        answers = self._ask(do="render", values=values, release=release)
        return [Rendered(**{**answer, "hooks": tuple(answer["hooks"])}) for answer in answers]

    def lint(self) -> list[str]:
        """The files that `helm lint` warns of or worse; the library does not tell why."""
        said = self._ask(do="lint")
        return [message["Path"] for message in said["Messages"] if message["Severity"] >= _WARNING]

    def package(self, folder: Path) -> Path:
        """The archive that `helm package` makes."""
        return Path(self._ask(do="package", folder=str(folder)))

    def _ask(self, **task: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"chart": str(CHART), **task}) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, self._log.read_text()
        return json.loads(answer)


@contextmanager
def running_helm(home: Path) -> Iterator[Helm]:
    """Start the process; `home` is its home, where it may write."""
    if importlib.util.find_spec("helm_sdkpy") is None:
        missing("helm_sdkpy is missing: pip install -r requirements/helm.txt (Linux on x86-64)")
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(home), "PYTHONPATH": str(ROOT), "HELM_DRIVER": "memory"}
    command = (sys.executable, "-m", "tests.deploy.helm_process")
    log = home / "helm.log"
    with (
        log.open("w") as output,
        subprocess.Popen(
            command, env=environment, cwd=home, stdin=PIPE, stdout=PIPE, stderr=output, text=True
        ) as process,
    ):
        yield Helm(process, log=log)
