from __future__ import annotations

import asyncio
import gc

import pytest

from watcher.cloud.flight import SingleFlight


class Work:
    """Counts its runs and ends when told to."""

    def __init__(self) -> None:
        self.runs = 0
        self.go = asyncio.Event()
        self.error: Exception | None = None

    async def __call__(self) -> int:
        self.runs += 1
        await self.go.wait()
        if self.error is not None:
            raise self.error
        return self.runs


async def _turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)  # noqa: TID251 - yields to the loop, waits for nothing


async def test_those_who_ask_meanwhile_share_one_run() -> None:
    work = Work()
    flight = SingleFlight(work)
    waiters = [asyncio.create_task(flight.run()) for _ in range(5)]
    await _turns()
    work.go.set()
    assert await asyncio.gather(*waiters) == [1] * 5
    assert await flight.run() == 2


async def test_a_failure_is_shared_and_not_kept() -> None:
    work = Work()
    work.error = ValueError("no")
    work.go.set()
    flight = SingleFlight(work)
    outcomes = await asyncio.gather(flight.run(), flight.run(), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [ValueError, ValueError]
    assert work.runs == 1
    work.error = None
    assert await flight.run() == 2


async def test_a_cancelled_waiter_takes_nothing_from_the_others() -> None:
    work = Work()
    flight = SingleFlight(work)
    first, second = asyncio.create_task(flight.run()), asyncio.create_task(flight.run())
    await _turns()
    first.cancel()
    await _turns()
    work.go.set()
    assert await second == 1
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_closing_ends_the_run_under_way() -> None:
    work = Work()
    flight = SingleFlight(work)
    task = flight.start()
    await _turns()
    await flight.close()
    assert task.cancelled()


async def test_a_failure_nobody_waited_for_makes_no_noise(caplog: pytest.LogCaptureFixture) -> None:
    work = Work()
    work.error = ValueError("no")
    work.go.set()
    flight = SingleFlight(work)
    flight.start()
    await _turns()
    del flight
    gc.collect()
    assert caplog.records == []
