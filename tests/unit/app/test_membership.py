"""One replica among others on fake time: it holds what the store says, and acts for no longer than it lives."""

from __future__ import annotations

import asyncio

from tests.fakes.members import BEAT_S, LASTS_S, NAMES, TTL_S, benched
from watcher.core.facts import (
    LeasesGiven,
    LeasesLost,
    LeasesTaken,
    ReplicaJoined,
    ReplicasLost,
    StoreFailed,
    StoreRecovered,
)


async def test_one_alone_takes_everything_and_says_so() -> None:
    async with benched() as bench:
        one = bench.start("a")
        assert not one.member.settled
        assert not one.member.may_act()
        await bench.clock.advance(BEAT_S)
        assert one.member.settled
        assert one.member.may_act()
        assert one.work.running.keys() == NAMES
        assert one.work.changes
        bench.assert_true(one)
        assert [fact.replica_id for fact in one.seen(ReplicaJoined)] == ["a.1"]
        assert sorted(name for fact in one.seen(LeasesTaken) for name in fact.leases) == sorted(NAMES)
        assert one.member.roster().held_by("a.1") == sorted(NAMES)


async def test_two_share_evenly() -> None:
    async with benched() as bench:
        one = bench.start("a")
        await bench.clock.advance(BEAT_S)
        other = bench.start("b")
        await bench.clock.advance(20 * BEAT_S)
        assert len(one.work.running) == len(other.work.running) == 2
        assert one.work.running.keys() | other.work.running.keys() == NAMES
        bench.assert_true(one, other)
        assert sum(len(fact.leases) for fact in one.seen(LeasesGiven)) == 2


async def test_who_dies_is_taken_over_and_whoever_takes_over_says_who_is_gone() -> None:
    async with benched() as bench:
        one, other = bench.start("a"), bench.start("b")
        await bench.clock.advance(20 * BEAT_S)
        await bench.kill("a")
        await bench.clock.advance(LASTS_S - BEAT_S)
        assert len(other.work.running) == 2
        await bench.clock.advance(TTL_S - LASTS_S + BEAT_S)
        assert other.work.running.keys() == NAMES
        assert [fact.names for fact in other.seen(ReplicasLost)] == [["a"]]
        bench.assert_true(other)
        assert len(one.work.running) == 2  # nobody told the dead


async def test_it_stops_acting_before_others_may_take_over_and_drops_all_when_it_hears_of_it() -> None:
    async with benched() as bench:
        one, other = bench.start("a"), bench.start("b")
        await bench.clock.advance(20 * BEAT_S)
        one.line.is_cut = True
        acted_until_s = taken_over_s = None
        for _ in range(round(3 * TTL_S / 0.1)):
            await bench.clock.advance(0.1)
            if not one.member.may_act() and acted_until_s is None:
                acted_until_s = bench.clock.monotonic()
            if "a.1" not in bench.store.book.living:
                taken_over_s = bench.clock.monotonic()
                break
        assert acted_until_s is not None
        assert taken_over_s is not None
        assert acted_until_s <= taken_over_s
        assert one.work.running  # it does not know
        assert one.seen(StoreFailed)[0].first
        await bench.clock.advance(BEAT_S)
        assert other.work.running.keys() == NAMES
        one.line.is_cut = False
        held = sorted(one.work.running)
        await bench.clock.advance(2 * BEAT_S)
        assert one.work.dropped == 1
        assert [fact.leases for fact in one.seen(LeasesLost)] == [held]
        assert one.member.replica_id == "a.2"
        assert [fact.replica_id for fact in one.seen(ReplicaJoined)] == ["a.1", "a.2"]
        await bench.clock.advance(20 * BEAT_S)
        assert one.member.may_act()
        assert len(one.work.running) == 2
        bench.assert_true(one, other)


async def test_a_short_cut_changes_nothing() -> None:
    async with benched() as bench:
        one, other = bench.start("a"), bench.start("b")
        await bench.clock.advance(20 * BEAT_S)
        before = dict(one.work.running)
        one.line.is_cut = True
        await bench.clock.advance(LASTS_S - 2 * BEAT_S)
        assert one.member.may_act()
        one.line.is_cut = False
        await bench.clock.advance(5 * BEAT_S)
        assert one.work.running == before
        assert one.member.replica_id == "a.1"
        assert one.seen(StoreRecovered)
        bench.assert_true(one, other)


