"""From YAML text to a tree.

Built from the parser's events, not with PyYAML's own composer: that one recurses in C and dies of deep nesting.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from watcher.settings.findings import Mark, Remark, TreePath
from watcher.settings.interpolation import InterpolationError, interpolate
from watcher.settings.tree import Branch, Items, Leaf, Node

MAX_DEPTH = 40
MAX_NODES = 500_000
"""Aliases count as what they stand for, so that they can neither multiply nor deepen without end."""

LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""Both give the same events; the pure-Python one, for machines without libyaml, takes 20 times as long."""
_TOO_DEEP = "nested too deeply"
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_STANDARD_TAG = re.compile(r"(?:tag:yaml\.org,2002:(?:null|bool|int|float|str|timestamp|map|seq)|!)")
_FORBIDDEN = re.compile(r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


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
    if "\t" in (line[mark.column : mark.column + 1], *line[: len(line) - len(line.lstrip())]):
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
            raise _UnreadableError(Remark(path[:3], mark, _TOO_DEEP))
        node = self._alias(event, path) if isinstance(event, yaml.AliasEvent) else self._new_node(event, path, mark)
        if len(path) + node.depth > MAX_DEPTH + 1:
            raise _UnreadableError(Remark(path[:3], mark, _TOO_DEEP))
        if node.size > MAX_NODES:
            raise _UnreadableError(Remark(path, mark, "too many values"))
        return node

    def _new_node(self, event: yaml.Event, path: TreePath, mark: Mark) -> Node:
        if tag := getattr(event, "tag", None):
            self._check_tag(tag, path, mark)
        node: Node
        if isinstance(event, yaml.ScalarEvent):
            node = self._leaf(event, path)
        elif isinstance(event, yaml.SequenceStartEvent):
            node = self._items(mark, path)
        else:
            node = self._branch(mark, path)
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
            node.add(self._node(event, (*path, len(node.items))))
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
                node.add(key, key_mark, value)
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
                    into.add(key, source.key_marks[key], node)
