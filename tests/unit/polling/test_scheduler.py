from __future__ import annotations

import asyncio
from functools import partial

import pytest

from tests.fakes.clock import FakeClock
from watcher.core.clock import SystemClock
from watcher.polling.scheduler import PollScheduler


async def test_cycles_run_again_and_again_and_stop_when_asked() -> None:
    scheduler = PollScheduler(clock=SystemClock())
    counts = {"a": 0, "b": 0}
    enough = asyncio.Event()

    async def cycle(source: str) -> float:
        counts[source] += 1
        if min(counts.values()) >= 3:
            enough.set()
        return 0.0

    for source in counts:
        scheduler.add(source, partial(cycle, source))
    running = asyncio.create_task(scheduler.run())
    await enough.wait()
    await scheduler.stop(deadline_s=1.0)
    await running
    after = dict(counts)
    await asyncio.gather(*(cycle_turn() for _ in range(10)))
    assert counts == after


async def cycle_turn() -> None:
    await asyncio.sleep(0)  # noqa: TID251 - a turn of the loop


async def test_stopped_before_it_began_it_does_not_begin() -> None:
    scheduler = PollScheduler(clock=SystemClock())
    scheduler.add("a", lambda: pytest.fail("a cycle ran"))
    await scheduler.stop(deadline_s=1.0)
    await scheduler.run()


async def test_a_running_cycle_is_let_end() -> None:
    scheduler = PollScheduler(clock=SystemClock())
    begun, release, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def cycle() -> float:
        begun.set()
        await release.wait()
        ended.set()
        return 0.0

    scheduler.add("a", cycle)
    running = asyncio.create_task(scheduler.run())
    await begun.wait()
    stopping = asyncio.create_task(scheduler.stop(deadline_s=60.0))
    await cycle_turn()
    assert not ended.is_set()
    release.set()
    await stopping
    await running
    assert ended.is_set()


async def test_a_cycle_beyond_the_deadline_is_cancelled() -> None:
    scheduler = PollScheduler(clock=SystemClock())
    begun, cancelled = asyncio.Event(), asyncio.Event()

    async def cycle() -> float:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return 0.0

    scheduler.add("a", cycle)
    running = asyncio.create_task(scheduler.run())
    await begun.wait()
    await scheduler.stop(deadline_s=0.01)
    await running
    assert cancelled.is_set()


async def test_a_fault_in_a_cycle_ends_the_run() -> None:
    scheduler = PollScheduler(clock=SystemClock())

    async def cycle() -> float:
        raise ZeroDivisionError

    scheduler.add("a", cycle)
    with pytest.raises(ZeroDivisionError):
        await scheduler.run()


async def test_a_slow_source_does_not_delay_another() -> None:
    scheduler = PollScheduler(clock=SystemClock())
    release, quick = asyncio.Event(), asyncio.Event()

    async def slow() -> float:
        await release.wait()
        return 3600.0

    turns = 0

    async def fast() -> float:
        nonlocal turns
        turns += 1
        if turns == 3:
            quick.set()
        return 0.0

    scheduler.add("slow", slow)
    scheduler.add("fast", fast)
    running = asyncio.create_task(scheduler.run())
    await quick.wait()
    release.set()
    await scheduler.stop(deadline_s=1.0)
    await running


async def test_sources_start_one_after_the_other() -> None:
    clock = SystemClock()
    scheduler = PollScheduler(clock=clock)
    started_s: list[float] = []
    all_started = asyncio.Event()

    async def cycle() -> float:
        started_s.append(clock.monotonic())
        if len(started_s) == 4:
            all_started.set()
        return 3600.0

    for source in "abcd":
        scheduler.add(source, cycle)
    running = asyncio.create_task(scheduler.run())
    await all_started.wait()
    await scheduler.stop(deadline_s=1.0)
    await running
    assert started_s[-1] - started_s[0] > 0.2


async def test_a_source_can_come_change_and_go_while_others_go_on() -> None:
    scheduler, calls, news = PollScheduler(clock=SystemClock()), list[str](), asyncio.Event()
    gate = asyncio.Event()

    async def cycle(name: str) -> float:
        calls.append(name)
        news.set()
        if name == "a":
            await gate.wait()
        return 3600.0

    async def called(name: str) -> None:
        while name not in calls:
            news.clear()
            await news.wait()

    scheduler.add("a", partial(cycle, "a"))
    running = asyncio.create_task(scheduler.run())
    await called("a")
    scheduler.add("b", partial(cycle, "b"))
    await called("b")
    held = asyncio.create_task(scheduler.hold("a"))
    await cycle_turn()
    assert not held.done()
    gate.set()
    await held
    scheduler.add("a", partial(cycle, "a in another way"))
    await called("a in another way")
    await scheduler.hold("b")
    scheduler.remove("b")
    assert calls == ["a", "b", "a in another way"]
    await scheduler.stop(deadline_s=1.0)
    await running


async def test_who_is_held_does_not_begin() -> None:
    scheduler, again = PollScheduler(clock=SystemClock()), asyncio.Event()
    turns = 0

    async def cycle() -> float:
        nonlocal turns
        turns += 1
        again.set()
        return 0.0

    async def other() -> float:
        return 0.0

    scheduler.add("a", cycle)
    scheduler.add("b", other)
    running = asyncio.create_task(scheduler.run())
    await again.wait()
    await scheduler.hold("a")
    before = turns
    for _ in range(200):
        await cycle_turn()
    assert turns == before
    await scheduler._fire("a")  # as APScheduler does with what was planned before
    assert "a" not in scheduler._running
    again.clear()
    scheduler.add("a", cycle)
    await again.wait()
    await scheduler.stop(deadline_s=1.0)
    await running


async def test_it_says_what_does_not_get_on() -> None:
    clock = FakeClock()
    scheduler, begun, release = PollScheduler(clock=clock), asyncio.Event(), asyncio.Event()

    async def cycle() -> float:
        begun.set()
        await release.wait()
        return 3600.0

    assert scheduler.why_stuck() is None
    scheduler.add("slow", cycle, at_most_s=100.0)
    running = asyncio.create_task(scheduler.run())
    await begun.wait()
    await clock.advance(100.0)
    assert scheduler.why_stuck() is None
    await clock.advance(5.0)
    assert scheduler.why_stuck() == "a poll cycle of source slow has been under way for 105 s"
    release.set()
    await clock.settle()
    assert scheduler.why_stuck() is None
    clock._elapsed_s += 61.0  # time passes and nobody is woken: the loop runs, the scheduler does not
    assert scheduler.why_stuck() == "the scheduler has done nothing for 61 s"
    await scheduler.stop(deadline_s=1.0)
    await running
