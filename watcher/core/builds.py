"""How builds end: BUILT says only that the image task ended; a new image, or the job, says that it went well.

What is known of a build is in the state: `image_before`, the image of before it, with `PERHAPS` in front where nobody
saw it begin, so that the image seen may already be the new one. In BUILT it is there only as long as the build is *in
doubt*: not yet confirmed (`unconfirmed_at`), or held to have failed (the alert `build_failed` fires). `search` says
where the job is to be looked for that tells what happened.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from watcher.core.alerts import BUILD_FAILED, ERROR, is_firing
from watcher.core.model import Event, Instance, InstanceState, Presence, Search, Status
from watcher.core.ports import Explanation
from watcher.core.reasons import CREATE_SERVER_IMAGE, Finding, job_type_for

PERHAPS = "?"
_LOOKED_FOR = timedelta(minutes=10)  # a reason that the cloud has not written down by then will not come
_URGENT_FOR = timedelta(minutes=1)
_OF_A_BUILD = frozenset({Status.CREATING, Status.ACTIVE, Status.BUILDING})


def is_new(state: InstanceState | None) -> bool:
    """Whether nothing is known of the instance's life as it is now."""
    return state is None or state.status is None or state.presence is Presence.DELETED


def is_in_doubt(state: InstanceState) -> bool:
    """Whether its last build ended in BUILT without having been confirmed."""
    return state.unconfirmed_at is not None or is_firing(BUILD_FAILED, state.alerts)


def is_rebuilt(before: InstanceState, instance: Instance) -> bool:
    """Whether a build must have come and gone between two sights of BUILT."""
    if not before.status == Status.BUILT == instance.status or before.image_id == instance.image_id:
        return False
    # An image id that only now appears belongs to the build already told, and so does one that was waited for, unless
    # that build is known to have failed.
    is_awaited = is_in_doubt(before) and before.reason is None
    return bool(before.image_id and instance.image_id) and not is_awaited


def is_sought(state: InstanceState, *, now: datetime) -> bool:
    """Whether its job is to be looked for again, because what became of the instance is not yet known."""
    search = state.search
    if search is None or state.presence is not Presence.PRESENT or state.status not in (Status.ERROR, Status.BUILT):
        return False
    return state.unconfirmed_at is not None if search.until is None else now < search.until


def is_urgent(state: InstanceState, *, now: datetime) -> bool:
    """Whether it is to be looked at more often for that: while nobody was told, and for a minute after."""
    search = state.search
    is_recent = search is not None and (search.until is None or now < search.until - _LOOKED_FOR + _URGENT_FOR)
    return is_recent and is_sought(state, now=now)


def image_known_before(state: InstanceState | None) -> str | None:
    """The image that a job of before the build made; None: not known."""
    image_before = state.image_before if state is not None else None
    return None if image_before is None or image_before.startswith(PERHAPS) else image_before


def search_for(state: InstanceState | None, instance: Instance, *, now: datetime) -> Search | None:
    """Where to look for the job that tells what became of the instance seen like this; None: there is no need."""
    if state is None or is_new(state):
        is_failed = instance.status == Status.ERROR
        return Search(job_type=job_type_for(None), since=now) if is_failed else None
    if instance.status == Status.ERROR and state.status != Status.ERROR:
        return Search(job_type=job_type_for(state), since=state.since)
    if instance.status == Status.BUILT and state.status != Status.BUILT and not is_in_doubt(state):
        is_doubtful = state.image_before is not None and not _is_confirmed(state, instance)
        return Search(job_type=CREATE_SERVER_IMAGE, since=state.since) if is_doubtful else None
    if instance.status == Status.BUILT and (not is_in_doubt(state) or _is_confirmed(state, instance)):
        return None
    return state.search if instance.status == state.status and is_sought(state, now=now) else None


def enter(before: InstanceState, seen: InstanceState, status: str, *, finding: Finding, now: datetime) -> InstanceState:
    """`seen` with what is known of its build and of its failure, now that its status is another one."""
    if status == Status.NULL and not is_new(before):
        return seen  # "not set" says nothing
    clean = replace(seen, image_before=None, unconfirmed_at=None, reason=None, search=None)
    if status == Status.ERROR:
        return _enter_error(before, clean, finding=finding)
    if status in _OF_A_BUILD:
        return replace(clean, image_before=_baseline(before, seen, status))
    if status == Status.BUILT:
        return _enter_built(before, seen, clean, finding=finding, now=now)
    is_under_way = before.image_before is not None and not is_new(before) and not is_in_doubt(before)
    return replace(clean, image_before=before.image_before) if is_under_way and status != Status.DELETING else clean


