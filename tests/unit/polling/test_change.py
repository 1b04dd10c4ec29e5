"""A poller that goes on in the place of another, because the source is configured in another way."""

from __future__ import annotations

from dataclasses import replace

from tests.fakes.polling import AUTO, BY_GET, Bench
from tests.unit.polling.test_listing import DOWN, EVERYTHING
from watcher.core.alerts import AlertRules
from watcher.core.errors import CloudAuthError
from watcher.core.facts import SourceFailed, SourceRecovered, StoreFailed
from watcher.core.watchlist import DiscoverRule

REFUSED = CloudAuthError("refused", http_status=401)


async def begun(bench: Bench) -> Bench:
    await bench.poller.start()
    await bench.cycles(1)
    return bench


async def test_nothing_is_asked_early_nor_told_again() -> None:
    bench = await begun(Bench({"a": ["BUILDING", "BUILT"], "b": ["ERROR"]}))
    before, told, asked = bench.poller.states(), bench.told(), list(bench.cloud.asked)
    bench.change()
    assert await bench.poller.cycle() == 15.0
    assert list(bench.poller.states()) == list(before)
    assert (bench.told(), bench.cloud.asked) == (told, asked)
    await bench.clock.advance(15.0)
    await bench.poller.cycle()
    assert bench.told() == [*told, ("transition", "BUILDING", "BUILT")]


async def test_who_comes_is_asked_at_once_and_who_goes_not_any_more_his_alerts_are_over() -> None:
    bench = await begun(Bench({"a": ["BUILT"], "b": ["ERROR"], "c": ["BUILT"]}, watched=["a", "b"]))
    bench.ids = ["a", "c"]
    bench.change()
    assert bench.poller.tried
    assert not bench.poller.settled
    await bench.poller.cycle()
    assert bench.poller.settled
    assert [state.key.id for state in bench.poller.states()] == ["a", "c"]
    assert bench.cloud.asked.count("c") == 1
    assert bench.told()[-1][0] == "discovered"
    ends = [event for event in bench.store.events if event.kind.value == "recovered"]
    assert [(event.instance_id, event.alerts[0].status.value) for event in ends] == [("b", "resolved")]
    bench.ids = ["a", "b", "c"]
    bench.change()
    await bench.poller.cycle()
    of_b = [(event.sequence, event.kind.value) for event in bench.store.events if event.instance_id == "b"]
    assert [sequence for sequence, _ in of_b] == list(range(1, len(of_b) + 1))


async def test_another_rule_finds_who_is_on_a_page_that_is_as_it_was() -> None:
    answers = {"a": ["BUILT"], "b": ["BUILT"]}
    bench = await begun(Bench(answers, watched=["a"], policy=AUTO, discover=(DiscoverRule(name="nobody"),)))
    assert [state.key.id for state in bench.poller.states()] == ["a"]
    bench.discover = EVERYTHING
    bench.change()
    await bench.poller.cycle()  # at once
    assert [state.key.id for state in bench.poller.states()] == ["a", "b"]
    bench.discover = ()
    bench.change()
    assert [state.key.id for state in bench.poller.states()] == ["a"]
    await bench.poller.cycle()
    bench.discover = EVERYTHING
    bench.change()
    await bench.poller.cycle()
    assert [state.key.id for state in bench.poller.states()] == ["a", "b"]


async def test_other_rules_count_from_when_they_apply() -> None:
    bench = await begun(Bench({"a": ["BUILDING"]}, rules=AlertRules(stuck_after_s={"BUILDING": 7200.0})))
    await bench.clock.advance(600.0)
    await bench.poller.cycle()
    bench.rules = AlertRules(stuck_after_s={"BUILDING": 300.0})
    bench.change()
    await bench.cycles(2)
    assert bench.told()[-1][0] == "stuck"


async def test_an_outage_goes_on_and_ends_once() -> None:
    bench = await begun(Bench({"a": ["BUILT", DOWN, DOWN, "BUILT"]}))
    await bench.clock.advance(60.0)
    await bench.poller.cycle()
    bench.change()
    assert not bench.poller.view().alerts
    await bench.cycles(1)
    assert bench.cloud.asked.count("a") == 2  # the pause goes on
    bench.policy = replace(BY_GET, steady_interval_s=61.0)
    bench.change()
    await bench.cycles(6)
    assert [fact.first for fact in bench.seen(SourceFailed)] == [True, False]
    assert len(bench.seen(SourceRecovered)) == 1


async def test_an_alert_of_the_source_goes_on_and_is_over_when_it_answers() -> None:
    bench = await begun(Bench({"a": ["BUILT", DOWN, DOWN, "BUILT"]}, rules=AlertRules(unreachable_after_s=0.5)))
    await bench.cycles(3)
    assert bench.told()[-1][0] == "unreachable"
    bench.change()
    [alert] = bench.poller.view().alerts
    await bench.cycles(6)
    assert bench.poller.view().alerts == ()
    assert [event.kind.value for event in bench.store.events if not event.instance_id] == ["unreachable", "recovered"]
    assert bench.store.events[-1].alerts[0].fingerprint == alert.fingerprint


async def test_a_refused_credential_is_left_alone_until_there_is_another() -> None:
    bench = await begun(Bench({"a": [REFUSED, "BUILT"]}))
    bench.ids = ["a", "b"]
    bench.change()
    await bench.clock.advance(60.0)
    await bench.poller.cycle()
    assert bench.cloud.asked.count("a") == 1
    bench.cloud = type(bench.cloud)({"a": ["BUILT"], "b": ["BUILT"]})  # reached in another way
    bench.change()
    await bench.cycles(2)
    assert [state.status for state in bench.poller.states()] == ["BUILT", "BUILT"]
    assert len(bench.seen(SourceRecovered)) == 1


async def test_another_way_to_a_source_that_is_well_is_tried_with_one_request() -> None:
    answers = {f"i{number}": ["BUILT"] for number in range(8)}
    bench = await begun(Bench(answers))
    bench.cloud = type(bench.cloud)({key: [REFUSED] for key in answers})
    bench.change()
    assert bench.poller.tried
    await bench.clock.advance(60.0)
    await bench.poller.cycle()
    assert len(bench.cloud.asked) == 1


async def test_what_is_not_yet_in_the_store_is_not_lost() -> None:
    bench = await begun(Bench({"a": ["BUILDING", "BUILT"]}))
    bench.store.broken = True
    await bench.clock.advance(15.0)
    await bench.poller.cycle()
    assert bench.seen(StoreFailed)
    bench.change()
    assert not await bench.poller.flush()
    bench.store.broken = False
    assert await bench.poller.flush()
    assert bench.told()[-1] == ("transition", "BUILDING", "BUILT")


async def test_what_was_spent_stays_spent() -> None:
    policy = replace(BY_GET, budget_requests=4)
    bench = await begun(Bench({f"i{number}": ["BUILT"] for number in range(4)}, policy=policy))
    bench.ids.append("i9")
    bench.change()
    await bench.poller.cycle()
    assert len(bench.cloud.asked) == 4
