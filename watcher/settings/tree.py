"""A configuration file as a tree that knows where every key and value stands, and keeps every scalar as written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from watcher.settings.findings import Mark, TreePath


@dataclass(slots=True)
class Leaf:
    """A scalar, as written; None for null. `broken`: what it should be is not known, and that has been told."""

    mark: Mark
    text: str | None
    from_environment: bool = False
    broken: bool = False
    size: int = 1
    depth: int = 1


@dataclass(slots=True)
class Items:
    """A list."""

    mark: Mark
    items: list[Node] = field(default_factory=list)
    size: int = 1
    depth: int = 1

    def add(self, item: Node) -> None:
        """Append an item."""
        self.items.append(item)
        self.size += item.size
        self.depth = max(self.depth, item.depth + 1)


@dataclass(slots=True)
class Branch:
    """A mapping; `key_marks` says where its keys stand."""

    mark: Mark
    entries: dict[str, Node] = field(default_factory=dict)
    key_marks: dict[str, Mark] = field(default_factory=dict)
    size: int = 1
    depth: int = 1

    def add(self, key: str, mark: Mark, value: Node) -> None:
        """Put a new key."""
        self.entries[key], self.key_marks[key] = value, mark
        self.size += value.size
        self.depth = max(self.depth, value.depth + 1)


Node = Leaf | Items | Branch


def plain(node: Node) -> Any:
    """The tree as dicts, lists, texts and None."""
    if isinstance(node, Leaf):
        return node.text
    if isinstance(node, Items):
        return [plain(item) for item in node.items]
    return {key: plain(value) for key, value in node.entries.items()}


def find(node: Node | None, *path: str | int) -> Node | None:
    """What is at `path` below `node`; None where nothing is."""
    for step in path:
        if isinstance(node, Branch) and isinstance(step, str):
            node = node.entries.get(step)
        elif isinstance(node, Items) and isinstance(step, int):
            node = node.items[step] if step < len(node.items) else None
        else:
            return None
    return node


def text_at(node: Node | None, *path: str | int) -> str | None:
    """The text at `path` below `node`; None where nothing is, or nothing that can be relied on."""
    leaf = find(node, *path)
    return leaf.text if isinstance(leaf, Leaf) and not leaf.broken else None


def walk(node: Node, path: TreePath = ()) -> Iterator[tuple[TreePath, Mark, Node]]:
    """Every key with a value below `node`: its path, where the key stands, and what it holds."""
    if isinstance(node, Items):
        for index, item in enumerate(node.items):
            yield from walk(item, (*path, index))
    elif isinstance(node, Branch):
        for key, value in node.entries.items():
            if not (isinstance(value, Leaf) and value.text is None):
                yield (*path, key), node.key_marks[key], value
            yield from walk(value, (*path, key))
