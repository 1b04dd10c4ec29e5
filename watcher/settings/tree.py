"""YAML as a tree that knows where every key and value stands, and keeps every scalar as it was written.

Built from the parser's events, not with PyYAML's own composer: that one recurses in C and dies of deep nesting.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from watcher.settings.findings import Mark, Remark, TreePath
from watcher.settings.interpolation import InterpolationError, interpolate

MAX_DEPTH = 40
MAX_NODES = 500_000
"""Aliases count as often as they are used, so that they cannot multiply without end."""

LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""Both give the same events; the pure-Python one, for machines without libyaml, takes 20 times as long."""
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_STANDARD_TAG = re.compile(r"(?:tag:yaml\.org,2002:(?:null|bool|int|float|str|timestamp|map|seq)|!)")
_FORBIDDEN = re.compile(r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufeff\uff00-\ufffd\U00010000-\U0010ffff]")


@dataclass(slots=True)
class Leaf:
    """A scalar, as written; None for null. `broken`: what it should be is not known, and that has been told."""

    mark: Mark
    text: str | None
    from_environment: bool = False
    broken: bool = False
    size: int = 1


@dataclass(slots=True)
class Items:
    """A list."""

    mark: Mark
    items: list[Node] = field(default_factory=list)
    size: int = 1


@dataclass(slots=True)
class Branch:
    """A mapping; `key_marks` says where its keys stand."""

    mark: Mark
    entries: dict[str, Node] = field(default_factory=dict)
    key_marks: dict[str, Mark] = field(default_factory=dict)
    size: int = 1


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


class _UnreadableError(Exception):
    def __init__(self, remark: Remark) -> None:
        self.remark = remark


def parse_tree(text: str, environment: Mapping[str, str], *, loader: Any = LOADER) -> tuple[Node | None, list[Remark]]:
    """The tree of a YAML text and what is wrong with it; None when there is no tree to speak of."""
    if bad := _FORBIDDEN.search(text):
        line = text.count("\n", 0, bad.start()) + 1
        column = bad.start() - text.rfind("\n", 0, bad.start())
        return None, [Remark((), Mark(line, column), "a control character, which YAML does not allow")]
    builder = _Builder(yaml.parse(text, Loader=loader), environment)
    try:
        return builder.document(), builder.remarks
    except _UnreadableError as error:
        return None, [*builder.remarks, error.remark]
    except yaml.MarkedYAMLError as error:
        return None, [*builder.remarks, _syntax_remark(error, text)]
    except (yaml.YAMLError, ValueError, OverflowError):
        return None, [*builder.remarks, Remark((), None, "not YAML")]


def _syntax_remark(error: yaml.MarkedYAMLError, text: str) -> Remark:
    mark = error.problem_mark or error.context_mark
    if mark is None:
        return Remark((), None, "not YAML")
    lines = text.splitlines()
    line = lines[mark.line] if mark.line < len(lines) else ""
    # The parser's words may quote more of the text than its punctuation, and the text may be a secret.
    problem = "not YAML: " + re.sub(r" '[^']{2,}'", "", error.problem or "it cannot be read")
    if "\t" in line[: mark.column + 1]:
        problem = "a tab where YAML wants spaces"
    elif "${" in line:
        problem += "; within { } or [ ] a ${VAR} needs quotes"
    return Remark((), Mark(mark.line + 1, mark.column + 1), problem)


def _mark(event: yaml.Event) -> Mark:
    start = event.start_mark
    return Mark(start.line + 1, start.column + 1) if start is not None else Mark(1, 1)


