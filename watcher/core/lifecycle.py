"""The life cycle of an image instance: what follows what when all goes well, and what must have been passed unseen.

Source: the vendor's status list; the order is inferred (CREATING→ACTIVE→BUILDING→BUILT→BUILDING …). ERROR and DELETING
can follow any status and lead nowhere that can be foretold, so nothing is inferred through them.
"""

from __future__ import annotations

from watcher.core.model import Status

_NEXT: dict[str, str] = {
    Status.CREATING: Status.ACTIVE,
    Status.ACTIVE: Status.BUILDING,
    Status.BUILDING: Status.BUILT,
    Status.BUILT: Status.BUILDING,
}
_CHANGING = frozenset({Status.CREATING, Status.BUILDING, Status.DELETING})


def is_changing(status: str | None) -> bool:
    """Whether an instance in this status is on its way to another by itself."""
    return status in _CHANGING


def follows(from_status: str | None, to_status: str | None) -> bool:
    """Whether the second is what comes right after the first when all goes well; after DELETING, nothing does."""
    return _NEXT.get(from_status or "") == to_status if to_status else from_status == Status.DELETING


def passed_unseen(from_status: str, to_status: str) -> tuple[str, ...]:
    """The statuses between two observations that must have been passed, in order; empty when none or not known.

    From a status to itself (BUILT→BUILT with a new image) this is one whole turn.
    """
    passed: list[str] = []
    status = _NEXT.get(from_status)
    while status is not None and status != to_status:
        if status in passed:
            return ()
        passed.append(status)
        status = _NEXT.get(status)
    return tuple(str(word) for word in passed) if status is not None else ()
