from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.values import instance
from watcher.core.ports import InstancePage
from watcher.core.sweep import Sweep


def page_of(ids: list[str], *, count: int) -> InstancePage:
    return InstancePage(count=count, items=tuple(instance("BUILT", id=key) for key in ids))


def hundred(*, count: int) -> InstancePage:
    return page_of([str(number) for number in range(100)], count=count)


class Server:
    """Answers pages of a list of `size`, at most `page` at a time, and says it has `count`."""

    def __init__(self, size: int, *, count: int | None = None, page: int = 100, ignores_offset: bool = False) -> None:
        self.ids = [str(number) for number in range(size)]
        self.count = size if count is None else count
        self.page = page
        self.ignores_offset = ignores_offset
        self.asked: list[int] = []
        self.shown: set[str] = set()

    def answer(self, sweep: Sweep, offset: int) -> None:
        self.asked.append(offset)
        start = 0 if self.ignores_offset else offset
        items = self.ids[start : start + self.page]
        self.shown.update(items)
        sweep.answered(offset, page_of(items, count=self.count))


def read(server: Server, *, at_once: int = 1, seed: int = 1) -> Sweep:
    """Read the whole list with so many pages under way, answered in any order."""
    sweep, rng = Sweep(), random.Random(seed)
    under_way: list[int] = []
    while not sweep.complete:
        while len(under_way) < at_once and (offset := sweep.take()) is not None:
            under_way.append(offset)
        server.answer(sweep, under_way.pop(rng.randrange(len(under_way))))
    return sweep


def test_the_first_page_goes_alone_and_then_all_at_once() -> None:
    sweep = Sweep()
    assert sweep.take() == 0
    assert sweep.take() is None
    sweep.answered(0, hundred(count=250))
    assert [sweep.take(), sweep.take(), sweep.take()] == [100, 200, None]


def test_an_empty_list_is_one_page() -> None:
    server = Server(0)
    assert read(server).pages == 1
    assert server.asked == [0]


def test_three_thousand_instances_are_thirty_pages() -> None:
    server = Server(3000)
    read(server, at_once=16)
    assert len(server.asked) == 30
    assert len(server.shown) == 3000


@given(size=st.integers(0, 950), count=st.one_of(st.none(), st.integers(0, 2000)), at_once=st.integers(1, 16))
def test_all_is_read_whatever_the_count_says(size: int, count: int | None, at_once: int) -> None:
    server = Server(size, count=count)
    read(server, at_once=at_once)
    if count is None or count not in range(100, size, 100):  # the cloud's count is believed when just so many came
        assert len(server.shown) == size
    assert len(server.asked) <= max(size, count or 0) // 100 + 2 + at_once


@given(size=st.integers(0, 500), page=st.integers(1, 100), at_once=st.integers(1, 16))
def test_shorter_pages_than_asked_for_are_followed(size: int, page: int, at_once: int) -> None:
    server = Server(size, page=page)
    read(server, at_once=at_once)
    assert len(server.shown) == size


def test_an_offset_that_is_ignored_ends_it() -> None:
    server = Server(100, count=100_000, ignores_offset=True)
    read(server, at_once=4)
    assert len(server.asked) <= 5


def test_a_count_without_sense_does_not_make_it_endless() -> None:
    server = Server(250, count=10**9)
    read(server, at_once=16)
    assert len(server.asked) <= 3 + 16


def test_a_failed_page_is_asked_three_times_but_the_first_only_once() -> None:
    sweep = Sweep()
    sweep.take()
    sweep.failed(0)
    assert sweep.complete
    assert not sweep.begun
    sweep = Sweep()
    sweep.take()
    sweep.answered(0, hundred(count=150))
    for _ in range(3):
        assert sweep.take() == 100
        sweep.failed(100)
    assert sweep.take() is None
    assert sweep.complete


def test_a_page_that_is_to_be_asked_again_is_still_missing() -> None:
    sweep = Sweep()
    sweep.take()
    sweep.answered(0, hundred(count=150))
    sweep.take()
    sweep.failed(100)
    assert not sweep.complete


def unreadable(size: int, *, count: int) -> InstancePage:
    return InstancePage(count=count, items=(), malformed=("no status",) * size)


def test_items_that_cannot_be_read_count_and_do_not_end_the_list() -> None:
    sweep = Sweep()
    sweep.take()
    sweep.answered(0, unreadable(100, count=300))
    assert [sweep.take(), sweep.take(), sweep.take()] == [100, 200, None]
    sweep.answered(100, unreadable(100, count=300))
    sweep.answered(200, unreadable(100, count=301))
    assert sweep.take() == 300


def test_a_list_that_grows_while_it_is_read_is_followed() -> None:
    sweep = Sweep()
    sweep.take()
    sweep.answered(0, page_of([str(number) for number in range(100)], count=200))
    assert (sweep.take(), sweep.take()) == (100, None)
    sweep.answered(100, page_of([str(number) for number in range(100, 200)], count=201))
    assert sweep.take() == 200


def test_a_short_page_ends_it_though_the_count_says_less() -> None:
    server = Server(60, count=50)
    read(server)
    assert server.asked == [0]


def test_it_ends_at_the_first_empty_page_in_whatever_order_they_come() -> None:
    sweep = Sweep()
    sweep.take()
    sweep.answered(0, hundred(count=400))
    while (offset := sweep.take()) is not None:
        assert offset < 400
    for offset in (200, 100, 300):
        sweep.answered(offset, page_of([], count=400))
    assert sweep.complete
    assert sweep.end == 100


def test_no_count_is_believed_beyond_a_million() -> None:
    sweep = Sweep()
    sweep.take()
    sweep.answered(0, hundred(count=10**9))
    assert sweep.end == 1_000_000
