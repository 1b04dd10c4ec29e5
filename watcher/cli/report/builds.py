"""Which builds there were, and how they ended, as events tell it.

A **build** is an instance's way from CREATING, ACTIVE or BUILDING to an end, as in `core/builds.py`:

* it succeeded when it came to BUILT and nothing said otherwise: the event has no reason (the job's failure), and no
  `build_failed` followed before the next change. A new image that came after all (`recovered`) makes it good again;
* it failed when it came to ERROR, or to BUILT with one of these;
* BUILT → BUILT with a new image is one that was passed unseen;
* one that is under way, or whose instance is gone, counts as neither: nobody saw how it ended.

How long it took is the time in BUILDING: what comes before it is, in ACTIVE, a person's work. It is not known of a
build whose beginning or end nobody saw to within a minute (or a tenth of it, if that is more), nor of one that failed
before BUILDING.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from watcher.cli.history import image_source_of
from watcher.core.alerts import BUILD_FAILED
from watcher.core.model import AlertStatus, Event, EventKind, InstanceKey, Reason, Status
from watcher.core.timers import is_unwatched

_ON_THE_WAY = frozenset({Status.CREATING, Status.ACTIVE, Status.BUILDING})
_UNSEEN_S = 60.0
_FIRST_SEQUENCE = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """A build that ended.

    `duration_s` None: it is not known how long it took. `reason`: why it failed, where that is known.
    """

    key: InstanceKey
    name: str
    image_source: str
    ended_at: datetime
    duration_s: float | None
    succeeded: bool
    reason: Reason | None = None


@dataclass(slots=True)
class _Way:
    """Where an instance is on its way: since when in BUILDING (None: that was not seen), and its last build."""

    is_under_way: bool = False
    began_at: datetime | None = None
    last: int | None = None  # the place of its last build, as long as that may still turn out otherwise


def builds_of(events: Iterable[Event]) -> list[Build]:
    """The builds that ended in these events, of any instances, each's in their order; in the order they ended."""
    ways: dict[InstanceKey, _Way] = {}
    found: list[Build] = []
    for event in events:
        if event.instance_id:
            _take(event, ways.setdefault(event.key, _Way()), found)
    return found


def _take(event: Event, way: _Way, found: list[Build]) -> None:
    if event.kind is EventKind.BUILD_FAILED and way.last is not None:
        found[way.last] = replace(found[way.last], succeeded=False, reason=event.reason)
    elif event.kind is EventKind.RECOVERED and way.last is not None and _ends_build_failed(event):
        found[way.last] = replace(found[way.last], succeeded=True, reason=None)
    elif event.kind is EventKind.TRANSITION and event.to_status != Status.NULL:
        _move(event, way, found)
    elif event.kind in (EventKind.DISCOVERED, EventKind.RECOVERED, EventKind.MISSING, EventKind.DELETED):
        is_there = event.kind in (EventKind.DISCOVERED, EventKind.RECOVERED)
        if event.kind is not EventKind.RECOVERED or event.from_status != event.to_status:
            way.is_under_way = is_there and event.to_status in _ON_THE_WAY
            way.began_at, way.last = None, None


def _move(event: Event, way: _Way, found: list[Build]) -> None:
    to_status = event.to_status
    if to_status == Status.BUILDING:
        is_going_on = event.from_status == Status.NULL and way.is_under_way  # "not set" said nothing
        if not is_going_on:
            way.began_at = event.observed_at if _is_seen(event, None) else None
        way.is_under_way, way.last = True, None
    elif to_status in _ON_THE_WAY:
        way.is_under_way, way.began_at, way.last = True, None, None
    elif to_status in (Status.BUILT, Status.ERROR):
        was_under_way = way.is_under_way or event.from_status in _ON_THE_WAY or Status.BUILDING in event.inferred
        if was_under_way:
            way.last = len(found)
            found.append(_ended(event, way))
        elif event.from_status != Status.NULL:
            way.last = None
        way.is_under_way, way.began_at = False, None
    elif to_status == Status.DELETING:
        way.is_under_way, way.began_at, way.last = False, None, None
    # Any other word is one that the cloud does not document: what is under way goes on, as in core/builds.py.


def _ended(event: Event, way: _Way) -> Build:
    return Build(
        key=event.key,
        name=event.instance_name,
        image_source=image_source_of(event),
        ended_at=event.observed_at,
        duration_s=_duration_s(event, way),
        succeeded=event.to_status == Status.BUILT and event.reason is None,
        reason=event.reason,
    )


def _duration_s(event: Event, way: _Way) -> float | None:
    began_at = way.began_at
    if began_at is None and not way.is_under_way and event.from_status == Status.BUILDING:
        # It began before the first of these events: seen, unless that was how the instance was first seen at all.
        was_seen = event.sequence > _FIRST_SEQUENCE + 1 and event.duration_s is not None
        began_at = event.observed_at - timedelta(seconds=event.duration_s or 0) if was_seen else None
    if began_at is None or not _is_seen(event, began_at):
        return None
    return (event.observed_at - began_at).total_seconds()


def _is_seen(event: Event, began_at: datetime | None) -> bool:
    """Whether it is known well enough when it happened."""
    if event.previous_observed_at is None:
        return True
    lasted_s = (event.observed_at - began_at).total_seconds() if began_at is not None else 0.0
    return (event.observed_at - event.previous_observed_at).total_seconds() <= max(_UNSEEN_S, lasted_s / 10)


def _ends_build_failed(event: Event) -> bool:
    is_over = any(alert.name == BUILD_FAILED and alert.status is AlertStatus.RESOLVED for alert in event.alerts)
    return is_over and event.to_status == Status.BUILT and not is_unwatched(event)