async def test_time_is_counted_from_before_the_beat_was_sent() -> None:
    async with benched() as bench:
        one = bench.start("a")
        await bench.clock.advance(5 * BEAT_S)
        one.line.takes_s["beat"] = 2.0
        await bench.clock.advance(3.5 * BEAT_S)
        one.line.is_cut = True
        living = bench.store.book.living["a.1"]
        for _ in range(round(3 * TTL_S / 0.1)):
            if not one.member.may_act():
                break
            await bench.clock.advance(0.1)
        assert bench.clock.monotonic() <= living.expires_s + 0.1


async def test_a_store_that_does_not_answer_is_as_one_that_fails() -> None:
    async with benched() as bench:
        one = bench.start("a", ttl_s=0.1)  # the time limit of a call is the loop's own
        one.line.takes_s["beat"] = 1000.0
        async with asyncio.timeout(60):
            while not one.seen(StoreFailed):
                await bench.clock.settle()
        assert "does not answer" in str(one.seen(StoreFailed)[0].error)


async def test_what_was_taken_though_the_answer_was_lost_is_found_at_the_next_look() -> None:
    async with benched() as bench:
        one = bench.start("a")
        one.line.loses = {"take"}
        await bench.clock.advance(5 * BEAT_S)
        assert one.work.running.keys() == NAMES
        assert one.seen(StoreFailed)
        bench.assert_true(one)


async def test_what_others_hold_by_now_is_ended() -> None:
    async with benched() as bench:
        one = bench.start("a")
        await bench.clock.advance(5 * BEAT_S)
        [lost] = [lease for name, lease in one.work.running.items() if name == "source/prod"]
        await bench.store.release([lost])
        await bench.store.join(bench.store.book.living["a.1"].replica, lasts_s=1000)
        bench.store.book.leases["source/prod"].holder = "somebody"
        await bench.clock.advance(2 * BEAT_S)
        assert one.work.running.keys() == NAMES - {"source/prod"}
        assert one.member.lease("source/prod") is None


async def test_a_roster_of_before_a_move_is_not_believed() -> None:
    """A look may be under way while leases are taken: what it saw then says nothing of them."""
    async with benched() as bench:
        one = bench.start("a")
        one.line.takes_s["beat"] = 0.5  # so that takes fall between a look and its answer
        await bench.clock.advance(20 * BEAT_S)
        assert one.work.running.keys() == NAMES
        assert not one.seen(LeasesGiven)
        assert [lease.token for lease in one.work.running.values()] == [1] * len(NAMES)
        assert one.work.changes == len(one.seen(LeasesTaken))


async def test_what_cannot_be_begun_is_free_for_others() -> None:
    async with benched() as bench:
        one = bench.start("a")
        one.work.unstartable = {"source/prod"}
        await bench.clock.advance(5 * BEAT_S)
        assert one.work.running.keys() == NAMES - {"source/prod"}
        assert one.seen(StoreFailed)
        other = bench.start("b")
        await bench.clock.advance(10 * BEAT_S)
        assert "source/prod" in other.work.running
        bench.assert_true(other)
        one.work.unstartable.clear()
        await bench.clock.advance(20 * BEAT_S)
        bench.assert_true(one, other)
        assert one.work.running.keys() | other.work.running.keys() == NAMES


async def test_nor_is_one_that_was_looked_at_in_the_very_instant_of_the_move() -> None:
    async with benched() as bench:
        one = bench.start("a")
        await bench.clock.advance(5 * BEAT_S)
        one.work.names |= {"source/more"}
        one.line.before["take"] = asyncio.Event()
        one.member.notify()
        await bench.clock.settle()
        one.line.after["beat"] = asyncio.Event()
        one.member.notify()
        await bench.clock.settle()  # it has looked, and the answer is on its way
        one.line.before["take"].set()
        await bench.clock.settle()
        assert one.work.running.keys() == one.work.names
        one.line.after["beat"].set()
        await bench.clock.settle()
        assert one.work.running.keys() == one.work.names
        assert len(one.work.begun) == len(one.work.names)
        bench.assert_true(one)


async def test_what_was_left_to_others_that_do_not_take_it_is_taken_after_a_while() -> None:
    async with benched() as bench:
        one, other = bench.start("a"), bench.start("b")
        other.line.fails = {"take"}
        await bench.clock.advance(2 * BEAT_S)
        assert len(one.work.running) == 2
        begun = len(one.work.begun)
        await bench.clock.advance(4 * BEAT_S)
        assert len(one.work.begun) >= begun + 2


