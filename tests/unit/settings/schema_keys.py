"""The keys a JSON Schema of the configuration knows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def keys(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every key as `sources[].poll.interval`, with what the schema says of it."""
    return _keys(schema, "", schema["$defs"])


def _keys(part: dict[str, Any], path: str, definitions: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    if "$ref" in part:
        yield from _keys(definitions[part["$ref"].rpartition("/")[2]], path, definitions)
    for alternative in (*part.get("anyOf", ()), *part.get("oneOf", ())):
        yield from _keys(alternative, path, definitions)
    if "items" in part:
        yield from _keys(part["items"], f"{path}[]", definitions)
    for name, below in part.get("properties", {}).items():
        key = f"{path}.{name}" if path else name
        yield key, below
        yield from _keys(below, key, definitions)
