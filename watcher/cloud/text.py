"""Foreign text made fit for one line of an error or a log."""

from __future__ import annotations

from collections.abc import Iterable

LIMIT = 200
_SCAN = 4 * LIMIT
_SHORTEST_SECRET = 4


def one_line(text: str, *, limit: int = LIMIT) -> str:
    """The text without control characters or runs of white space, cut to `limit` characters."""
    text = text[:_SCAN]  # a hostile answer may be megabytes long
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def redact(text: str, secrets: Iterable[str]) -> str:
    """The text with every secret replaced: a cloud or a proxy may echo what it was sent."""
    for secret in secrets:
        if len(secret) >= _SHORTEST_SECRET:  # shorter ones would blot out ordinary words
            text = text.replace(secret, "***")
    return text
