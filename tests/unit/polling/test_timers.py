from __future__ import annotations

import random

from tests.fakes.values import at
from watcher.polling.timers import Timers


def test_each_is_due_at_its_moment_once() -> None:
    timers = Timers()
    timers.set("b", at(20))
    timers.set("a", at(10))
    assert timers.next_at() == at(10)
    assert timers.due(at(9)) == []
    assert timers.due(at(20)) == ["a", "b"]
    assert timers.due(at(99)) == []
    assert timers.next_at() is None


def test_only_the_latest_moment_counts() -> None:
    timers = Timers()
    timers.set("a", at(10))
    timers.set("a", at(30))
    timers.set("b", at(20))
    timers.set("b", None)
    timers.set("a", at(30))
    assert timers.next_at() == at(30)
    assert timers.due(at(29)) == []
    assert timers.due(at(30)) == ["a"]


def test_whatever_is_set_the_earliest_is_next() -> None:
    rng, timers, moments = random.Random(3), Timers(), dict[str, int]()
    for _ in range(2000):
        name = rng.choice("abcdefgh")
        if rng.random() < 0.2:
            timers.set(name, None)
            moments.pop(name, None)
        else:
            moments[name] = rng.randrange(1000)
            timers.set(name, at(moments[name]))
        assert timers.next_at() == (at(min(moments.values())) if moments else None)
    assert timers.due(at(500)) == sorted(
        (name for name in moments if moments[name] <= 500), key=lambda n: (moments[n], n)
    )
