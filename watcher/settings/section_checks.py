"""What must hold within any one section. Asked of the tree, so that it is found even where values are wrong."""

from __future__ import annotations

import ipaddress
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from watcher.settings.findings import Remark
from watcher.settings.messages import did_you_mean
from watcher.settings.model import Settings
from watcher.settings.service import StoreSettings, check_store_url
from watcher.settings.shape import Place, fields_by_key, members, places
from watcher.settings.tree import Leaf, Node, text_at

_TRUE = frozenset({"true", "yes", "on", "1", "y", "t"})
_CREDENTIALS_TRAVEL_TO = ("endpoint", "iam_endpoint")


def remarks(root: Node) -> Iterator[Remark]:
    """What is wrong or doubtful in each section of the tree."""
    for place in places(root, Settings):
        yield from _unknown_keys(place)
        yield from _pairs(place)
        yield from _files(place)
        yield from _insecure(place)


def _unknown_keys(place: Place) -> Iterator[Remark]:
    known = fields_by_key(place.section)
    for key, mark in place.node.key_marks.items():
        if key not in known:
            hint = ", is a space lacking after the colon?" if ":" in key else did_you_mean(key, known)
            yield Remark((*place.path, key), mark, f"unknown key{hint}")


def _pairs(place: Place) -> Iterator[Remark]:
    given = {key for key, value in place.node.entries.items() if not (isinstance(value, Leaf) and value.text is None)}
    for key, message in place.section.pair_problems(given):
        if key:
            yield Remark((*place.path, key), place.node.key_marks[key], message)
        else:
            yield Remark(place.path, place.node.mark, message)


def _files(place: Place) -> Iterator[Remark]:
    for key, field in fields_by_key(place.section).items():
        leaf = place.node.entries.get(key)
        text = text_at(leaf)
        if leaf is None or text is None or Path not in members(field.annotation):
            continue
        problem = _file_problem(Path(text))
        if problem is None and key == "url_file" and issubclass(place.section, StoreSettings):
            problem = _store_problem(Path(text))
        if problem is not None:
            yield Remark((*place.path, key), leaf.mark, problem)


def _file_problem(path: Path) -> str | None:
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else None
        return f"the file cannot be read: {why or 'not a path'}"
    if stat.S_ISDIR(status.st_mode):
        return "the file cannot be read: Is a directory"
    return None if os.access(path, os.R_OK) else "the file cannot be read: Permission denied"


def _store_problem(path: Path) -> str | None:
    try:
        check_store_url(path.read_text(encoding="utf-8").strip())
    except UnicodeDecodeError:
        return "the file is not UTF-8 text"
    except (OSError, ValueError) as error:
        return f"in the file: {error}" if not isinstance(error, OSError) else "the file cannot be read"
    return None


def _insecure(place: Place) -> Iterator[Remark]:
    entries = place.node.entries
    skip = entries.get("insecure_skip_verify")
    if skip is not None and (text_at(skip) or "").lower() in _TRUE:
        message = "certificates are not checked: whoever is on the way can read the credential; prefer ca_file"
        yield Remark((*place.path, "insecure_skip_verify"), skip.mark, message, level="warning")
    for key in _CREDENTIALS_TRAVEL_TO:
        leaf = entries.get(key)
        if leaf is not None and _is_open_http(text_at(leaf)):
            message = "plain http: whoever is on the way can read the credential; use https"
            yield Remark((*place.path, key), leaf.mark, message, level="warning")


def _is_open_http(url: str | None) -> bool:
    if url is None or not url.lower().startswith("http://"):
        return False
    try:
        host = urlsplit(url).hostname or ""
        return host != "localhost" and not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return True
