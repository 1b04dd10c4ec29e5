"""What must hold across sections. Asked of the tree, so that it is found even where values are wrong."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta

from watcher.cloud.regions import REGIONS, service_endpoint
from watcher.core.errors import ConfigurationError
from watcher.core.model import Status
from watcher.fields import parse_duration
from watcher.settings.findings import Remark, TreePath
from watcher.settings.messages import did_you_mean
from watcher.settings.polling import BackoffSettings, PollSettings
from watcher.settings.tree import Branch, Items, Leaf, Node, find


def remarks(root: Node, environment: Mapping[str, str]) -> Iterator[Remark]:
    """What is wrong or doubtful across sections of the tree."""
    for section in ("sources", "receivers", "maintenance"):
        yield from _unique(_below(root, (section,), "name"), "name")
    for source in _indices(root, ("sources",)):
        yield from _instances(root, source)
        yield from _region(root, source, environment)
    yield from _routes(root)
    yield from _matches(root)
    yield from _statuses_to_be_stuck_in(root)
    yield from _sharing(root)
    for scope in (("poll",), *((*source, "poll") for source in _indices(root, ("sources",)))):
        yield from _intervals(root, scope)
        yield from _backoff(root, scope)


def _indices(root: Node, path: TreePath) -> list[TreePath]:
    """The paths of a list's items."""
    node = find(root, *path)
    return [(*path, index) for index in range(len(node.items))] if isinstance(node, Items) else []


def _leaves(root: Node, path: TreePath) -> Iterator[tuple[TreePath, Leaf]]:
    """The scalar at `path`, or the scalars of the list there; without those that cannot be relied on."""
    for one in [path, *_indices(root, path)]:
        node = find(root, *one)
        if isinstance(node, Leaf) and node.text is not None and not node.broken:
            yield one, node


def _below(root: Node, path: TreePath, key: str) -> Iterator[tuple[TreePath, Leaf]]:
    for item in _indices(root, path):
        yield from _leaves(root, (*item, key))


def _unique(leaves: Iterable[tuple[TreePath, Leaf]], what: str) -> Iterator[Remark]:
    first: dict[str | None, int] = {}
    for path, leaf in leaves:
        if leaf.text in first:
            yield Remark(path, leaf.mark, f"the {what} is already in line {first[leaf.text]}")
        else:
            first[leaf.text] = leaf.mark.line


def _region(root: Node, source: TreePath, environment: Mapping[str, str]) -> Iterator[Remark]:
    if find(root, *source, "endpoint") is not None:
        return
    for path, leaf in _leaves(root, (*source, "region")):
        try:
            service_endpoint(leaf.text or "", environment)
        except ConfigurationError:
            yield Remark(path, leaf.mark, f"unknown region{did_you_mean(leaf.text, REGIONS)} (or give 'endpoint')")


def _instances(root: Node, source: TreePath) -> Iterator[Remark]:
    path = (*source, "instances")
    node = find(root, *path)
    if isinstance(node, Items) and not node.items and find(root, *source, "discover") is None:
        yield Remark(path, node.mark, "must not be empty without 'discover'")
    ids = [leaf for item in _indices(root, path) for leaf in (*_leaves(root, item), *_leaves(root, (*item, "id")))]
    yield from _unique(ids, "instance")


def _routes(root: Node) -> Iterator[Remark]:
    receivers = list(_below(root, ("receivers",), "name"))
    names = {leaf.text for _, leaf in receivers}
    # A suggestion is an echo: names that came from the environment are not suggested.
    tellable = [leaf.text for _, leaf in receivers if leaf.text is not None and not leaf.from_environment]
    for route in _indices(root, ("routes",)):
        for path, leaf in _leaves(root, (*route, "receivers")):
            if leaf.text not in names:
                yield Remark(path, leaf.mark, f"no such receiver{did_you_mean(leaf.text, tellable)}")


def _matches(root: Node) -> Iterator[Remark]:
    sources = list(_below(root, ("sources",), "name"))
    names = {leaf.text for _, leaf in sources}
    tellable = [leaf.text for _, leaf in sources if leaf.text is not None and not leaf.from_environment]
    for item in (*_indices(root, ("routes",)), *_indices(root, ("maintenance",))):
        for path, leaf in _leaves(root, (*item, "match", "source")):
            if leaf.text not in names:
                yield Remark(path, leaf.mark, f"no such source{did_you_mean(leaf.text, tellable)}", level="warning")
        for key in ("from", "to"):
            for path, leaf in _leaves(root, (*item, "match", key)):
                yield from _status(path, leaf)


def _statuses_to_be_stuck_in(root: Node) -> Iterator[Remark]:
    path = ("alerts", "stuck", "after")
    node = find(root, *path)
    for key, mark in node.key_marks.items() if isinstance(node, Branch) else ():
        yield from _status((*path, key), Leaf(mark, key))


def _sharing(root: Node) -> Iterator[Remark]:
    """Leases are for replicas, and those share a PostgreSQL."""
    given = root.key_marks.get("cluster") if isinstance(root, Branch) else None
    url = _given(root, ("store", "url"))
    on_sqlite = find(root, "store", "url_file") is None and (url is None or (url[1].text or "").startswith("sqlite:"))
    if given is not None and on_sqlite:
        message = "does nothing with SQLite, which one watcher has to itself: replicas share the work on PostgreSQL"
        yield Remark(("cluster",), given, message, level="notice")


def _status(path: TreePath, word: Leaf) -> Iterator[Remark]:
    statuses = [status.value for status in Status]
    if word.text not in statuses:
        hint = did_you_mean((word.text or "").upper(), statuses)
        yield Remark(path, word.mark, f"not a status the cloud documents{hint}", level="warning")


def _intervals(root: Node, scope: TreePath) -> Iterator[Remark]:
    """`scope` is a `poll`; what it does not give is taken from the top-level one."""
    interval = _duration(root, (*scope, "interval"), ("poll", "interval"), PollSettings().interval)
    steady = _duration(root, (*scope, "steady_interval"), ("poll", "steady_interval"), PollSettings().steady_interval)
    given = _given(root, (*scope, "interval"), (*scope, "steady_interval"))
    if given is not None and interval is not None and steady is not None and interval > steady:
        message = "instances at rest are asked more often than changing ones: interval is above steady_interval"
        yield Remark(given[0], given[1].mark, message, level="warning")


def _backoff(root: Node, scope: TreePath) -> Iterator[Remark]:
    top, here = ("poll", "backoff"), (*scope, "backoff")
    initial = _duration(root, (*here, "initial"), (*top, "initial"), BackoffSettings().initial)
    longest = _duration(root, (*here, "max"), (*top, "max"), BackoffSettings().max)
    given = _given(root, (*here, "initial"), (*here, "max"))
    if given is not None and initial is not None and longest is not None and initial > longest:
        yield Remark(given[0], given[1].mark, "initial is above max")


def _given(root: Node, *paths: TreePath) -> tuple[TreePath, Leaf] | None:
    """The first of the keys that the file gives."""
    return next((found for path in paths for found in _leaves(root, path)), None)


def _duration(root: Node, path: TreePath, otherwise: TreePath, default: timedelta) -> timedelta | None:
    """What is given at `path`, else at `otherwise`, else the default; None when it is no duration."""
    given = _given(root, path, otherwise)
    if given is None:
        return default
    try:
        return parse_duration(given[1].text)
    except ValueError:
        return None