def weigh(before: InstanceState, seen: InstanceState, finding: Finding) -> InstanceState:
    """`seen`, in the same status as before, with what the finding or a new image says of what was not yet known."""
    if seen.status == Status.ERROR and seen.search is not None and seen.reason is None and finding.reason is not None:
        return replace(seen, reason=finding.reason, search=None)
    if seen.status != Status.BUILT or not is_in_doubt(before):
        return seen
    if _has_new_image(before.image_before, seen.image_id) or finding.succeeded:
        return replace(seen, image_before=None, unconfirmed_at=None, reason=None, search=None)
    if seen.reason is None and finding.reason is not None:
        return replace(seen, unconfirmed_at=None, reason=finding.reason, search=None)
    return seen


def left_out(state: InstanceState) -> InstanceState:
    """The state of an instance that is not there: with what explains its status, but for a build that failed.

    "Not set" is no status that would be explained: what went on through it is over now.
    """
    has_status = state.presence is Presence.MISSING and state.status != Status.NULL
    if has_status and not is_firing(BUILD_FAILED, state.alerts):
        return state
    return replace(state, image_before=None, unconfirmed_at=None, reason=None, search=None)


def unexplained(state: InstanceState, event: Event) -> InstanceState:
    """The state after an event that tells of a failure: without a reason, that is looked for some time longer."""
    if state.search is None or state.reason is not None:
        return state
    search = replace(state.search, event_id=event.id, until=event.observed_at + _LOOKED_FOR)
    return replace(state, unconfirmed_at=None, search=search)


def explanation(before: InstanceState | None, after: InstanceState, receivers: tuple[str, ...]) -> Explanation | None:
    """What is to be added to an event that was told without a reason, when there is one now."""
    event_id = before.search.event_id if before is not None and before.search is not None else None
    if before is None or event_id is None or before.reason is not None or after.reason is None:
        return None
    if (after.status, after.since, after.presence) != (before.status, before.since, before.presence):
        return None  # the reason is that of something else
    return Explanation(event_id=event_id, reason=after.reason, receivers=receivers)


def _enter_error(before: InstanceState, clean: InstanceState, *, finding: Finding) -> InstanceState:
    if is_new(before):
        return replace(clean, reason=finding.reason)  # it failed some time ago: what is not there now will not come
    if finding.reason is None and before.status == Status.NULL and is_firing(ERROR, before.alerts):
        return replace(clean, reason=before.reason, search=before.search)  # it goes on
    search = Search(job_type=job_type_for(before), since=before.since)
    return replace(clean, reason=finding.reason, search=search if finding.reason is None else None)


def _enter_built(
    before: InstanceState, seen: InstanceState, clean: InstanceState, *, finding: Finding, now: datetime
) -> InstanceState:
    if is_new(before) or before.status == Status.BUILT or before.image_before is None:
        return clean  # no build ended here, or it is one that was passed unseen and brought an image
    if is_in_doubt(before):
        return weigh(before, replace(seen, status=Status.BUILT), finding)  # it goes on after a NULL
    if finding.reason is not None and not _is_confirmed(before, seen):
        return replace(clean, image_before=seen.image_id or _known(before.image_before), reason=finding.reason)
    if finding.succeeded or _has_new_image(before.image_before, seen.image_id):
        return clean
    search = Search(job_type=CREATE_SERVER_IMAGE, since=before.since)
    return replace(clean, image_before=_known(before.image_before), unconfirmed_at=now, search=search)


def _baseline(before: InstanceState, seen: InstanceState, status: str) -> str:
    """The image of before the build that is under way."""
    is_under_way = not is_new(before) and before.status != Status.BUILT and not is_in_doubt(before)
    if is_under_way and before.image_before is not None:
        return before.image_before
    known = "" if is_new(before) else before.image_id or _known(before.image_before)
    if status != Status.BUILDING:
        return seen.image_id or known  # nothing is being built yet: what is shown is of before
    # An image that came with BUILDING may be that of the build before, or already that of this one.
    return PERHAPS + seen.image_id if seen.image_id not in ("", known) else known


def _is_confirmed(before: InstanceState, seen: Instance | InstanceState) -> bool:
    """Whether the image is new beyond doubt."""
    return bool(seen.image_id) and seen.image_id != _known(before.image_before)


def _has_new_image(image_before: str | None, image_id: str) -> bool:
    """Whether the image is new, or may be."""
    return bool(image_id) and image_id != image_before


def _known(image_before: str | None) -> str:
    return (image_before or "").removeprefix(PERHAPS)
