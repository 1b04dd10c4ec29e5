from __future__ import annotations

import pytest

from tests.fakes.clock import FakeClock
from tests.fakes.receivers import refusal
from tests.fakes.values import at, event
from watcher.core.errors import CloudUnavailableError
from watcher.core.facts import (
    CycleFinished,
    Delivered,
    DeliveryFailed,
    Fact,
    SourceFailed,
    SourceRecovered,
)
from watcher.core.model import Notification
from watcher.ops import Progress

NOTIFICATION = Notification(id="evt_1", events=(event(),))
DOWN = CloudUnavailableError("no answer")


class Bench:
    """Progress of two sources asked every 10 s, of which somebody wants to know every 5 s."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.progress = Progress(clock=self.clock)
        self.watch("a", "b")
        self.polled("a")
        self.polled("b")

    def watch(self, *sources: str) -> None:
        self.progress.watch(steady_intervals_s=dict.fromkeys(sources, 10.0), receivers=["hooks"], beat_s=5.0)

    def polled(self, source: str, *, ok: bool = True, stretch: float = 1.0) -> None:
        self.progress(CycleFinished(source, 0.1, 0.0, ok=ok, at=self.clock.now(), pace=1.0, stretch=stretch))

    def why_not(self, *, pending_s: float | None = None) -> str | None:
        now = (self.clock.now() - at(0)).total_seconds()
        return self.progress.why_not(oldest_pending_at=at(now - pending_s) if pending_s is not None else None)


async def test_all_is_well_while_all_are_polled() -> None:
    bench = Bench()
    assert bench.why_not() is None
    await bench.clock.advance(30)
    assert bench.why_not() is None
    await bench.clock.advance(1)
    assert bench.why_not() == "not polled: a, b"
    bench.polled("a")
    assert bench.why_not() == "not polled: b"
    bench.polled("b", ok=False)
    assert bench.why_not() == "not polled: b"
    bench.polled("b")
    assert bench.why_not() is None


def test_before_the_first_poll_nothing_is_known_to_be_well() -> None:
    clock = FakeClock(start=at(100))
    progress = Progress(clock=clock)
    progress.watch(steady_intervals_s={"a": 10.0}, receivers=[], beat_s=5.0)
    assert progress.why_not(oldest_pending_at=None) is not None


async def test_what_is_stretched_has_as_much_more_time() -> None:
    bench = Bench()
    for source in ("a", "b"):
        bench.polled(source, stretch=3.0)
    await bench.clock.advance(90)
    assert bench.why_not() is None


async def test_a_source_that_does_not_answer_has_its_alert_unless_none_does() -> None:
    bench = Bench()
    bench.progress(SourceFailed("a", DOWN, 1.0, first=True))
    await bench.clock.advance(31)
    bench.polled("b")
    assert bench.why_not() is None
    bench.progress(SourceFailed("b", DOWN, 1.0, first=True))
    await bench.clock.advance(31)
    assert bench.why_not() == "no source answers"
    bench.progress(SourceRecovered("a"))
    bench.polled("a")
    assert bench.why_not() is None


@pytest.mark.parametrize(
    ("bad", "good", "reason"),
    [
        (
            DeliveryFailed("chat", "slack", NOTIFICATION, refusal(permanent=True), attempts=1, retry_in_s=None),
            Delivered("chat", "slack", NOTIFICATION, at(1)),
            "notifications are refused: chat",
        ),
    ],
)
def test_what_stands_in_the_way_until_it_is_over(bad: Fact, good: Fact, reason: str) -> None:
    bench = Bench()
    bench.progress(bad)
    assert bench.why_not() == reason
    bench.progress(good)
    assert bench.why_not() is None


def test_a_try_that_is_repeated_is_no_trouble_yet() -> None:
    bench = Bench()
    bench.progress(DeliveryFailed("chat", "slack", NOTIFICATION, refusal(), attempts=1, retry_in_s=1.0))
    assert bench.why_not() is None


def test_what_is_pending_for_long_is() -> None:
    bench = Bench()
    assert bench.why_not(pending_s=60) is None
    assert bench.why_not(pending_s=61) == "a notification has been pending for 61 s"
