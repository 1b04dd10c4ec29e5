"""Keys that are accepted and checked but do nothing yet in this version. A key that comes alive loses its line here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from watcher.settings.findings import Remark, TreePath
from watcher.settings.tree import Node, text_at, walk

_DEAD_LETTERS = "its notifications are kept as dead letters"


@dataclass(frozen=True, slots=True)
class NotYet:
    """A key, `[]` for any index, and what happens instead. With `only`: for these values alone."""

    key: str
    instead: str
    only: frozenset[str] | None = None

    def holds_for(self, value: str | None) -> bool:
        """Whether the key with this value (None: no scalar) does nothing yet."""
        return self.only is None or value in self.only


NOT_YET = (
    NotYet("receivers[].type", _DEAD_LETTERS, only=frozenset({"alertmanager"})),
    NotYet("receivers[].format", _DEAD_LETTERS, only=frozenset({"cloudevents", "alertmanager"})),
    NotYet("cluster", "there is one replica"),
    NotYet("web.tls", "plain HTTP is served"),
)


def remarks(root: Node) -> Iterator[Remark]:
    """A notice for each key of the tree that does nothing yet."""
    for path, mark, node in walk(root):
        key = pattern_of(path)
        for entry in NOT_YET:
            if entry.key == key and entry.holds_for(text_at(node)):
                message = f"accepted, but does nothing yet in this version ({entry.instead})"
                yield Remark(path, mark, message, level="notice")


def pattern_of(path: TreePath) -> str:
    """The path with `[]` in place of every index: `sources[].poll.mode`."""
    return "".join("[]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")