class _Builder:
    """Turns the parser's events into a tree; `remarks` collects what is wrong on the way."""

    def __init__(self, events: Iterator[yaml.Event], environment: Mapping[str, str]) -> None:
        self._events = events
        self._environment = environment
        self._anchors: dict[str, Node] = {}
        self.remarks: list[Remark] = []

    def document(self) -> Node | None:
        root: Node | None = None
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                if root is not None:
                    raise _UnreadableError(Remark((), _mark(event), "a second document: one file is one configuration"))
                root = self._node(next(self._events), ())
        return root

    def _node(self, event: yaml.Event, path: TreePath) -> Node:
        mark = _mark(event)
        if len(path) > MAX_DEPTH:
            raise _UnreadableError(Remark(path[:3], mark, "nested too deeply"))
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, path)
        if isinstance(event, yaml.NodeEvent) and (tag := getattr(event, "tag", None)) is not None:
            self._check_tag(tag, path, mark)
        node: Node
        if isinstance(event, yaml.ScalarEvent):
            node = self._leaf(event, path)
        elif isinstance(event, yaml.SequenceStartEvent):
            node = self._items(mark, path)
        else:
            node = self._branch(mark, path)
        if node.size > MAX_NODES:
            raise _UnreadableError(Remark(path, mark, "too many values"))
        if anchor := getattr(event, "anchor", None):
            self._anchors[anchor] = node
        return node

    def _alias(self, event: yaml.AliasEvent, path: TreePath) -> Node:
        node = self._anchors.get(event.anchor or "")
        if node is None:
            message = "an alias (*…) of nothing above; text that begins with an asterisk needs quotes"
            raise _UnreadableError(Remark(path, _mark(event), message))
        return node

    def _check_tag(self, tag: str, path: TreePath, mark: Mark) -> None:
        if not _STANDARD_TAG.fullmatch(tag):
            message = "a tag (!…) means nothing here; text that begins with an exclamation mark needs quotes"
            self.remarks.append(Remark(path, mark, message))

    def _leaf(self, event: yaml.ScalarEvent, path: TreePath) -> Leaf:
        mark = _mark(event)
        if event.implicit[0] and event.value in _NULLS:
            return Leaf(mark, None)
        try:
            text, from_environment = interpolate(event.value, self._environment)
            text.encode()
        except InterpolationError as error:
            self.remarks.append(Remark(path, mark, str(error)))
            return Leaf(mark, "", broken=True)
        except UnicodeEncodeError:
            # A variable with bytes that are not UTF-8 comes as lone surrogates.
            self.remarks.append(Remark(path, mark, "not UTF-8 text"))
            return Leaf(mark, "", broken=True)
        return Leaf(mark, text, from_environment)

    def _items(self, mark: Mark, path: TreePath) -> Items:
        node = Items(mark)
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            item = self._node(event, (*path, len(node.items)))
            node.items.append(item)
            node.size += item.size
        return node

    def _branch(self, mark: Mark, path: TreePath) -> Branch:
        node = Branch(mark)
        merged: list[Node] = []
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key, key_mark = self._key(event, path), _mark(event)
            value = self._node(next(self._events), (*path, key))
            if key == "<<" and isinstance(event, yaml.ScalarEvent) and event.implicit[0]:
                merged.append(value)
            elif key in node.entries:
                first = node.key_marks[key].line
                self.remarks.append(Remark((*path, key), key_mark, f"the key is already in line {first}"))
            else:
                node.entries[key], node.key_marks[key] = value, key_mark
                node.size += value.size
        for value in merged:
            self._merge(value, node, path)
        return node

    def _key(self, event: yaml.Event, path: TreePath) -> str:
        if isinstance(event, yaml.ScalarEvent) and event.value.isprintable():
            return str(event.value)
        raise _UnreadableError(Remark(path, _mark(event), "a key must be a plain word"))

    def _merge(self, value: Node, into: Branch, path: TreePath) -> None:
        for source in value.items if isinstance(value, Items) else [value]:
            if not isinstance(source, Branch):
                self.remarks.append(Remark(path, source.mark, "'<<' takes a mapping or a list of mappings"))
                continue
            for key, node in source.entries.items():
                if key not in into.entries:
                    into.entries[key], into.key_marks[key] = node, source.key_marks[key]
                    into.size += node.size
