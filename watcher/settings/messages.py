"""Pydantic's errors in words for an operator. No message has a value of the file in it: it could be a secret."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from pydantic_core import ErrorDetails

from watcher.fields import PAIR_ERROR
from watcher.settings.findings import Remark
from watcher.settings.shape import Spot, locate
from watcher.settings.tree import Items, Leaf, Node, find, text_at

_WORDS = {
    "bool_parsing": "must be true or false",
    "dict_type": "must be a mapping (key: value)",
    "finite_number": "must be a number",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "int_from_float": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must be a smaller number",
    "int_type": "must be a whole number",
    "list_type": "must be a list",
    "model_attributes_type": "must be a mapping (key: value)",
    "model_type": "must be a mapping (key: value)",
    "path_type": "must be a path",
    "string_too_short": "must not be empty",
    "string_type": "must be text",
    "time_delta_type": "must be a duration such as 15s",
    "too_short": "must not be empty",
    "tuple_type": "must be a list",
    "url_parsing": "must be a URL such as https://host/path",
    "url_scheme": "must begin with https:// or http://",
    "url_too_long": "is too long for a URL",
    "url_type": "must be a URL such as https://host/path",
}
_LIMITS = {
    "greater_than": ("gt", "more than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
    "string_too_long": ("max_length", "at most this many characters:"),
    "string_pattern_mismatch": ("pattern", "of the form"),
}
_FOUND_OTHERWISE = frozenset({"extra_forbidden", PAIR_ERROR})
"""The loader finds these in the tree itself, so that they are found even where a value is wrong."""


def did_you_mean(wrong: str | None, known: Iterable[str]) -> str:
    """`, did you mean 'x'?` when one of `known` is close to `wrong`, else ""."""
    close = get_close_matches(wrong, list(known), n=1) if wrong else []
    return f", did you mean '{close[0]}'?" if close else ""


def remark_of(error: ErrorDetails, root: Node, annotation: Any) -> Remark | None:
    """What a pydantic error says about the tree; None when it is told otherwise."""
    spot = locate(root, error["loc"], annotation)
    if error["type"] in _FOUND_OTHERWISE or _follows_from_another(error["type"], spot.node):
        return None
    context: Mapping[str, Any] = error.get("ctx", {})
    if "discriminator" in context:
        return _tag_remark(context, spot)
    if error["type"] == "missing":
        return Remark(spot.path, spot.mark, f"missing required key '{error['loc'][-1]}'")
    return Remark(spot.path, spot.mark, _message(error["type"], context, text_at(spot.node)))


def _follows_from_another(kind: str, node: Node) -> bool:
    if kind == "too_short":
        # Pydantic counts only the items that are good; what the others lack is told at each.
        return isinstance(node, Items) and bool(node.items)
    return isinstance(node, Leaf) and node.broken


def _tag_remark(context: Mapping[str, Any], spot: Spot) -> Remark | None:
    """About the key that tells a section from its like (`type`, `method`)."""
    key = context["discriminator"].strip("'")
    tag = find(spot.node, key)
    if not isinstance(tag, Leaf) or tag.text is None:
        return Remark(spot.path, spot.mark, f"missing required key '{key}'")
    return None if tag.broken else Remark((*spot.path, key), tag.mark, _one_of(context["expected_tags"], tag.text))


def _message(kind: str, context: Mapping[str, Any], text: str | None) -> str:
    if kind == "value_error":
        return str(context["error"])
    if "expected" in context:
        return _one_of(context["expected"], text)
    if kind in _LIMITS:
        name, words = _LIMITS[kind]
        limit = context[name]
        return f"must be {words} {limit:g}" if isinstance(limit, float) else f"must be {words} {limit}"
    return _WORDS.get(kind, "is not valid")


def _one_of(expected: str, text: str | None) -> str:
    """`expected` is pydantic's list of quoted words."""
    words = re.findall(r"'([^']*)'", expected)
    return f"must be one of {', '.join(words)}{did_you_mean(text, words)}"
