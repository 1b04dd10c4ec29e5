"""From a file to settings: read, parse, interpolate, validate, and tell all that is wrong at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from watcher.settings import cross_checks, section_checks
from watcher.settings.findings import Finding, InvalidConfiguration, Mark, Remark, has_errors
from watcher.settings.messages import remark_of
from watcher.settings.model import Settings
from watcher.settings.parser import parse_tree
from watcher.settings.tree import Branch, Leaf, Node, plain

MAX_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Loaded:
    """The settings, None when a finding is an error, and all findings in the order of the file."""

    settings: Settings | None
    findings: tuple[Finding, ...]


def load(path: Path, environment: Mapping[str, str]) -> Loaded:
    """Load a configuration file. Whatever is wrong with it is a finding; nothing is raised."""
    text = _read(path)
    if isinstance(text, Remark):
        return Loaded(None, (Finding.of(text, file=str(path)),))
    return load_text(text, environment, file=str(path))


def load_or_raise(path: Path, environment: Mapping[str, str]) -> tuple[Settings, tuple[Finding, ...]]:
    """The settings of a file, and its warnings and notices; raises InvalidConfiguration with all its errors."""
    loaded = load(path, environment)
    if loaded.settings is None:
        raise InvalidConfiguration([finding for finding in loaded.findings if finding.level == "error"])
    return loaded.settings, loaded.findings


def load_text(text: str, environment: Mapping[str, str], *, file: str) -> Loaded:
    """Load a configuration from its text; `file` is what findings call it."""
    root, remarks = parse_tree(text, environment)
    settings = None
    if isinstance(root, Branch):
        settings, invalid = _validate(root)
        remarks += [
            *invalid,
            *section_checks.remarks(root),
            *cross_checks.remarks(root, environment),
        ]
    elif not has_errors(remarks):
        remarks.append(_rootless(root))
    findings = sorted(
        {Finding.of(remark, file=file) for remark in remarks},
        key=lambda finding: (finding.line, finding.column, finding.path, finding.message),
    )
    return Loaded(None if has_errors(findings) else settings, tuple(findings))


def _rootless(root: Node | None) -> Remark:
    if root is None or (isinstance(root, Leaf) and root.text is None):
        return Remark((), Mark(1, 1), "the file is empty; it needs at least 'sources'")
    return Remark((), root.mark, "must be a mapping (key: value), beginning with 'sources:'")


def _validate(root: Branch) -> tuple[Settings | None, list[Remark]]:
    try:
        return Settings.model_validate(plain(root)), []
    except ValidationError as invalid:
        errors = invalid.errors(include_url=False, include_input=False)
    return None, [remark for error in errors if (remark := remark_of(error, root, Settings)) is not None]


def _read(path: Path) -> str | Remark:
    """The file's text, or why there is none."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else None
        return Remark((), None, f"cannot be read: {why or 'not a path'}")
    if len(content) > MAX_BYTES:
        return Remark((), None, f"larger than {MAX_BYTES // 1024 // 1024} MiB")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        mark = Mark(before.count(b"\n") + 1, error.start - before.rfind(b"\n"))
        return Remark((), mark, "not UTF-8 text")
