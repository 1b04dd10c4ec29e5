"""What every store must do with a reason that is found after its event was told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.contract.stores import AnyStore, Course, deliver, delivered, failed, heads, sequences, suppressed
from tests.fakes.values import at
from watcher.core.alerts import ERROR, fingerprint
from watcher.core.model import AlertStatus, Delivery, DeliveryState, Event, Reason, Search, Suppression
from watcher.core.ports import Change, Explanation

WHY = Reason(code="WKS.0017", message="sysprep failed: 办公", exact=False)
FIRING, RESOLVED = AlertStatus.FIRING, AlertStatus.RESOLVED


class Failing(Course):
    """BUILDING, then ERROR at 15 s, told to these receivers without a reason, which is found at some later time."""

    async def fail(self, store: AnyStore, *receivers: str) -> Event:
        [told] = [event for event, _ in self.sees("BUILDING", 0).events]
        assert told.sequence == 1
        change = self.sees("ERROR", 15, *receivers)
        await store.commit([change], now=at(15))
        return change.events[-1][0]

    def explains(self, event: Event, *updating: str) -> Change:
        assert self.state is not None
        self.state = replace(self.state, reason=WHY, search=None)
        return Change(state=self.state, explained=Explanation(event_id=event.id, reason=WHY, receivers=updating))


async def kept(store: AnyStore, event: Event) -> Event:
    [found] = [each for _, each in await store.history() if each.id == event.id]
    return found


def reasons(due: list[Delivery]) -> list[Reason | None]:
    return [each.event.reason for each in due]


async def test_what_is_known_of_a_build_comes_back(store: AnyStore) -> None:
    going = Course()
    going.sees("BUILDING", 0)
    unconfirmed = going.sees("BUILT", 15).state
    assert unconfirmed.unconfirmed_at == at(15)
    search = Search(job_type="CREATE_SERVER", since=at(1), event_id="evt_1", until=at(2))
    for state in (unconfirmed, replace(unconfirmed, reason=WHY, search=search), replace(unconfirmed, image_before="x")):
        await store.commit([Change(state=state)], now=at(20))
        assert await store.load("prod") == {state.key: state}
    odd = replace(unconfirmed, unconfirmed_at=at(15.0019), search=replace(search, since=at(1.0019), until=at(2.0019)))
    await store.commit([Change(state=odd)], now=at(20))
    even = replace(odd, unconfirmed_at=at(15.001), search=replace(search, since=at(1.001), until=at(2.001)))
    assert await store.load("prod") == {odd.key: even}


async def test_the_event_has_its_reason_from_then_on_in_its_place(store: AnyStore) -> None:
    going, other = Failing(), Course()
    told = await going.fail(store)
    await store.commit([other.sees("BUILT", 16)], now=at(16))
    before = [(position, event.id) for position, event in await store.history()]
    await store.commit([going.explains(told)], now=at(60))
    assert [(position, event.id) for position, event in await store.history()] == before
    assert await kept(store, told) == replace(told, reason=WHY)


async def test_what_waits_tells_it_and_goes_on_waiting(store: AnyStore) -> None:
    going = Failing()
    told = await going.fail(store, "hooks", "chat")
    [before] = await store.waiting("hooks", now=at(15), limit=9)
    [first] = await heads(store, 15, receiver="chat")
    await store.record([failed(first, 16, again_s=90)])
    await store.commit([going.explains(told, "chat")], now=at(60))
    [waiting] = await heads(store)
    assert (waiting.event.reason, waiting.attempts, waiting.is_late) == (WHY, 0, False)
    assert await heads(store, 60, receiver="chat") == []
    [again] = await heads(store, 90, receiver="chat")
    assert (again.event.reason, again.attempts, again.is_late) == (WHY, 1, False)
    [after] = await store.waiting("hooks", now=at(60), limit=9)
    assert after.size > before.size + len(WHY.message)


async def test_who_took_it_and_can_update_it_is_sent_it_once_more(store: AnyStore) -> None:
    going = Failing()
    told = await going.fail(store, "hooks", "chat")
    await deliver(store, 30)
    await deliver(store, 30, receiver="chat")
    await store.commit([going.explains(told, "chat", "nobody")], now=at(60))
    assert await heads(store) == []
    [again] = await heads(store, receiver="chat")
    assert (again.event.reason, again.is_late, again.queued_at) == (WHY, True, at(60))
    assert again.attempts > 0, "no silence keeps back what was begun"
    assert [(alert.name, alert.status) for alert in again.event.alerts] == [(ERROR, FIRING)]
    await deliver(store, 61, receiver="chat")
    await store.commit([going.explains(told, "chat", "nobody")], now=at(62))  # its answer was lost
    assert await heads(store, 62, receiver="chat") == []


@pytest.mark.parametrize("state", [DeliveryState.DEAD, DeliveryState.SUPPRESSED])
async def test_what_was_not_taken_is_not_sent_by_it(store: AnyStore, state: DeliveryState) -> None:
    going = Failing()
    told = await going.fail(store, "chat")
    [due] = await heads(store, receiver="chat")
    is_dead = state is DeliveryState.DEAD
    await store.record([failed(due, 20, again_s=None) if is_dead else suppressed(due, 20, Suppression.SILENCE, "s1")])
    await store.commit([going.explains(told, "chat")], now=at(60))
    assert await heads(store, receiver="chat") == []
    if is_dead:
        await store.retry(None, now=at(70))
    else:
        assert reasons(list(await store.held("chat"))) == [WHY]
        await store.requeue([due.id], now=at(70))
    assert reasons(await heads(store, 70, receiver="chat")) == [WHY]


async def test_a_digest_that_was_taken_is_not_sent_again(store: AnyStore) -> None:
    going = Failing()
    told = await going.fail(store, "chat")
    [due] = await heads(store, receiver="chat")
    await store.form_digest("dig_1", [due.id])
    await store.record([delivered(replace(due, digest_id="dig_1"), 20)])
    await store.commit([going.explains(told, "chat")], now=at(60))
    assert await heads(store, receiver="chat") == []
    assert (await kept(store, told)).reason == WHY


async def test_of_what_is_forgotten_nothing_is_said(store: AnyStore) -> None:
    going = Failing()
    told = await going.fail(store, "chat")
    unknown = replace(told, id="evt_unknown")
    await store.commit([going.explains(unknown, "chat")], now=at(60))
    assert (await kept(store, told)).reason is None


async def test_with_the_news_of_the_same_commit_it_comes_first(store: AnyStore) -> None:
    going = Failing()
    told = await going.fail(store, "chat")
    await deliver(store, 20, receiver="chat")
    await store.commit([going.explains(told, "chat"), going.sees("BUILDING", 60, "chat")], now=at(60))
    due = await heads(store, receiver="chat")
    assert (sequences(due), reasons(due)) == ([2, 3], [WHY, None])
    assert [(alert.name, alert.status) for alert in due[1].event.alerts] == [(ERROR, RESOLVED)]


class TestPairs:
    """Whatever becomes of the update: who was told that it fires is told of its end."""

    async def updating(self, store: AnyStore) -> tuple[Failing, Delivery]:
        going = Failing()
        told = await going.fail(store, "chat")
        await deliver(store, 20, receiver="chat")
        await store.commit([going.explains(told, "chat")], now=at(60))
        [again] = await heads(store, receiver="chat")
        return going, again

    @pytest.mark.parametrize("becomes", ["dead", "suppressed", "pending"])
    async def test_the_end_follows(self, store: AnyStore, becomes: str) -> None:
        going, again = await self.updating(store)
        how = {
            "dead": failed(again, 61, again_s=None),
            "suppressed": suppressed(again, 61, Suppression.FLAPPING),
            "pending": failed(again, 61, again_s=300),
        }
        await store.record([how[becomes]])
        await store.commit([going.sees("BUILDING", 75)], now=at(75))
        due = await heads(store, 75, receiver="chat")
        if becomes == "pending":
            assert due == [], "in order: the update first"
            due = (await heads(store, 300, receiver="chat"))[1:]
        [ended] = due
        assert (ended.owed, ended.event.sequence) == (frozenset({fingerprint(ERROR, going.key)}), 3)
        assert [alert.status for alert in ended.event.alerts] == [RESOLVED]

    async def test_an_update_after_the_end_does_not_say_that_it_fires(self, store: AnyStore) -> None:
        going, again = await self.updating(store)
        await store.record([failed(again, 61, again_s=None)])
        await store.commit([going.sees("BUILDING", 75)], now=at(75))
        await deliver(store, 76, receiver="chat")
        await store.retry(None, now=at(80))
        [late] = await heads(store, 80, receiver="chat")
        assert (late.event.alerts, late.event.reason) == ((), WHY)

    async def test_a_dead_update_does_not_make_held_back_what_was_told(self, store: AnyStore) -> None:
        _, again = await self.updating(store)
        await store.record([suppressed(again, 61, Suppression.SILENCE, "s1")])
        assert list(await store.held("chat")) == []
