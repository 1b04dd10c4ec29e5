"""What a replica shows of the sources that others poll, on a real store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import pytest

from tests.fakes.clock import FakeClock
from tests.fakes.polling import BY_GET
from tests.fakes.values import at, history
from watcher.app.mirror import Mirror, Whole
from watcher.app.reporting import SourceReporter
from watcher.core.alerts import AlertRules
from watcher.core.errors import CloudUnavailableError, StoreError
from watcher.core.facts import CycleFinished, SourceFailed, SourceRecovered
from watcher.core.model import InstanceKey, InstanceState, Presence, Step
from watcher.core.outage import begin_outage
from watcher.core.ports import Background, Change, SourceView
from watcher.core.reports import SourceReport
from watcher.core.watchlist import DiscoverRule
from watcher.polling import Watched
from watcher.store import Store, open_store

AWAY, HELD = "away", "held"


def watched(source: str, *ids: str, discover: tuple[DiscoverRule, ...] = ()) -> Watched:
    return Watched(
        source=source,
        instances={key: {"team": "vdi"} for key in ids},
        discover=discover,
        policy=BY_GET,
        rules=AlertRules(),
        updating=(),
    )


def state(instance_id: str, *statuses: str | None, source: str = AWAY) -> InstanceState:
    return history(*statuses, key=InstanceKey(source, instance_id))[0]


@dataclass
class Polled:
    """What the replica polls itself."""

    held: list[str] = field(default_factory=lambda: [HELD])

    def states(self) -> dict[str, Collection[InstanceState]]:
        return {name: [state("9", "BUILT", source=name)] for name in self.held}

    def sources(self) -> dict[str, SourceView]:
        return {name: SourceView(stale=7) for name in self.held}

    def background(self, _: InstanceState) -> Background:
        return Background(labels={"of": "memory"})


class CountedStore:
    """A store whose questions are counted, and which fails when told to."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.asked: list[str] = []
        self.fails = False

    async def load(self, source: str, ids: Collection[str] | None = None) -> dict[InstanceKey, InstanceState]:
        self._note(f"{source} {'all' if ids is None else ' '.join(sorted(ids))}")
        return await self._store.load(source, ids)

    async def steps(self, source: str) -> list[Step]:
        return await self._store.steps(source)

    async def source_reports(self) -> dict[str, SourceReport]:
        self._note("reports")
        return await self._store.source_reports()

    def _note(self, what: str) -> None:
        self.asked.append(what)
        if self.fails:
            raise StoreError("the store is down")

    def so_far(self) -> list[str]:
        asked, self.asked = self.asked, []
        return asked


class Bench:
    def __init__(self, store: Store) -> None:
        self.store = store
        self.counted = CountedStore(store)
        self.clock = FakeClock()
        self.polled = Polled()
        self.mirror = Mirror(store=self.counted, held=lambda: self.polled.held, clock=self.clock)
        self.whole = Whole(held=self.polled, mirror=self.mirror)

    async def write(self, *states: InstanceState) -> None:
        await self.store.commit([Change(state=each) for each in states], now=at(0))

    async def seen(self) -> dict[str, str | None]:
        await self.mirror.refresh()
        return {each.key.id: each.status for each in self.whole.states()[AWAY]}


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    store = await open_store(f"sqlite:///{tmp_path / 'watcher.db'}")
    made = Bench(store)
    made.mirror.watch([watched(HELD, "9"), watched(AWAY, "1", "2")])
    yield made
    await store.close()


