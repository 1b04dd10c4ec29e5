"""News that no observation brings: what the poller tells because time has passed."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import pytest

from tests.fakes.memory_store import MemoryStore
from tests.fakes.polling import AUTO, BY_GET, Bench
from tests.fakes.values import built, outage
from watcher.core.alerts import AlertRules
from watcher.core.errors import CloudUnavailableError
from watcher.core.model import AlertStatus, Event, EventKind, InstanceKey, InstanceState
from watcher.core.outage import source_key
from watcher.core.planner import PollPolicy
from watcher.polling import close_orphans

ONE_HOUR = AlertRules(repeat_interval_s=3600.0, resolution_s=30.0)


async def until(bench: Bench, seconds: float) -> None:
    """Run cycles until so much time has passed since the beginning, each when it is due."""
    wait_s = await bench.poller.cycle()
    while bench.clock.monotonic() + wait_s <= seconds:
        await bench.clock.advance(wait_s)
        wait_s = await bench.poller.cycle()
    await bench.clock.advance(seconds - bench.clock.monotonic())


def kinds(bench: Bench) -> list[str]:
    return [event.kind.value for event in bench.store.events]


def last(bench: Bench) -> Event:
    return bench.store.events[-1]


@pytest.mark.parametrize("policy", [BY_GET, AUTO])
async def test_stuck_is_told_at_its_time_once_and_resolved_by_the_next_change(policy: PollPolicy) -> None:
    bench = Bench({"a": ["BUILDING"]}, policy=policy)
    await bench.poller.start()
    await until(bench, 7190)
    assert kinds(bench) == ["discovered"]
    await until(bench, 7230)
    assert kinds(bench) == ["discovered", "stuck"]
    assert 7200 <= (last(bench).duration_s or 0) < 7220
    await until(bench, 9000)
    assert kinds(bench) == ["discovered", "stuck"]
    bench.cloud.script("a", "BUILT")
    await until(bench, 9100)
    assert [(alert.name, alert.status) for alert in last(bench).alerts] == [("stuck", AlertStatus.RESOLVED)]


async def test_what_is_learned_is_kept_over_a_restart_and_warns_earlier() -> None:
    bench = Bench({"a": ["ACTIVE"]}, rules=ONE_HOUR)
    await bench.poller.start()
    for build in range(6):
        bench.cloud.script("a", "BUILDING")
        await until(bench, build * 4000 + 1000)
        bench.cloud.script("a", "BUILT")
        await until(bench, build * 4000 + 4000)
    assert [round(step.duration_s, -2) for step in bench.store.learned] == [
        1000
    ] * 5  # the first was found already building
    bench.poller = bench.fresh_poller()
    await bench.poller.start()
    bench.cloud.script("a", "BUILDING")
    await until(bench, 24_100)
    assert last(bench).to_status == "BUILDING"
    expected = last(bench).expected
    assert expected is not None
    assert (expected.samples, round(expected.median_s, -2)) == (5, 1000)
    await until(bench, 26_000)
    assert last(bench).kind is EventKind.STUCK
    assert last(bench).expected == expected


async def test_nobody_is_called_stuck_before_it_was_looked_at_again_after_a_restart() -> None:
    bench = Bench({"a": ["BUILDING"]})
    await bench.poller.start()
    await until(bench, 60)
    bench.cloud.script("a", built("a"))
    await bench.clock.advance(10_000)
    bench.poller = bench.fresh_poller()
    await bench.poller.start()
    await until(bench, 10_200)
    assert kinds(bench) == ["discovered", "transition"]


async def test_nobody_is_called_stuck_while_the_source_does_not_answer() -> None:
    bench = Bench({"a": ["BUILDING"]}, rules=AlertRules(unreachable_after_s=300.0))
    await bench.poller.start()
    await until(bench, 60)
    bench.cloud.script("a", CloudUnavailableError("no answer"))
    await until(bench, 10_000)
    assert kinds(bench) == ["discovered", "unreachable"]
    bench.cloud.script("a", "BUILDING")
    await until(bench, 10_700)
    assert kinds(bench)[-2:] == ["recovered", "stuck"]


async def test_reminders_come_by_themselves_and_go_on_after_a_restart() -> None:
    bench = Bench({"a": ["ERROR"]}, rules=ONE_HOUR)
    await bench.poller.start()
    await until(bench, 3000)
    bench.poller = bench.fresh_poller()
    await bench.poller.start()
    await until(bench, 7300)
    assert kinds(bench) == ["discovered", "reminder", "reminder"]
    began = bench.store.events[0].observed_at
    assert [round((event.observed_at - began).total_seconds(), -2) for event in bench.store.events] == [0, 3600, 7200]


async def test_an_outage_is_reminded_of() -> None:
    bench = Bench({"a": ["BUILT"]}, rules=AlertRules(unreachable_after_s=300.0, repeat_interval_s=3600.0))
    bench.cloud.script("a", CloudUnavailableError("no answer"))
    await bench.poller.start()
    await until(bench, 8000)
    assert kinds(bench) == ["unreachable", "reminder", "reminder"]
    assert {event.instance_id for event in bench.store.events} == {""}


async def test_flapping_is_told_and_its_end_comes_by_itself() -> None:
    bench = Bench({"a": ["BUILT"]}, rules=AlertRules(repeat_interval_s=0.0))
    await bench.poller.start()
    for turn in range(8):
        await until(bench, 100 * turn + 50)
        bench.cloud.script("a", "BUILDING" if turn % 2 == 0 else built("a", f"img-{turn}"))
    await until(bench, 5000)
    assert kinds(bench) == ["discovered", *["transition"] * 6, "flapping", *["transition"] * 2, "flapping"]
    assert (last(bench).changes, last(bench).to_status) == (8, "BUILT")


async def test_an_instance_removed_from_the_configuration_has_its_alerts_closed_once() -> None:
    bench = Bench({"a": ["ERROR"], "b": ["ERROR"], "c": ["BUILT"]})
    await bench.poller.start()
    await until(bench, 60)
    bench.ids = ["b"]
    for _ in range(2):
        bench.poller = bench.fresh_poller()
        await bench.poller.start()
        await until(bench, bench.clock.monotonic() + 60)
    closed = [event for event in bench.store.events if event.kind is EventKind.RECOVERED]
    assert [(event.instance_id, event.labels, event.alerts[0].status) for event in closed] == [
        ("a", {}, AlertStatus.RESOLVED)
    ]
    assert [key.id for key, state in bench.store.states.items() if state.alerts] == ["b"]
    bench.ids = ["a", "b"]
    bench.poller = bench.fresh_poller()
    await bench.poller.start()
    await until(bench, bench.clock.monotonic() + 60)
    assert (last(bench).kind, last(bench).instance_id, last(bench).to_status) == (EventKind.DISCOVERED, "a", "ERROR")


class StoreOfTwoSources(MemoryStore):
    """A store that can be asked for what belongs to nobody."""

    async def alerting_beyond(self, sources: Collection[str]) -> list[InstanceState]:
        return [state for state in self.states.values() if state.alerts and state.key.source not in sources]


async def test_a_source_removed_from_the_configuration_has_its_alerts_closed() -> None:
    bench = Bench({"a": ["ERROR"], "b": ["BUILT"]})
    await bench.poller.start()
    await until(bench, 60)
    store = StoreOfTwoSources()
    store.states = dict(bench.store.states)
    down, _ = outage()
    of_source = replace(store.states[InstanceKey("prod", "b")], key=source_key("prod"), status=None, alerts=down.alerts)
    store.states[of_source.key] = of_source
    for _ in range(2):
        await close_orphans(
            store,
            sources=["other"],
            rules=AlertRules(),
            receivers_for=lambda _: ("hooks",),
            clock=bench.clock,
        )
    assert [(event.instance_id, event.kind.value, event.alerts[0].name) for event in store.events] == [
        ("a", "recovered", "error"),
        ("", "recovered", "unreachable"),
    ]
    assert [receiver for _, receiver in store.told] == ["hooks", "hooks"]


async def test_time_alone_costs_no_requests() -> None:
    rules, policy = AlertRules(repeat_interval_s=60.0), PollPolicy(steady_interval_s=3600.0)
    bench = Bench({"a": ["ERROR"]}, rules=rules, policy=policy)
    await bench.poller.start()
    await until(bench, 3500)
    assert len(bench.cloud.asked) + len(bench.cloud.pages_asked) <= 2
    assert len([kind for kind in kinds(bench) if kind == "reminder"]) == 58
