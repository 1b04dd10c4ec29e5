"""Reading scenario files, and saying what is wrong with them."""

from importlib import resources
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import ValidationError

from watcher.simulator.scenario import (
    CreateStep,
    DeleteStep,
    RecreateStep,
    Scenario,
    SetStatusStep,
    Target,
    VanishStep,
    action_of,
)


class ScenarioError(ValueError):
    """A scenario cannot be used; the text has one line for each finding: `file: path: problem`."""


def load_scenario(path: Path | str) -> Scenario:
    """Reads a scenario file. Raises ScenarioError."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        reason = problem.strerror if isinstance(problem, OSError) else "not UTF-8"
        raise ScenarioError(f"{path}: {reason}") from None
    return _parse(text, str(path))


def builtin_scenario(name: Literal["demo"] = "demo") -> Scenario:
    """A scenario that comes with the package."""
    file = resources.files(__package__) / "scenarios" / f"{name}.yaml"
    return _parse(file.read_text(encoding="utf-8"), f"{name}.yaml")


def _parse(text: str, file: str) -> Scenario:
    try:
        content: Any = yaml.safe_load(text)
    except yaml.MarkedYAMLError as problem:
        mark = problem.problem_mark
        where = f"{file}:{mark.line + 1}:{mark.column + 1}" if mark else file
        raise ScenarioError(f"{where}: {problem.problem}") from None
    except yaml.YAMLError as problem:
        raise ScenarioError(f"{file}: {str(problem).splitlines()[0]}") from None
    try:
        scenario = Scenario.model_validate({} if content is None else content)
    except ValidationError as problem:
        findings = [f"{_place(each['loc'])}: {_worded(each)}" for each in problem.errors()]
        raise ScenarioError("\n".join(f"{file}: {finding}" for finding in findings)) from None
    if findings := _unknown_targets(scenario):
        raise ScenarioError("\n".join(f"{file}: {finding}" for finding in findings))
    return scenario


def _place(location: tuple[int | str, ...]) -> str:
    """`("timeline", 2, "recreate", "recreate", "name")` as `timeline[2].recreate.name`: the union's tag is no key."""
    parts = list(location)
    if parts[:1] == ["timeline"]:
        del parts[2:3]
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)
    return text.removeprefix(".") or "scenario"


def _worded(problem: Any) -> str:
    match problem["type"]:
        case "extra_forbidden":
            return "unknown key"
        case "missing":
            return "is missing"
        case _:
            message: str = problem["msg"]
            return message.removeprefix("Value error, ")


def _unknown_targets(scenario: Scenario) -> list[str]:
    """Steps about an instance that is neither there from the start nor created before them."""
    names = {name for spec in scenario.instances for name in spec.names()}
    findings = []
    for index, step in sorted(enumerate(scenario.timeline), key=lambda entry: entry[1].at):
        match step:
            case CreateStep():
                names.add(step.create.name)
            case RecreateStep() | DeleteStep() | SetStatusStep() | VanishStep():
                action = str(action_of(step))
                target: Target = getattr(step, action)
                if target.name not in names:
                    findings.append(f"timeline[{index}].{action}.name: no instance named {target.name!r} at that time")
    return findings
