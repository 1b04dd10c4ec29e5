"""The rules and dashboards as they are shipped, for the tests of them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
ALERTS = DEPLOY / "prometheus/alerts.yaml"
RECORDING = DEPLOY / "prometheus/recording.yaml"
DASHBOARDS = sorted((DEPLOY / "grafana").glob("*.json"))

_SELECTOR = re.compile(r"(?<![\w:$\"])([a-zA-Z_:][\w:]*)\s*(?:\{([^}]*)\})?")
_MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"')
_GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)")


@dataclass(frozen=True)
class Selector:
    """One metric as an expression names it; matchers are (label, operator, value)."""

    metric: str
    matchers: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True)
class Query:
    """One query of a dashboard. `labels` are those that its legend or table shows."""

    dashboard: str
    panel: str
    expression: str
    labels: frozenset[str]

    def __str__(self) -> str:
        return f"{self.dashboard}: {self.panel}: {self.expression}"


@dataclass(frozen=True)
class Variable:
    """A variable of a dashboard: it offers the values that a label has in some series, one or several at once."""

    name: str
    series: str
    label: str
    several: bool


def rules(path: Path) -> list[dict[str, Any]]:
    """The rules of a file, of all its groups."""
    return [rule for group in yaml.safe_load(path.read_text())["groups"] for rule in group["rules"]]


def alerts() -> dict[str, dict[str, Any]]:
    """The alerting rules by name."""
    return {rule["alert"]: rule for rule in rules(ALERTS)}


def impatient(path: Path, folder: Path, *, wait: str) -> Path:
    """A copy of a rule file in which every `for` is as short as that, so that a test need not wait for minutes."""
    copy = folder / path.name
    copy.write_text(re.sub(r"^( +for:).*$", rf"\1 {wait}", path.read_text(), flags=re.MULTILINE))
    return copy


def selectors(expression: str) -> Iterator[Selector]:
    """The metrics that an expression names: those that are followed by matchers, and whatever is ours by its name."""
    for name, matchers in _SELECTOR.findall(_GROUPING.sub(" ", expression)):
        if matchers or ":" in name or name.startswith(("watcher_", "process_", "python_", "scrape_")):
            yield Selector(name, tuple(_MATCHER.findall(matchers)))


def dashboard(path: Path) -> dict[str, Any]:
    """A dashboard as Grafana reads it."""
    read: dict[str, Any] = json.loads(path.read_text())
    return read


def panels(board: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The panels that show something, those in collapsed rows, too."""
    inner = [each for panel in board["panels"] for each in panel.get("panels", [])]
    return [panel for panel in [*board["panels"], *inner] if panel["type"] != "row"]


def queries(path: Path) -> list[Query]:
    """Every query of the panels of a dashboard, as it is written."""
    board = dashboard(path)
    return [
        Query(
            dashboard=board["title"],
            panel=panel["title"],
            expression=target["expr"],
            labels=frozenset(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) | _columns(panel),
        )
        for panel in panels(board)
        for target in panel["targets"]
    ]


def _columns(panel: Mapping[str, Any]) -> frozenset[str]:
    shown = [
        name
        for step in panel.get("transformations", [])
        if step["id"] == "filterFieldsByName"
        for name in step["options"]["include"]["names"]
    ]
    return frozenset(name for name in shown if not name.startswith("Value"))


def variables(path: Path) -> list[Variable]:
    """The variables of a dashboard that ask Prometheus."""
    found = []
    for variable in dashboard(path)["templating"]["list"]:
        if variable["type"] == "query":
            match = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"]["query"])
            assert match is not None, variable
            found.append(Variable(variable["name"], series=match[1], label=match[2], several=variable["multi"]))
    return found


def filled(expression: str, values: Mapping[str, str]) -> str:
    """An expression with its variables filled in, as Grafana does before it asks."""
    result = re.sub(r"\$(\w+)", lambda found: values[found[1]], expression)
    assert "$" not in result
    return result