class TestMirror:
    async def test_what_is_held_is_from_memory_and_what_is_away_from_the_store(self, bench: Bench) -> None:
        await bench.write(state("1", "BUILDING", "ERROR"), state("2", "BUILT"), state("3", "BUILT"))
        assert await bench.seen() == {"1": "ERROR", "2": "BUILT"}  # 3 is not watched
        assert list(bench.whole.states()) == list(bench.whole.sources()) == [HELD, AWAY]
        assert bench.whole.sources()[HELD].stale == 7
        [held] = bench.whole.states()[HELD]
        away, _ = bench.whole.states()[AWAY]
        assert bench.whole.background(held).labels == {"of": "memory"}
        assert bench.whole.background(away).labels == {"team": "vdi"}

    async def test_only_what_has_changed_is_read_again(self, bench: Bench) -> None:
        await bench.write(state("1", "BUILDING"), state("2", "BUILT"))
        await bench.seen()
        assert bench.counted.so_far() == ["reports", f"{AWAY} all"]
        await bench.seen()
        assert bench.counted.so_far() == []
        await bench.write(state("1", "BUILDING", "BUILT"))
        assert (await bench.seen())["1"] == "BUILDING"  # nobody has said so yet
        bench.mirror.changed(AWAY, ["1"])
        bench.mirror.changed(HELD, ["9"])
        assert (await bench.seen())["1"] == "BUILT"
        assert bench.counted.so_far() == [f"{AWAY} 1"]
        bench.mirror.changed()
        await bench.seen()
        assert bench.counted.so_far() == [f"{AWAY} all"]

    async def test_nothing_is_read_where_nothing_is_away(self, bench: Bench) -> None:
        bench.polled.held.append(AWAY)
        await bench.mirror.refresh()
        assert bench.counted.so_far() == []
        assert bench.whole.sources()[AWAY].stale == 7
        bench.polled.held.remove(AWAY)
        await bench.mirror.refresh()
        assert f"{AWAY} all" in bench.counted.so_far()

    async def test_while_the_store_is_down_it_stays_as_it_was_and_is_read_whole_later(self, bench: Bench) -> None:
        await bench.write(state("1", "BUILDING"))
        await bench.seen()
        await bench.write(state("1", "BUILDING", "BUILT"))
        bench.mirror.changed(AWAY, ["1"])
        bench.counted.fails = True
        assert await bench.seen() == {"1": "BUILDING"}
        bench.counted.fails = False
        assert await bench.seen() == {"1": "BUILT"}
        assert bench.counted.so_far()[-1] == f"{AWAY} all"

    async def test_what_is_discovered_comes_and_goes(self, bench: Bench) -> None:
        rule = DiscoverRule(name="office-*", labels={"by": "rule"})
        bench.mirror.watch([watched(AWAY, discover=(rule,))])
        found, other = replace(state("1", "BUILT"), name="office-1"), replace(state("2", "BUILT"), name="lab-1")
        await bench.write(found, other)
        assert await bench.seen() == {"1": "BUILT"}
        [seen] = bench.whole.states()[AWAY]
        assert bench.whole.background(seen).labels == {"by": "rule"}
        await bench.write(replace(found, presence=Presence.DELETED))
        bench.mirror.changed(AWAY, ["1"])
        assert await bench.seen() == {}

    async def test_other_settings_of_a_source_make_another_picture(self, bench: Bench) -> None:
        await bench.write(state("1", "BUILT"), state("2", "BUILT"))
        await bench.seen()
        bench.mirror.watch([watched(AWAY, "2")])
        assert await bench.seen() == {"2": "BUILT"}

    async def test_an_outage_is_the_source_s_own(self, bench: Bench) -> None:
        down = CloudUnavailableError("no answer within 10 s")
        own, _ = begin_outage(None, source=AWAY, since=at(0), now=at(60), rules=AlertRules(), error=down)
        await bench.write(own, state("1", "BUILT"))
        report = SourceReport(error="no answer within 10 s", last_success_at=at(5), stale=3)
        await bench.store.write_source_reports([(AWAY, 1, report)], now=at(60))
        assert await bench.seen() == {"1": "BUILT"}
        assert bench.whole.sources()[AWAY] == SourceView(alerts=own.alerts, stale=3)
        assert bench.mirror.report(AWAY) == report

    async def test_when_an_instance_was_seen_at_the_latest(self, bench: Bench) -> None:
        await bench.write(state("1", "BUILT"), state("2", "BUILDING"))
        at_rest_s, changing_s = BY_GET.steady_interval_s, BY_GET.interval_s
        for report, expected in (
            (SourceReport(last_success_at=at(600)), [at(600 - at_rest_s), at(600 - changing_s)]),
            (SourceReport(last_success_at=at(600), stretch=2.0), [at(600 - 2 * at_rest_s), at(600 - 2 * changing_s)]),
            (SourceReport(last_success_at=at(600), stale=1), [at(0), at(0)]),
            (SourceReport(last_success_at=at(600), error="down"), [at(0), at(0)]),
            (SourceReport(), [at(0), at(0)]),
        ):
            await bench.store.write_source_reports([(AWAY, 1, report)], now=at(600))
            await bench.clock.advance(1)
            await bench.mirror.refresh()
            seen = [bench.whole.background(each).seen_at for each in bench.whole.states()[AWAY]]
            assert seen == expected


class TestReporter:
    async def test_what_is_new_is_told_and_nothing_else(self, bench: Bench) -> None:
        reports = {"a": SourceReport(last_success_at=at(1)), "b": SourceReport()}
        held = [("a", 4), ("b", 1)]
        reporter = SourceReporter(
            store=bench.store,
            held=lambda: held,
            report=lambda source: reports[source],
            view=lambda source: SourceView(stale=2 if source == "b" else 0),
            clock=bench.clock,
        )
        await reporter.tell()
        assert await bench.store.source_reports() == {"a": reports["a"], "b": SourceReport(stale=2)}
        await bench.store.write_source_reports([("b", 2, SourceReport(error="of who has it now"))], now=at(0))
        reports["a"] = SourceReport(last_success_at=at(2))
        await reporter.tell()  # b is as it was, and is not told
        assert await bench.store.source_reports() == {"a": reports["a"], "b": SourceReport(error="of who has it now")}
        reports["b"] = SourceReport(error="of who had it before")
        await reporter.tell()
        assert (await bench.store.source_reports())["b"] == SourceReport(error="of who has it now")

    async def test_it_tells_at_once_what_others_wait_for(self) -> None:
        clock, board, report = FakeClock(), Board(), SourceReport()
        reporter = SourceReporter(
            store=board, held=lambda: [("a", 1)], report=lambda _: report, view=lambda _: SourceView(), clock=clock
        )
        running = asyncio.create_task(reporter.run())
        await clock.settle()
        for fact, told in (
            (
                CycleFinished("a", 0.1, 0.0, ok=True, at=at(1), pace=1.0, stretch=1.0),
                SourceReport(last_success_at=at(1)),
            ),
            (SourceFailed("a", CloudUnavailableError("down"), 1.0, first=True), SourceReport(error="down")),
            (SourceRecovered("a"), SourceReport(last_success_at=at(2))),
        ):
            report = told
            reporter(fact)
            await clock.settle()
            assert board.told == {"a": told}
        report = SourceReport(last_success_at=at(3))
        reporter(CycleFinished("a", 0.1, 0.0, ok=True, at=at(3), pace=1.0, stretch=1.0))
        await clock.advance(4.9)
        assert board.told["a"].last_success_at == at(2)
        await clock.advance(0.2)
        assert board.told["a"].last_success_at == at(3)
        running.cancel()
        await asyncio.wait([running])


class Board:
    """Where it is told, in memory."""

    def __init__(self) -> None:
        self.told: dict[str, SourceReport] = {}

    async def write_source_reports(self, told: Iterable[tuple[str, int, SourceReport]], *, now: datetime) -> None:
        self.told |= {source: report for source, _, report in told}
