"""Keeping true what a receiver's other side holds of alerts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from tests.fakes.clock import FakeClock
from tests.fakes.receivers import ScriptedReceiver, refusal
from tests.fakes.values import at, history
from watcher.core.errors import StoreError
from watcher.core.facts import Fact, RefreshFailed, RefreshRecovered
from watcher.core.ports import Standing
from watcher.delivery import Refresher


class Board(ScriptedReceiver):
    """A receiver that holds alerts."""

    refresh_s = 60.0

    def __init__(self, *outcomes: Exception | None) -> None:
        super().__init__(*outcomes)
        self.shown: list[Sequence[Standing]] = []

    async def refresh(self, standing: Sequence[Standing]) -> None:
        self.shown.append(standing)
        if self.gate is not None:
            await self.gate.wait()
        outcome = self.outcomes.popleft() if self.outcomes else None
        if outcome is not None:
            raise outcome


class Shelf:
    """A store of alerts that stand."""

    def __init__(self, *standing: Standing) -> None:
        self.alerts = standing
        self.asked: list[float] = []
        self.broken = False

    async def standing(self, receiver: str, *, ended_since: object) -> Sequence[Standing]:
        if self.broken:
            raise StoreError("cannot read the store: disk I/O error")
        assert receiver == "hooks"
        self.asked.append((ended_since - at(0)).total_seconds())  # type: ignore[operator]
        return self.alerts


def firing() -> Standing:
    _, [_, failed] = history("BUILDING", "ERROR")
    return Standing(alert=failed.alerts[0], event=failed)


class Bench:
    """A refresher with everything around it scripted."""

    def __init__(self, *outcomes: Exception | None, send_resolved: bool = True) -> None:
        self.clock, self.board, self.shelf = FakeClock(at(0)), Board(*outcomes), Shelf(firing())
        self.facts: list[Fact] = []
        self.refresher = Refresher(
            receiver=self.board,
            store=self.shelf,
            send_resolved=send_resolved,
            timeout_s=0.05,
            clock=self.clock,
            observer=self.facts.append,
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.refresher.run())
        await self.clock.settle()
        yield
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_at_once_and_then_again_and_again() -> None:
    bench = Bench()
    async with bench.running():
        assert len(bench.board.shown) == 1
        await bench.clock.advance(59.9)
        assert len(bench.board.shown) == 1
        await bench.clock.advance(0.1)
        assert len(bench.board.shown) == 2
    assert bench.shelf.asked == [-900.0, -840.0]
    assert bench.facts == []


async def test_when_somebody_calls() -> None:
    bench = Bench()
    async with bench.running():
        bench.refresher.notify()
        await bench.clock.settle()
        assert len(bench.board.shown) == 2


async def test_nothing_stands_nothing_is_shown() -> None:
    bench = Bench()
    bench.shelf.alerts = ()
    await bench.refresher.refresh()
    assert bench.board.shown == []


async def test_who_wants_no_ends_is_not_told_of_them_again() -> None:
    bench = Bench(send_resolved=False)
    await bench.refresher.refresh()
    assert bench.shelf.asked == [0.0]


async def test_failures_are_told_on_the_edge_and_made_up_for() -> None:
    bench = Bench(refusal(), ValueError("a mistake"), None)
    for _ in range(4):
        await bench.refresher.refresh()
    first, second, over = bench.facts
    assert isinstance(first, RefreshFailed)
    assert isinstance(second, RefreshFailed)
    assert (first.first, second.first, over) == (True, False, RefreshRecovered("hooks"))
    assert str(second.error) == "ValueError: a mistake"
    assert len(bench.board.shown) == 4


async def test_a_store_that_cannot_be_read_ends_nothing() -> None:
    bench = Bench()
    bench.shelf.broken = True
    async with bench.running():
        bench.shelf.broken = False
        await bench.clock.advance(60)
    assert [type(fact) for fact in bench.facts] == [RefreshFailed, RefreshRecovered]


async def test_one_that_hangs_is_left() -> None:
    bench = Bench()
    bench.board.gate = asyncio.Event()
    await bench.refresher.refresh()
    [fact] = bench.facts
    assert isinstance(fact, RefreshFailed)
    assert str(fact.error) == "no answer within 0.05 s"