async def test_what_cannot_be_begun_is_not_tried_all_the_time() -> None:
    async with benched() as bench:
        one = bench.start("a")
        one.work.unstartable = {"source/prod"}
        bench.store.book.on_signal = lambda _: one.member.notify()
        await bench.clock.advance(10 * BEAT_S)
        assert bench.store.book.leases["source/prod"].token <= 4
        one.work.unstartable.clear()
        await bench.clock.advance(4 * BEAT_S)
        assert one.work.running.keys() == NAMES


async def test_what_was_seen_and_cannot_be_written_is_not_given_away() -> None:
    async with benched() as bench:
        one = bench.start("a")
        await bench.clock.advance(5 * BEAT_S)
        one.work.unwritable = {"source/prod", "source/test"}
        other = bench.start("b")
        await bench.clock.advance(10 * BEAT_S)
        assert {"source/prod", "source/test"} <= one.work.running.keys()
        bench.assert_true(one, other)
        one.work.unwritable.clear()
        await bench.clock.advance(10 * BEAT_S)
        assert len(one.work.running) == len(other.work.running) == 2


async def test_what_was_ended_is_not_begun_again_by_the_same_token_when_it_could_not_be_given_away() -> None:
    async with benched() as bench:
        one = bench.start("a")
        await bench.clock.advance(5 * BEAT_S)
        one.line.fails = {"release"}
        other = bench.start("b")
        await bench.clock.advance(5 * BEAT_S)
        assert one.seen(StoreFailed)
        assert len(one.work.begun) == len(NAMES)
        one.line.fails.clear()
        await bench.clock.advance(10 * BEAT_S)
        assert len(one.work.running) == len(other.work.running) == 2
        assert len(one.work.begun) == len(NAMES)
        bench.assert_true(one, other)


async def test_what_is_under_way_ends_before_it_is_given_away() -> None:
    async with benched() as bench:
        one = bench.start("a")
        await bench.clock.advance(5 * BEAT_S)
        one.work.stuck = {"source/prod"}
        other = bench.start("b")
        await bench.clock.advance(10 * BEAT_S)
        assert bench.holders()["source/prod"] == "a.1"
        assert "source/prod" not in other.work.running
        one.work.ends.set()
        await bench.clock.advance(10 * BEAT_S)
        assert len(other.work.running) == 2
        bench.assert_true(one, other)


class TestOutages:
    """The store is away for all."""

    async def test_nobody_is_buried_who_had_no_chance_to_be_heard_of(self) -> None:
        async with benched() as bench:
            one, other = bench.start("a"), bench.start("b")
            await bench.clock.advance(20 * BEAT_S)
            before = dict(bench.holders())
            one.line.is_cut = other.line.is_cut = True
            await bench.clock.advance(5 * TTL_S)
            assert not one.member.may_act()
            one.line.is_cut = False
            await bench.clock.advance(5 * BEAT_S)
            other.line.is_cut = False
            await bench.clock.advance(5 * BEAT_S)
            assert bench.holders() == before
            assert one.member.may_act()
            assert other.member.may_act()
            bench.assert_true(one, other)

    async def test_but_it_is_when_it_stays_away(self) -> None:
        async with benched() as bench:
            one, other = bench.start("a"), bench.start("b")
            await bench.clock.advance(20 * BEAT_S)
            one.line.is_cut = other.line.is_cut = True
            await bench.clock.advance(5 * TTL_S)
            one.line.is_cut = False
            await bench.clock.advance(LASTS_S + 5 * BEAT_S)
            assert one.work.running.keys() == NAMES


async def test_what_nobody_holds_for_long_is_neglected() -> None:
    async with benched() as bench:
        one = bench.start("a")
        await bench.clock.advance(5 * BEAT_S)
        assert one.member.neglected() == []
        one.work.names |= {"source/more"}
        one.work.unstartable = {"source/more"}
        await bench.clock.advance(LASTS_S)
        assert one.member.neglected() == []
        await bench.clock.advance(2 * LASTS_S)
        assert one.member.neglected() == ["source/more"]
        one.work.unstartable.clear()
        await bench.clock.advance(2 * BEAT_S)
        assert one.member.neglected() == []


async def test_what_is_newly_configured_is_taken_when_told() -> None:
    async with benched() as bench:
        one = bench.start("a")
        await bench.clock.advance(5 * BEAT_S)
        one.work.names = NAMES - {"source/prod"} | {"source/more"}
        one.member.notify()
        await bench.clock.settle(500)
        assert one.work.running.keys() == one.work.names
        bench.assert_true(one)
