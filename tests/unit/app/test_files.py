from __future__ import annotations

import asyncio
from pathlib import Path

from tests.fakes.clock import FakeClock
from watcher.app.files import FileWatch


def test_a_change_is_told_when_it_was_seen_twice(tmp_path: Path) -> None:
    path = tmp_path / "watcher.yaml"
    path.write_text("one")
    watch = FileWatch([path], clock=FakeClock())
    assert not watch.look()
    path.write_text("half")
    assert not watch.look()
    path.write_text("half and half")
    assert not watch.look()
    assert watch.look()
    assert not watch.look()
    path.unlink()
    assert [watch.look(), watch.look(), watch.look()] == [False, True, False]


def test_what_is_settled_is_no_change(tmp_path: Path) -> None:
    path = tmp_path / "watcher.yaml"
    path.write_text("one")
    watch = FileWatch([path], clock=FakeClock())
    path.write_text("another")
    watch.settle()
    assert not any(watch.look() for _ in range(3))


def test_a_link_that_leads_elsewhere_is_a_change(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "watcher.yaml").write_text("the same length")
    (tmp_path / "..data").symlink_to("one")
    watch = FileWatch([tmp_path / "..data" / "watcher.yaml"], clock=FakeClock())
    (tmp_path / "new").symlink_to("two")
    (tmp_path / "new").replace(tmp_path / "..data")
    assert [watch.look(), watch.look()] == [False, True]


async def test_it_looks_once_a_second(tmp_path: Path) -> None:
    path, clock = tmp_path / "watcher.yaml", FakeClock()
    watch = FileWatch([path], clock=clock)
    changed = asyncio.create_task(watch.changed())
    await clock.advance(0.9)
    path.write_text("one")
    async with asyncio.timeout(10):
        while not changed.done():
            await clock.advance(0.1)
