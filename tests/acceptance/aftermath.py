"""What must hold when replicas were disturbed, and how long it took others to take over."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from tests.acceptance.books import Tenure, Write
from tests.acceptance.cast import INTERVAL_S, JITTER, LEASE_TTL_S, Poll
from tests.acceptance.disturbances import LOST, Blow
from tests.acceptance.letters import AT_ONCE, Letter, MoodySink
from tests.acceptance.play import Actor

_LATE_S = 3.0  # what was under way when a lease was lost, since the process could act again

_MACHINE_S = 4.0  # what a machine that does other things, too, may add now and then

Figures = Sequence[float]


@dataclass(frozen=True)
class TakeOver:
    """One lease of one that was lost: how long until it was free, another held it, and (sources) polled it."""

    blow: Blow
    lease: str
    freed_s: float
    held_s: float
    polled_s: float | None


def take_overs(
    blows: Iterable[Blow], tenure: Tenure, polls: Sequence[Poll], instances: dict[str, list[str]]
) -> list[TakeOver]:
    """Of all that the lost ones held. `instances` are those of each source's lease."""
    found: list[TakeOver] = []
    for blow in blows:
        for lease in tenure.held_by(blow.life, blow.began) if blow.kind in LOST else ():
            change = tenure.next(lease, after=blow.began)
            assert change is not None, f"{lease} was taken by nobody after {blow}"
            freed, taken = change
            asked = (
                poll.at
                for poll in polls
                if poll.at >= taken.at and poll.instance_id in instances.get(lease, ()) and poll.life == taken.life
            )
            polled = next(asked, None)
            assert (polled is None) is lease.startswith("receiver/"), f"{lease} was polled by nobody after {blow}"
            found.append(
                TakeOver(
                    blow,
                    lease,
                    (freed.at - blow.began).total_seconds(),
                    (taken.at - blow.began).total_seconds(),
                    (polled - blow.began).total_seconds() if polled is not None else None,
                )
            )
    return found


def in_figures(seconds: Figures) -> str:
    """The least, the middle and the most of them."""
    if not seconds:
        return "none"
    return f"{len(seconds)} of {min(seconds):.2f} / {statistics.median(seconds):.2f} / {max(seconds):.2f} s"


class Excuses:
    """Who was lost, and so left what it had under way to be sent again, or sent it late."""

    def __init__(self, blows: Iterable[Blow], writes: Iterable[Write]) -> None:
        self._blows = [blow for blow in blows if blow.kind in LOST]
        self._records: dict[tuple[str, str, int], list[datetime]] = {}
        for write in writes:
            if write.kind == "record":
                self._records.setdefault((write.lease, write.subject, write.life), []).append(write.at)

    def late(self, letter: Letter) -> Blow | None:
        """The blow that a letter comes so soon after that it was under way then."""
        return self._blow(letter.life, since=letter.at - timedelta(seconds=_LATE_S), until=letter.at)

    def unwritten(self, before: Letter, again: Letter, *, event_id: str, receiver: str) -> Blow | None:
        """The blow because of which the sender of an accepted letter did not write that down."""
        records = self._records.get((f"receiver/{receiver}", event_id, before.life), ())
        if any(before.at <= at <= again.at for at in records):
            return None
        # Also one that was itself under way when its sender was frozen, and came when it went on.
        return self._blow(before.life, since=before.at - timedelta(seconds=_LATE_S), until=again.at)

    def _blow(self, life: int, *, since: datetime, until: datetime) -> Blow | None:
        return next(
            (blow for blow in self._blows if blow.life == life and blow.began <= until and blow.ended >= since), None
        )


def check_again(letters: Iterable[Letter], receiver: str, excuses: Excuses) -> int:
    """What was accepted is told again only when its sender was lost before it wrote that down; how many such."""
    accepted: dict[str, Letter] = {}
    again: dict[Blow, set[str]] = {}
    for letter in letters:
        for event in letter.events:
            before = accepted.get(event["id"])
            if before is not None:
                blow = excuses.unwritten(before, letter, event_id=event["id"], receiver=receiver)
                blow = blow or excuses.late(letter)
                assert blow is not None, f"{before} was accepted, and sent again without need: {letter}"
                again.setdefault(blow, set()).add(before.id)
            if letter.accepted:
                accepted.setdefault(event["id"], letter)
    for blow, ids in again.items():
        assert len(ids) <= 2 * AT_ONCE, f"after {blow} {len(ids)} accepted letters were sent again"
    return sum(map(len, again.values()))


