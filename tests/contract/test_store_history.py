"""What is kept of events, in the order in which they were written. (The model store of the simulation keeps none.)"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.contract.stores import KEYS, course, sqlite_url
from tests.fakes.values import at
from watcher.core.model import InstanceKey
from watcher.core.ports import Wanted
from watcher.store import Store, open_store

ELSEWHERE = InstanceKey("test", "9")


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await open_store(sqlite_url(tmp_path))
    changes = [course(KEYS[0], "BUILDING", "BUILT"), course(ELSEWHERE, "ERROR"), course(KEYS[1], "ACTIVE", "ERROR")]
    await opened.commit(changes, now=at(60))
    yield opened
    await opened.close()


@pytest.mark.parametrize(
    ("wanted", "positions"),
    [
        (Wanted(), [1, 2, 3, 4, 5]),
        (Wanted(kinds=["discovered"]), [1, 3, 4]),
        (Wanted(kinds=["discovered", "transition"], sources=["prod"]), [1, 2, 4, 5]),
        (Wanted(instance_ids=["1", "9"]), [3, 4, 5]),
        (Wanted(sources=["test"], instance_ids=["1"]), []),
        (Wanted(since=at(15)), [2, 5]),
        (Wanted(until=at(15)), [1, 3, 4]),
        (Wanted(since=at(0), until=at(0)), []),
    ],
)
async def test_what_is_asked_for(store: Store, wanted: Wanted, positions: list[int]) -> None:
    assert [entry.position for entry in await store.entries(wanted)] == positions
    assert [entry.position for entry in await store.entries(wanted, newest_first=True)] == positions[::-1]


async def test_from_behind_a_position_either_way(store: Store) -> None:
    async def positions(after: int, *, limit: int = 100, newest_first: bool = False) -> list[int]:
        found = await store.entries(Wanted(), after=after, limit=limit, newest_first=newest_first)
        return [entry.position for entry in found]

    assert await positions(3) == [4, 5]
    assert await positions(3, limit=1) == [4]
    assert await positions(3, newest_first=True) == [2, 1]
    assert await positions(3, limit=1, newest_first=True) == [2]
    assert await positions(5) == []
    assert await positions(0) == [1, 2, 3, 4, 5]


async def test_an_entry_tells_of_its_event(store: Store) -> None:
    [entry] = await store.entries(Wanted(sources=["test"]))
    [(_, event)] = [each for each in await store.history() if each[1].source == "test"]
    assert (entry.event_id, entry.kind, entry.source, entry.instance_id) == (event.id, "discovered", "test", "9")
    assert f'"id":"{event.id}"' in entry.body


async def test_where_an_event_is(store: Store) -> None:
    entries = await store.entries(Wanted())
    assert [await store.position_of(entry.event_id) for entry in entries] == [1, 2, 3, 4, 5]
    assert await store.position_of("evt_0") is None
    assert await store.last_position() == 5


async def test_of_nothing(tmp_path: Path) -> None:
    empty = await open_store(f"sqlite:///{tmp_path / 'empty.db'}")
    assert (await empty.entries(Wanted()), await empty.last_position()) == ([], 0)
    await empty.close()
