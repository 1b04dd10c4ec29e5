from datetime import UTC, datetime, timedelta

import pytest

from watcher.simulator import SimulatedClock

START = datetime(2026, 1, 1, tzinfo=UTC)


class Ticks:
    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def test_time_runs_at_its_speed_and_jumps_when_told() -> None:
    ticks = Ticks()
    clock = SimulatedClock(start=START, speed=60, monotonic=ticks)
    assert clock() == START
    ticks.seconds += 2
    assert clock() == START + timedelta(minutes=2)
    clock.advance(30)
    assert clock() == START + timedelta(minutes=2, seconds=30)


def test_a_stopped_clock_moves_by_hand_only() -> None:
    ticks = Ticks()
    clock = SimulatedClock(start=START, speed=0, monotonic=ticks)
    ticks.seconds += 1000
    assert clock() == START
    clock.advance(5)
    assert clock() == START + timedelta(seconds=5)


@pytest.mark.parametrize(("speed", "shown"), [(0, 3600), (1, 3600), (60, 60)])
def test_clients_are_shown_wall_time(speed: float, shown: float) -> None:
    clock = SimulatedClock(start=START, speed=speed)
    assert clock.shown(START + timedelta(hours=1)) == START + timedelta(seconds=shown)


def test_time_neither_runs_nor_jumps_back() -> None:
    with pytest.raises(ValueError, match="must not be negative"):
        SimulatedClock(speed=-1)
    with pytest.raises(ValueError, match="cannot go back"):
        SimulatedClock(speed=0).advance(-1)
