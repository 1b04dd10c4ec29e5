"""Keys that are accepted and checked but do nothing yet in this version. A key that comes alive loses its line here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from watcher.settings.findings import Remark, TreePath
from watcher.settings.tree import Node, walk


@dataclass(frozen=True, slots=True)
class NotYet:
    """A key, `[]` for any index, and what happens instead."""

    key: str
    instead: str


NOT_YET = (NotYet("cluster", "there is one replica"),)


def remarks(root: Node) -> Iterator[Remark]:
    """A notice for each key of the tree that does nothing yet."""
    for path, mark, _ in walk(root):
        for entry in NOT_YET:
            if entry.key == pattern_of(path):
                message = f"accepted, but does nothing yet in this version ({entry.instead})"
                yield Remark(path, mark, message, level="notice")


def pattern_of(path: TreePath) -> str:
    """The path with `[]` in place of every index: `sources[].poll.mode`."""
    return "".join("[]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")
