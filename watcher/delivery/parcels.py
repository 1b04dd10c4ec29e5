"""The stage that groups: what of all that waits is sent now, by itself or as a digest."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from watcher.core.model import Delivery, InstanceKey
from watcher.core.ports import Waiting

DIGEST_EVENTS = 2000


@dataclass(frozen=True, slots=True)
class Parcel:
    """What is sent at once: one delivery, or those that are to become a digest, or (`digest_id`) one formed before."""

    ids: tuple[int, ...]
    digest_id: str | None = None


def choose(
    waiting: Sequence[Waiting],
    *,
    busy: Collection[InstanceKey],
    room: int,
    is_idle: bool,
    digest_over: int,
    digest_bytes: int | None,
) -> list[Parcel]:
    """What to send now of what waits (oldest first, without what is under way), at most `room` parcels.

    An instance's deliveries go in their order, and wait while one of them is under way (`busy`). When more than
    `digest_over` wait (0: never), they are taken together, as soon as nothing else is under way.
    """
    loose = [each for each in waiting if each.digest_id is None]
    if digest_over and len(loose) > digest_over:
        formed = _formed(waiting, set(busy), room)
        if formed or not is_idle or not room:
            return formed
        new = _new_digest(waiting, digest_bytes)
        if new:
            return new
        # All that is loose is of instances that a digest tells of, which waits in turn for what is older and loose.
    return _in_order(waiting, set(busy), room)


def digest_id_of(deliveries: Iterable[Delivery]) -> str:
    """The id of the digest of these: the same for the same ones, until they are queued anew and may tell less."""
    parts = [f"{delivery.event.id} {delivery.queued_at.isoformat()}" for delivery in deliveries]
    return "dig_" + hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:32]


def _in_order(waiting: Sequence[Waiting], busy: set[InstanceKey], room: int) -> list[Parcel]:
    members = _members(waiting)
    parcels = list[Parcel]()
    for each in waiting:
        if len(parcels) >= room:
            break
        if each.digest_id is None:
            if each.key not in busy:
                parcels.append(Parcel((each.id,)))
        elif (together := members.pop(each.digest_id, None)) is not None:
            keys = {member.key for member in together}
            if not keys & busy:
                parcels.append(Parcel(tuple(member.id for member in together), each.digest_id))
            busy |= keys
        busy.add(each.key)
    return parcels


def _formed(waiting: Sequence[Waiting], busy: set[InstanceKey], room: int) -> list[Parcel]:
    return [parcel for parcel in _in_order(waiting, busy, len(waiting)) if parcel.digest_id is not None][:room]


def _new_digest(waiting: Sequence[Waiting], digest_bytes: int | None) -> list[Parcel]:
    held = {each.key for each in waiting if each.digest_id is not None}
    ids, size = list[int](), 0
    for each in waiting:
        if each.key in held:
            continue
        size += each.size
        if len(ids) >= DIGEST_EVENTS or (ids and digest_bytes is not None and size > digest_bytes):
            break
        ids.append(each.id)
    return [Parcel(tuple(ids))] if ids else []


def _members(waiting: Iterable[Waiting]) -> dict[str, list[Waiting]]:
    members: dict[str, list[Waiting]] = {}
    for each in waiting:
        if each.digest_id is not None:
            members.setdefault(each.digest_id, []).append(each)
    return members
