"""What is wrong or worth knowing in a configuration, and where."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from watcher.core.errors import ConfigurationError

Level = Literal["error", "warning", "notice"]
TreePath = tuple[str | int, ...]
"""Where in the tree: keys and list indices from the root."""

_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")


class Mark(NamedTuple):
    """A place in the file, both counted from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Remark:
    """A finding before it is known of which file."""

    path: TreePath
    mark: Mark | None
    message: str
    level: Level = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing to tell of a configuration file. No secret and no value from the environment is ever in it.

    `line` and `column` count from 1; both are 0 when it is about the file as a whole. `path` is such as
    `sources[0].poll.interval`, or "" at the root.
    """

    file: str
    line: int
    column: int
    path: str
    message: str
    level: Level = "error"

    @classmethod
    def of(cls, remark: Remark, *, file: str) -> Finding:
        """The finding that a remark is in this file."""
        line, column = remark.mark or (0, 0)
        return cls(
            file=file,
            line=line,
            column=column,
            path=format_path(remark.path),
            message=remark.message,
            level=remark.level,
        )

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        prefix = "" if self.level == "error" else f"{self.level}: "
        return f"{where}: " + (f"{self.path}: " if self.path else "") + prefix + self.message


def format_path(path: TreePath) -> str:
    """`sources[0].poll.interval`. A key that is no plain word is a `?`: it could be a secret in a wrong place."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            shown = step if _PLAIN_KEY.fullmatch(step) else "?"
            text += f".{shown}" if text else shown
    return text


class InvalidConfiguration(ConfigurationError):  # noqa: N818 - reads as what it is
    """A configuration file with errors; `str()` has one line for each finding."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        super().__init__("\n".join(map(str, findings)))
        self.findings = tuple(findings)


def has_errors(findings: Iterable[Finding | Remark]) -> bool:
    """Whether any of these forbids to use the configuration."""
    return any(finding.level == "error" for finding in findings)
