"""A replica that goes: what it holds is others' at once, and nothing is begun any more."""

from __future__ import annotations

import asyncio

from tests.fakes.members import BEAT_S, NAMES, TTL_S, benched
from watcher.core.facts import StoreFailed


async def test_all_is_given_to_others_at_once() -> None:
    async with benched() as bench:
        one, other = bench.start("a"), bench.start("b")
        await bench.clock.advance(20 * BEAT_S)
        await one.member.hand_over(deadline_s=5.0)
        assert not one.work.running
        assert "a.1" not in bench.holders().values()
        await bench.clock.advance(BEAT_S)
        assert other.work.running.keys() == NAMES
        await one.member.leave()
        assert bench.store.book.living.keys() == {"b.1"}


async def test_very_many_are_given_in_few_commits() -> None:
    async with benched() as bench:
        one = bench.start("a")
        one.work.names = frozenset(f"source/{number}" for number in range(400))
        await bench.clock.advance(20 * BEAT_S)
        assert len(one.work.running) == 400
        await one.member.hand_over(deadline_s=5.0)
        assert sum(map(len, one.line.released)) == 400
        assert len(one.line.released) <= 32
        assert not one.work.running


async def test_receivers_are_kept_where_there_is_nobody_else() -> None:
    async with benched() as bench:
        one = bench.start("a")
        await bench.clock.advance(5 * BEAT_S)
        await one.member.hand_over(deadline_s=5.0)
        assert one.work.running.keys() == {"receiver/chat", "receiver/hooks"}
        await bench.clock.advance(5 * BEAT_S)
        assert one.work.running.keys() == {"receiver/chat", "receiver/hooks"}
        assert one.member.may_act()
        await one.member.leave()
        assert not bench.store.book.living


async def test_receivers_are_kept_where_the_others_go_as_well() -> None:
    async with benched() as bench:
        one, other = bench.start("a"), bench.start("b")
        await bench.clock.advance(20 * BEAT_S)
        await other.member.hand_over(deadline_s=5.0)
        await bench.clock.advance(2 * BEAT_S)
        assert one.work.running.keys() == NAMES
        await one.member.hand_over(deadline_s=5.0)
        assert one.work.running.keys() == {"receiver/chat", "receiver/hooks"}


async def test_what_was_about_to_be_taken_is_not_begun() -> None:
    async with benched() as bench:
        one = bench.start("a")
        await bench.clock.advance(5 * BEAT_S)
        one.work.names |= {"receiver/more"}
        one.line.before["take"] = asyncio.Event()
        one.member.notify()
        await bench.clock.settle()
        handing_over = asyncio.create_task(one.member.hand_over(deadline_s=5.0))
        await bench.clock.settle()
        one.line.before["take"].set()
        await handing_over
        assert bench.holders()["receiver/more"] is None
        assert one.work.running.keys() == {"receiver/chat", "receiver/hooks"}
        bench.assert_true(one)


async def test_what_was_given_away_meanwhile_does_not_keep_the_rest() -> None:
    names = frozenset(f"source/{number}" for number in range(50))
    async with benched() as bench:
        one = bench.start("a")
        one.work.names, one.work.stuck = names, set(names)
        await bench.clock.advance(5 * BEAT_S)
        other = bench.start("b")
        other.work.names = names
        await bench.clock.advance(2 * BEAT_S)  # it is giving some away, which are under way
        handing_over = asyncio.create_task(one.member.hand_over(deadline_s=5.0))
        await bench.clock.settle()
        one.work.ends.set()
        await handing_over
        assert not one.work.running
        await bench.clock.advance(BEAT_S)
        assert other.work.running.keys() == names


async def test_what_is_under_way_for_too_long_is_free_when_it_leaves() -> None:
    async with benched() as bench:
        one, other = bench.start("a"), bench.start("b")
        await bench.clock.advance(20 * BEAT_S)
        one.work.stuck = set(one.work.running)
        await one.member.hand_over(deadline_s=0.01)
        assert list(bench.holders().values()).count("a.1") == 2
        await one.member.leave()
        await bench.kill("a")
        await bench.clock.advance(BEAT_S)
        assert other.work.running.keys() == NAMES


async def test_who_has_left_does_not_join_again() -> None:
    async with benched() as bench:
        one = bench.start("a")
        await bench.clock.advance(5 * BEAT_S)
        await one.member.hand_over(deadline_s=5.0)
        await one.member.leave()
        await bench.clock.advance(5 * BEAT_S)
        assert not bench.store.book.living


async def test_leaving_without_a_store_is_told_and_others_find_out() -> None:
    async with benched() as bench:
        one, other = bench.start("a"), bench.start("b")
        await bench.clock.advance(20 * BEAT_S)
        one.line.is_cut = True
        await one.member.hand_over(deadline_s=5.0)
        await one.member.leave()
        await bench.kill("a")
        assert one.seen(StoreFailed)
        await bench.clock.advance(TTL_S)
        assert other.work.running.keys() == NAMES