def check_claimed(letters: Iterable[Letter], receiver: str, writes: Iterable[Write], tenure: Tenure) -> int:
    """Nothing is sent but what its sender had claimed, and of what others serve by now only what was under way.

    How many such.
    """
    claims = {(write.life, write.subject): write.at for write in reversed(list(writes)) if write.kind == "claim"}
    late: Counter[tuple[int, datetime]] = Counter()
    for letter in letters:
        for event in letter.events:
            claimed = claims.get((letter.life, event["id"]))
            assert claimed is not None, f"sent without having been claimed: {letter}"
            assert claimed <= letter.at, f"sent before it was claimed at {claimed}: {letter}"
        lost = tenure.lost(f"receiver/{receiver}", letter.life, letter.at)
        if lost is not None:
            late[letter.life, lost] += 1
    assert all(count <= AT_ONCE for count in late.values()), f"sent after others took over: {late}"
    return late.total()


def check_polls(polls: Iterable[Poll], sources: dict[str, list[str]], blows: Sequence[Blow], tenure: Tenure) -> int:
    """A source is polled by its holder; by another only a cycle that was under way when that lost it. How many such."""
    source_of = {instance: f"source/{name}" for name, instances in sources.items() for instance in instances}
    late: Counter[tuple[int, str, datetime]] = Counter()
    for poll in polls:
        source = source_of[poll.instance_id]
        lost = tenure.lost(source, poll.life, poll.at)
        if lost is None:
            continue
        ends = [blow.ended for blow in blows if blow.life == poll.life and blow.began <= lost and blow.kind == "freeze"]
        late_s = (poll.at - max([lost, *ends])).total_seconds()
        assert late_s <= _LATE_S, f"{poll} came {late_s:.1f} s after {source} was lost"
        late[poll.life, poll.instance_id, lost] += 1
    assert all(count <= 1 for count in late.values()), f"polled after others took over: {late.most_common(3)}"
    return late.total()


def check_rate(polls: Iterable[Poll], sources: dict[str, list[str]], actors: Iterable[Actor], tenure: Tenure) -> None:
    """Each instance is asked for as often as by one replica; once more when its source is taken, or it is missing."""
    source_of = {instance: f"source/{name}" for name, instances in sources.items() for instance in instances}
    missing = {actor.id: sum(kind == "missing" for kind, *_ in actor.expected) for actor in actors}
    asked: dict[str, list[datetime]] = {}
    for poll in polls:
        asked.setdefault(poll.instance_id, []).append(poll.at)
    for instance_id, times in asked.items():
        alone = (times[-1] - times[0]).total_seconds() / (INTERVAL_S * (1 - JITTER))
        most = alone + 2 * tenure.takes(source_of[instance_id]) + 3 * missing.get(instance_id, 0) + 3
        assert len(times) <= most, f"{instance_id} was asked for {len(times)} times, not {most:.0f}"


def check_take_overs(found: Collection[TakeOver]) -> None:
    """A lease is held by another within lease_ttl, and its source is polled within one interval more.

    The last beat makes a replica live for 0.8 of lease_ttl. The next beat of another, 0.1 later at most, finds it dead
    and ends its sessions; the one after that, where these had locked its row, buries it. What is free is taken at once,
    and what is taken is polled at once. One by one they may be late by what the machine does besides, but not half of
    them.
    """
    polled_s = {each: each.polled_s for each in found if each.polled_s is not None}
    for each in found:
        assert each.held_s <= LEASE_TTL_S + _MACHINE_S, each
    for each, after_s in polled_s.items():
        assert after_s <= LEASE_TTL_S + INTERVAL_S + _MACHINE_S, each
    assert statistics.median(each.held_s for each in found) <= LEASE_TTL_S
    assert statistics.median(polled_s.values()) <= LEASE_TTL_S + INTERVAL_S


def late_s(actors: Iterable[Actor], sink: MoodySink) -> list[tuple[datetime, float]]:
    """When each change was, and how long until the first arrival of its event."""
    arrived: dict[str, datetime] = {}
    for letter in sink.letters:
        for event in letter.events:
            arrived.setdefault(event["id"], letter.at)
    return [
        (since, (arrived[event_id] - since).total_seconds())
        for actor in actors
        for event_id, since in zip(sink.told[actor.id], actor.since, strict=True)
    ]
