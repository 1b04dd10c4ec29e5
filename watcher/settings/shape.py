"""The configuration's models laid beside a tree: which section a mapping is, which key a pydantic error means."""

from __future__ import annotations

import types
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from watcher.fields import Section
from watcher.settings.findings import Mark, TreePath
from watcher.settings.tree import Branch, Items, Node, find, text_at

KEY_STEP = "[key]"
"""What pydantic appends to a location to say that it means the key, not the value."""


@dataclass(frozen=True, slots=True)
class Place:
    """A mapping of the tree and the section it is."""

    path: TreePath
    node: Branch
    section: type[Section]


@dataclass(frozen=True, slots=True)
class Spot:
    """What an error is about: the deepest node there is on the way to it."""

    path: TreePath
    mark: Mark
    node: Node


def fields_by_key(section: type[Section]) -> dict[str, FieldInfo]:
    """The fields of a section by the key they have in the file."""
    return {field.alias or name: field for name, field in section.model_fields.items()}


def members(annotation: Any) -> list[Any]:
    """The types an annotation allows, without None and without pydantic's metadata."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return members(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        return [member for part in get_args(annotation) for member in members(part)]
    return [] if annotation in (None, types.NoneType) else [annotation]


def sections(annotation: Any) -> list[type[Section]]:
    """The sections an annotation allows."""
    return [member for member in members(annotation) if isinstance(member, type) and issubclass(member, Section)]


def tags(section: type[Section]) -> dict[str, tuple[str, ...]]:
    """The keys that tell this section from its like (`type`, `method`), and their values."""
    return {
        key: tuple(map(str, get_args(field.annotation)))
        for key, field in fields_by_key(section).items()
        if get_origin(field.annotation) is Literal and len(get_args(field.annotation)) == 1
    }


def choose(annotation: Any, node: Node) -> type[Section] | None:
    """The one section of an annotation that a mapping is; None when its tag does not say."""
    allowed = sections(annotation)
    if len(allowed) == 1:
        return allowed[0]
    for section in allowed:
        if any(text_at(node, key) in values for key, values in tags(section).items()):
            return section
    return None


def _item(annotation: Any) -> Any:
    """The type of a list's items; the annotation itself when it is no list."""
    for member in members(annotation):
        if get_origin(member) in (tuple, list):
            return get_args(member)[0]
    return annotation


def places(node: Node, annotation: Any, path: TreePath = ()) -> Iterator[Place]:
    """Every mapping of the tree that is a section; unknown keys are not looked into."""
    if isinstance(node, Items):
        for index, item in enumerate(node.items):
            yield from places(item, _item(annotation), (*path, index))
    elif isinstance(node, Branch) and (section := choose(annotation, node)) is not None:
        yield Place(path, node, section)
        fields = fields_by_key(section)
        for key, value in node.entries.items():
            if key in fields:
                yield from places(value, fields[key].annotation, (*path, key))


def locate(root: Node, location: tuple[str | int, ...], annotation: Any) -> Spot:
    """Where pydantic's `loc` is in the tree; steps that the file does not have are left out.

    Such steps are a union's tag, a key that is lacking, and the index into a list written as its only item.
    """
    path: TreePath = ()
    node, mark = root, root.mark
    for step in location:
        if len(allowed := sections(annotation)) > 1:
            annotation = next((one for one in allowed if any(step in values for values in tags(one).values())), None)
            continue
        key_mark = node.key_marks.get(str(step)) if isinstance(node, Branch) else None
        child = find(node, step)
        if child is not None:
            path, node, mark = (*path, step), child, child.mark
        if location[-1] == KEY_STEP and key_mark is not None:
            mark = key_mark
        annotation = _below(annotation, step)
    return Spot(path, mark, node)


def _below(annotation: Any, step: str | int) -> Any:
    if isinstance(step, int):
        return _item(annotation)
    section = next(iter(sections(annotation)), None)
    field = fields_by_key(section).get(step) if section is not None else None
    return field.annotation if field is not None else None
