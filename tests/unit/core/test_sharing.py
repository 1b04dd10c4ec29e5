"""Replicas that share leases by what each sees of the roster: whoever comes and goes, in whatever order they act."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes.values import START
from watcher.core.sharing import RECEIVER, SOURCE, Moves, Replica, Roster, Wish, kind_of, lease_name, moves, subject_of

_OVERDUE_ROUNDS = 3
_ROUNDS_AT_MOST = 200


def leases(sources: int, receivers: int = 0) -> frozenset[str]:
    """So many of each kind."""
    names = [(SOURCE, sources), (RECEIVER, receivers)]
    return frozenset(lease_name(kind, f"n{place}") for kind, count in names for place in range(count))


class Cluster:
    """Replicas, what the store says who holds, and how often what was given away or taken."""

    def __init__(self, configured: Mapping[str, frozenset[str]], holders: Mapping[str, str] | None = None) -> None:
        self.replicas = {key: _replica(key, names) for key, names in configured.items()}
        self.holders = dict(holders or {})
        self.free_for: Counter[str] = Counter()
        self.taken: list[tuple[str, str]] = []
        self.given: list[tuple[str, str]] = []

    @property
    def roster(self) -> Roster:
        """What everybody is told at this moment."""
        return Roster(replicas=list(self.replicas.values()), holders=dict(self.holders))

    def join(self, key: str, names: frozenset[str]) -> None:
        """One more."""
        self.replicas[key] = _replica(key, names)

    def drain(self, key: str) -> None:
        """This one is to go."""
        self.replicas[key] = replace(self.replicas[key], is_draining=True)

    def die(self, key: str) -> None:
        """This one is gone, and holds nothing."""
        del self.replicas[key]
        self.holders = {lease: holder for lease, holder in self.holders.items() if holder != key}

    def act(self, key: str, seen: Roster) -> bool:
        """A replica does what follows from the roster it has seen; whether that was anything."""
        plan = moves(seen, key, overdue=[name for name, rounds in self.free_for.items() if rounds > _OVERDUE_ROUNDS])
        for lease in plan.give:
            assert seen.holders[lease] == key, "what is not its own is not its to give"
            assert self.holders.pop(lease) == key
            self.given.append((key, lease))
        for wish in plan.take:
            assert not seen.holders.keys() & set(wish.names), "what is held is not asked for"
            assert set(wish.names) <= self.replicas[key].configured, "nor what it does not know"
            for lease in [name for name in wish.names if name not in self.holders][: wish.most]:
                self.holders[lease] = key
                self.taken.append((key, lease))
        return bool(plan.give or plan.take)

    def __repr__(self) -> str:
        return f"given {self.given}, taken {self.taken}, held {self.holders}"

    def round(self, rng: random.Random, *, stale: float = 0.5) -> bool:
        """All act in some order, some by what they saw before the others acted; whether anybody did anything."""
        order, before, acted = rng.sample(sorted(self.replicas), len(self.replicas)), self.roster, False
        for key in order:
            acted |= self.act(key, before if rng.random() < stale else self.roster)
        free = self.roster.configured - self.holders.keys()
        self.free_for = Counter({lease: self.free_for[lease] + 1 for lease in free})
        return acted

    def settle(self, rng: random.Random, *, stale: float = 0.5) -> None:
        """Rounds until nobody does anything any more; fails when that never comes."""
        quiet_for = 0
        for _ in range(_ROUNDS_AT_MOST):
            quiet_for = 0 if self.round(rng, stale=stale) else quiet_for + 1
            if quiet_for > _OVERDUE_ROUNDS + 1:
                return
        pytest.fail(f"they never come to rest: {self.given[-6:]} {self.taken[-6:]}")

    def counts(self, kind: str) -> list[int]:
        """How many of a kind each of those that do not drain holds."""
        active = [key for key, replica in self.replicas.items() if not replica.is_draining]
        return [sum(kind_of(lease) == kind for lease in self.roster.held_by(key)) for key in active]


def _replica(key: str, names: frozenset[str]) -> Replica:
    return Replica(id=key, name=f"host-{key}", version="1", started_at=START, seen_at=START, configured=names)


def _held_somehow(keys: Iterable[str], names: frozenset[str], rng: random.Random) -> dict[str, str]:
    holders = [*keys, None]
    chosen = {lease: rng.choice(holders) for lease in sorted(names)}
    return {lease: holder for lease, holder in chosen.items() if holder is not None}


def _assert_even(cluster: Cluster) -> None:
    assert cluster.holders.keys() == cluster.roster.configured
    for kind in (SOURCE, RECEIVER):
        counts = cluster.counts(kind)
        assert max(counts) - min(counts) <= 1, counts


KEYS = st.integers(1, 6).map(lambda count: list("abcdef"[:count]))
NAMES = st.builds(leases, st.integers(0, 70), st.integers(0, 7))
RNGS = st.integers(0, 2**32).map(random.Random)


@settings(deadline=None)
@given(KEYS, NAMES, RNGS)
def test_whatever_the_beginning_all_is_held_and_shared_evenly(
    keys: Sequence[str], names: frozenset[str], rng: random.Random
) -> None:
    cluster = Cluster(dict.fromkeys(keys, names), _held_somehow(keys, names, rng))
    cluster.settle(rng)
    _assert_even(cluster)


@settings(deadline=None)
@given(KEYS, NAMES, RNGS)
def test_no_lease_is_passed_back_and_forth(keys: Sequence[str], names: frozenset[str], rng: random.Random) -> None:
    cluster = Cluster(dict.fromkeys(keys, names), _held_somehow(keys, names, rng))
    cluster.settle(rng)
    assert max(Counter(lease for _, lease in cluster.given).values(), default=0) <= 1
    assert max(Counter(lease for _, lease in cluster.taken).values(), default=0) <= 2


@settings(deadline=None)
@given(KEYS, NAMES, RNGS)
def test_one_that_joins_gets_its_share_and_the_others_exchange_nothing(
    keys: Sequence[str], names: frozenset[str], rng: random.Random
) -> None:
    cluster = Cluster(dict.fromkeys(keys, names))
    cluster.settle(rng)
    cluster.given.clear()
    cluster.taken.clear()
    cluster.join("new", names)
    cluster.settle(rng)
    _assert_even(cluster)
    assert {key for key, _ in cluster.taken} <= {"new"}
    assert sorted(lease for _, lease in cluster.given) == sorted(cluster.roster.held_by("new"))


@settings(deadline=None)
@given(KEYS, NAMES, RNGS)
def test_not_all_is_given_at_once(keys: Sequence[str], names: frozenset[str], rng: random.Random) -> None:
    cluster = Cluster(dict.fromkeys(keys, names))
    cluster.settle(rng)
    cluster.join("new", names)
    for key in keys:
        held = cluster.counts(SOURCE)[list(cluster.replicas).index(key)]
        sources = [lease for lease in moves(cluster.roster, key).give if kind_of(lease) == SOURCE]
        assert len(sources) <= max(1, held // 10)


@settings(deadline=None)
@given(KEYS.filter(lambda keys: len(keys) > 1), NAMES, RNGS, st.booleans(), st.sampled_from([0.0, 0.5]))
def test_one_that_goes_moves_only_what_it_held(
    keys: Sequence[str], names: frozenset[str], rng: random.Random, drains: bool, stale: float
) -> None:
    cluster = Cluster(dict.fromkeys(keys, names))
    cluster.settle(rng)
    cluster.given.clear()
    cluster.taken.clear()
    held = cluster.roster.held_by(keys[0])
    if drains:
        cluster.drain(keys[0])
    else:
        cluster.die(keys[0])
    cluster.settle(rng, stale=stale)
    _assert_even(cluster)
    assert not cluster.roster.held_by(keys[0])
    by_others = [lease for key, lease in cluster.given if key != keys[0]]
    # Of what does not go up evenly two may take one each at the same time, when neither sees it of the other.
    assert len(by_others) <= (len(keys) - 2) * 2 * bool(stale), by_others
    assert Counter(lease for _, lease in cluster.taken) == Counter(held) + Counter(by_others)
    assert len(cluster.given) - len(by_others) == (len(held) if drains else 0)


@settings(deadline=None)
@given(st.lists(st.frozensets(st.sampled_from(sorted(leases(9, 3)))), min_size=1, max_size=5), RNGS)
def test_of_different_configurations_each_lease_is_held_by_one_that_names_it(
    configured: Sequence[frozenset[str]], rng: random.Random
) -> None:
    cluster = Cluster({f"r{place}": names for place, names in enumerate(configured)})
    cluster.settle(rng)
    assert cluster.holders.keys() == cluster.roster.configured
    for lease, holder in cluster.holders.items():
        assert lease in cluster.replicas[holder].configured


@settings(deadline=None)
@given(st.data(), RNGS)
def test_whatever_comes_and_goes_in_between_they_come_to_rest(data: st.DataObject, rng: random.Random) -> None:
    names = leases(30, 4)
    cluster = Cluster({"r0": names})
    for place in range(1, data.draw(st.integers(1, 8))):
        what = data.draw(st.sampled_from(["joins", "dies", "drains", "nothing"]))
        active = [key for key, replica in cluster.replicas.items() if not replica.is_draining]
        if what == "joins":
            cluster.join(f"r{place}", names)
        elif what == "dies" and len(active) > 1:
            cluster.die(active[0])
        elif what == "drains" and len(active) > 1:
            cluster.drain(active[-1])
        for _ in range(data.draw(st.integers(0, 3))):
            cluster.round(rng)
    cluster.settle(rng)
    _assert_even(cluster)


def test_one_alone_takes_everything_at_once() -> None:
    names = leases(3, 2)
    plan = moves(Roster(replicas=[_replica("a", names)]), "a")
    # Receivers first: that is soon done.
    assert [(len(wish.names), wish.most) for wish in plan.take] == [(2, 2), (3, 3)]
    assert not plan.give


def test_what_others_lack_is_left_to_them_until_it_is_overdue() -> None:
    names = leases(4)
    replicas = [_replica("a", names), _replica("b", names)]
    held = dict.fromkeys(sorted(names)[:2], "a")
    roster = Roster(replicas=replicas, holders=held)
    assert moves(roster, "a").take == []
    free = sorted(names - held.keys())
    assert moves(roster, "a", overdue=free).take == [Wish(free, 2)]


def test_one_that_is_not_on_the_roster_gives_all() -> None:
    roster = Roster(holders=dict.fromkeys(leases(2), "a"))
    assert moves(roster, "a") == Moves(give=sorted(leases(2)))


def test_what_is_no_longer_configured_is_given_at_once() -> None:
    names = leases(12)
    roster = Roster(replicas=[_replica("a", leases(4))], holders=dict.fromkeys(names, "a"))
    assert sorted(moves(roster, "a").give) == sorted(names - leases(4))


def test_names_of_leases() -> None:
    assert lease_name(RECEIVER, "a/b") == "receiver/a/b"
    assert (kind_of("receiver/a/b"), subject_of("receiver/a/b")) == (RECEIVER, "a/b")
