"""What every store must do: states, events, and deliveries in their order. A new one joins in `conftest`."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

from tests.contract.stores import (
    KEYS,
    AnyStore,
    Course,
    course,
    delivered,
    failed,
    heads,
    sequences,
    suppressed,
)
from tests.fakes.values import at
from watcher.core.lessons import SAMPLES_KEPT
from watcher.core.model import DeliveryState, InstanceKey, Step, Suppression
from watcher.core.ports import Change

PENDING, DEAD = DeliveryState.PENDING, DeliveryState.DEAD


def step(duration_s: float, *, source: str = "prod", image_source: str = "gold", status: str = "BUILDING") -> Step:
    return Step(source=source, image_source=image_source, status=status, duration_s=duration_s)


class TestStates:
    """What was seen."""

    async def test_states_come_back_as_they_were(self, store: AnyStore) -> None:
        flapping = course(KEYS[4], *["ERROR", "BUILT"] * 5, "ERROR")
        changes = [
            course(KEYS[0], "BUILDING", "ERROR"),
            course(KEYS[1], None, None),
            course(KEYS[2], "DELETING", None),
            flapping,
            course(InstanceKey("other", "0"), "NULL"),
        ]
        await store.commit(changes, now=at(60))
        assert await store.load("prod") == {change.state.key: change.state for change in changes[:4]}
        assert list(await store.load("other")) == [InstanceKey("other", "0")]
        assert flapping.state.flaps
        assert flapping.state.told_at
        assert flapping.state.changed_at

    async def test_very_many_states_come_back_all(self, store: AnyStore) -> None:
        state = course(KEYS[0], "BUILT").state
        changes = [Change(state=replace(state, key=InstanceKey("prod", str(number)))) for number in range(10_001)]
        await store.commit([*changes, course(InstanceKey("other", "0"), "BUILT")], now=at(0))
        assert await store.load("prod") == {change.state.key: change.state for change in changes}

    async def test_absences_and_parts_of_milliseconds_are_not_kept(self, store: AnyStore) -> None:
        change = course(KEYS[0], "BUILT")
        state = replace(change.state, absences=1, since=at(0.0019))
        await store.commit([Change(state=state)], now=at(0))
        assert await store.load("prod") == {KEYS[0]: replace(state, absences=0, since=at(0.001))}

    async def test_a_state_is_replaced(self, store: AnyStore) -> None:
        await store.commit([course(KEYS[0], "BUILDING")], now=at(0))
        later = course(KEYS[0], "BUILDING", "BUILT")
        await store.commit([later], now=at(15))
        assert await store.load("prod") == {KEYS[0]: later.state}

    async def test_who_alerts_beyond_the_sources(self, store: AnyStore) -> None:
        states = [course(KEYS[0], "ERROR"), course(InstanceKey("gone", "1"), "ERROR")]
        await store.commit([*states, course(InstanceKey("gone", "2"), "BUILT")], now=at(0))
        assert await store.alerting_beyond(["prod"]) == [states[1].state]

    async def test_the_latest_steps_of_each_sort_are_kept(self, store: AnyStore) -> None:
        built = [step(float(seconds)) for seconds in range(SAMPLES_KEPT + 3)]
        others = (step(1.0, image_source="silver"), step(2.0, source="other"), step(0.0019))
        state = course(KEYS[0], "BUILT").state
        await store.commit([Change(state=state, steps=tuple(built))], now=at(0))
        await store.commit([Change(state=state, steps=others)], now=at(1))
        expected = [*built[4:], others[0], step(0.002)]
        assert list(await store.steps("prod")) == expected
        assert list(await store.steps("other")) == [others[1]]


class TestEvents:
    """What was told of it."""

    async def test_an_event_is_written_once_and_delivered_once(self, store: AnyStore) -> None:
        for _ in range(2):
            await store.commit([course(KEYS[0], "BUILDING", "BUILT", receivers=("hooks", "chat"))], now=at(15))
        assert [event.sequence for _, event in await store.history()] == [1, 2]
        assert await store.unfinished() == {("hooks", PENDING): 2, ("chat", PENDING): 2}

    async def test_history_is_read_on_from_a_position(self, store: AnyStore) -> None:
        await store.commit([course(key, "BUILT") for key in KEYS], now=at(0))
        first = await store.history(limit=2)
        rest = await store.history(after=first[-1][0])
        assert [event.instance_id for _, event in first + rest] == [key.id for key in KEYS]

    async def test_writers_at_the_same_time_take_turns(self, store: AnyStore) -> None:
        async def write(key: InstanceKey) -> None:
            for length in range(1, 6):
                await store.commit([course(key, *(["BUILDING", "BUILT"] * 3)[:length])], now=at(length))

        await asyncio.gather(*map(write, KEYS))
        assert {state.sequence for state in (await store.load("prod")).values()} == {5}
        assert len(await store.history()) == 25


class TestOrder:
    """What waits, and for what."""

    async def test_all_that_is_due_waits_oldest_first(self, store: AnyStore) -> None:
        await store.commit([course(key, "BUILDING", "BUILT") for key in KEYS[:2]], now=at(30))
        waiting = await store.waiting("hooks", now=at(30), limit=10)
        assert [(each.key.id, each.digest_id) for each in waiting] == [("0", None)] * 2 + [("1", None)] * 2
        assert all(each.size > 100 for each in waiting)
        assert [each.id for each in waiting] == sorted(each.id for each in waiting)
        assert list(await store.waiting("hooks", now=at(30), limit=3)) == list(waiting)[:3]
        assert list(await store.waiting("hooks", now=at(29), limit=10)) == []
        assert list(await store.waiting("chat", now=at(30), limit=10)) == []

    async def test_deliveries_are_told_as_they_are(self, store: AnyStore) -> None:
        await store.commit([course(KEYS[0], "BUILDING", "BUILT")], now=at(30))
        first, second = await heads(store)
        assert (first.receiver, first.attempts, first.queued_at, first.next_attempt_at) == ("hooks", 0, at(30), at(30))
        assert (first.digest_id, first.held_by, first.is_routed, first.owed) == (None, None, True, frozenset())
        assert list(await store.deliveries_of([second.id, first.id])) == [first, second]
        assert list(await store.deliveries_of([])) == []

    async def test_a_failed_one_is_due_again_at_its_time_and_holds_back_its_instance_only(
        self, store: AnyStore
    ) -> None:
        await store.commit([course(key, "BUILDING", "BUILT") for key in KEYS[:2]], now=at(30))
        first, _, *others = await heads(store)
        await store.record([failed(first, 60, again_s=100)])
        assert await heads(store, 99) == others
        again, *_ = await heads(store, 100)
        assert (again.id, again.attempts, again.next_attempt_at) == (first.id, 1, at(100))

    async def test_when_the_next_is_due(self, store: AnyStore) -> None:
        await store.commit([course(KEYS[0], "BUILDING", "BUILT")], now=at(30))
        assert await store.next_due_at("hooks", now=at(29)) == at(30)
        assert await store.next_due_at("hooks", now=at(30)) is None
        first, _ = await heads(store)
        await store.record([failed(first, 60, again_s=100)])
        assert await store.next_due_at("hooks", now=at(60)) == at(100)
        assert await store.next_due_at("chat", now=at(0)) is None

    async def test_a_dead_one_no_longer_holds_back_its_instance(self, store: AnyStore) -> None:
        await store.commit([course(KEYS[0], "BUILDING", "BUILT")], now=at(30))
        first, _ = await heads(store)
        await store.record([failed(first, 60, again_s=100)])
        assert await heads(store) == []
        await store.record([failed(first, 61, again_s=None)])
        assert sequences(await heads(store)) == [2]
        assert await store.unfinished() == {("hooks", PENDING): 1, ("hooks", DEAD): 1}

    async def test_whatever_waits_for_another_try_is_made_due(self, store: AnyStore) -> None:
        await store.commit([course(key, "BUILT", receivers=("hooks", "chat")) for key in KEYS[:3]], now=at(30))
        first, second, third = await heads(store)
        other, *_ = await heads(store, receiver="chat")
        await store.record([failed(each, 60, again_s=500) for each in (first, second, other)])
        await store.make_due("hooks", now=at(90))
        assert [each.next_attempt_at for each in await heads(store, 90)] == [at(90), at(90), third.next_attempt_at]
        assert len(await heads(store, 90, receiver="chat")) == 2

    async def test_what_waits_for_longer_than_anything_should_is_made_due(self, store: AnyStore) -> None:
        await store.commit([course(key, "BUILT") for key in KEYS[:2]], now=at(30))
        soon, late = await heads(store)
        await store.record([failed(soon, 60, again_s=100), failed(late, 60, again_s=101)])
        await store.make_due("hooks", now=at(90), beyond=timedelta(seconds=10))
        assert await store.next_due_at("hooks", now=at(90)) == at(100)
        assert [each.id for each in await heads(store, 90)] == [late.id]

    async def test_what_is_pending_for_longest(self, store: AnyStore) -> None:
        assert await store.oldest_pending_at() is None
        for turn, key in enumerate(KEYS[:2]):
            await store.commit([course(key, "BUILT")], now=at(30 + turn))
        assert await store.oldest_pending_at() == at(30)
        first, _ = await heads(store)
        await store.record([delivered(first, 60)])
        assert await store.oldest_pending_at() == at(31)


class TestAnew:
    """What is tried as if it were new."""

    async def test_requeued_it_is_as_new(self, store: AnyStore) -> None:
        await store.commit([course(key, "BUILT") for key in KEYS[:2]], now=at(30))
        first, second = await heads(store)
        await store.record([failed(first, 60, again_s=70), suppressed(second, 60, Suppression.SILENCE, "silence s1")])
        await store.record([failed(replace(first, attempts=1), 70, again_s=None)])
        await store.requeue([first.id, second.id], now=at(1000), digest_id="dig_1")
        again = await heads(store, 1000)
        assert [(each.attempts, each.queued_at, each.next_attempt_at, each.digest_id) for each in again] == [
            (0, at(1000), at(1000), "dig_1")
        ] * 2
        assert [each.held_by for each in again] == [None, "silence s1"]
        assert await store.unfinished() == {("hooks", PENDING): 2}

    async def test_dead_letters_are_retried_with_the_ends_kept_back_for_them(self, store: AnyStore) -> None:
        one, other = Course(), Course(KEYS[1])
        for going in (one, other):
            await store.commit([going.sees("BUILDING", 0), going.sees("ERROR", 15, "hooks")], now=at(15))
            await store.commit([going.sees("BUILT", 30)], now=at(30))
        deliveries = await heads(store)
        fired = [each for each in deliveries if each.is_routed]
        ended = [each for each in deliveries if not each.is_routed]
        assert len(fired) == len(ended) == 2
        await store.record([failed(each, 60, again_s=None) for each in fired])
        await store.record([suppressed(each, 61, Suppression.NEVER_FIRED) for each in ended])
        assert await store.retry([fired[0].id], now=at(100)) == 1
        again = await heads(store, 100)
        assert [(each.id, each.attempts, each.queued_at) for each in again] == [
            (fired[0].id, 0, at(100)),
            (ended[0].id, 0, at(100)),
        ]
        assert await store.retry(None, now=at(101)) == 1
        assert len(await heads(store, 101)) == 4
        assert await store.retry(None, now=at(102)) == 0

    async def test_what_was_kept_back_for_another_reason_is_not_retried(self, store: AnyStore) -> None:
        await store.commit([course(KEYS[0], "BUILDING", "BUILT", "BUILDING")], now=at(30))
        first, *others = await heads(store)
        await store.record([failed(first, 60, again_s=None), suppressed(others[0], 60, Suppression.SILENCE)])
        assert await store.retry(None, now=at(100)) == 1
        assert sequences(await heads(store, 100)) == [1, 3]

    async def test_what_nobody_will_send_is_buried(self, store: AnyStore) -> None:
        await store.commit([course(KEYS[0], "BUILT", receivers=("hooks", "gone"))], now=at(30))
        assert await store.bury(receivers=["hooks"], now=at(60)) == 1
        assert await store.unfinished() == {("hooks", PENDING): 1, ("gone", DEAD): 1}
        assert await store.bury(receivers=["hooks"], now=at(61)) == 0
