"""What every store must do with alerts: who is told of their ends and repeats, and who need not be."""

from __future__ import annotations

from tests.contract.stores import (
    KEYS,
    AnyStore,
    Course,
    deliver,
    delivered,
    failed,
    heads,
    sequences,
    suppressed,
)
from tests.fakes.values import at
from watcher.core.alerts import ERROR, FLAPPING, STUCK, fingerprint
from watcher.core.model import AlertStatus, Delivery, InstanceKey, Suppression
from watcher.core.quiet import Acknowledgement

OF_ERROR = fingerprint(ERROR, KEYS[0])
FIRING, RESOLVED = AlertStatus.FIRING, AlertStatus.RESOLVED
FLAPS = [*["BUILT", "ERROR"] * 3, "BUILT"]  # flapping by the last, with the rules' six changes


def told(delivery: Delivery) -> list[tuple[str, AlertStatus]]:
    """The alerts of its event."""
    return [(alert.name, alert.status) for alert in delivery.event.alerts]


class TestPairing:
    """Whoever was to be told that an alert fires is to be told of its end."""

    async def test_the_end_goes_to_whom_the_beginning_went(self, store: AnyStore) -> None:
        going = Course()
        await store.commit([going.sees("BUILDING", 0), going.sees("ERROR", 15, "hooks")], now=at(15))
        await store.commit([going.sees("BUILT", 30, "chat")], now=at(30))
        [fired, ended] = await heads(store)
        assert (fired.is_routed, ended.is_routed) == (True, False)
        [routed] = await heads(store, receiver="chat")
        assert routed.is_routed
        assert told(ended) == told(routed) == [(ERROR, RESOLVED)]

    async def test_routed_itself_it_is_one_delivery(self, store: AnyStore) -> None:
        going = Course()
        changes = [going.sees("BUILDING", 0), going.sees("ERROR", 15, "hooks"), going.sees("BUILT", 30, "hooks")]
        await store.commit(changes, now=at(30))
        assert [delivery.is_routed for delivery in await heads(store)] == [True, True]

    async def test_beginning_and_end_in_one_commit(self, store: AnyStore) -> None:
        going = Course()
        changes = [going.sees("BUILDING", 0), going.sees("ERROR", 15, "hooks"), going.sees("BUILT", 30)]
        await store.commit(changes, now=at(30))
        assert sequences(await heads(store)) == [2, 3]

    async def test_owed_is_what_was_accepted(self, store: AnyStore) -> None:
        going = Course()
        changes = [
            going.sees("BUILDING", 0),
            going.sees("ERROR", 15, "hooks", "chat", "pager"),
            going.sees("BUILT", 30),
        ]
        await store.commit(changes, now=at(30))
        for receiver, attempt in (
            ("hooks", delivered((await heads(store))[0], 60)),
            ("chat", failed((await heads(store, receiver="chat"))[0], 60, again_s=None)),
            ("pager", suppressed((await heads(store, receiver="pager"))[0], 60, Suppression.SILENCE)),
        ):
            assert (await heads(store, receiver=receiver))[1].owed == frozenset()
            await store.record([attempt])
        owed = {name: (await heads(store, receiver=name))[0].owed for name in ("hooks", "chat", "pager")}
        assert owed == {"hooks": {OF_ERROR}, "chat": frozenset(), "pager": frozenset()}

    async def test_an_alert_and_the_one_before_are_two(self, store: AnyStore) -> None:
        going = Course()
        await store.commit([going.sees("BUILDING", 0), going.sees("ERROR", 15, "hooks")], now=at(15))
        await store.commit([going.sees("BUILT", 30), going.sees("ERROR", 45, "chat")], now=at(45))
        await deliver(store, 60)
        await store.commit([going.sees("BUILT", 75)], now=at(75))
        assert await heads(store, 75) == []
        [_, ended] = await heads(store, 75, receiver="chat")
        assert ended.owed == frozenset()

    async def test_what_begins_with_an_end_is_told_to_whom_it_is_routed(self, store: AnyStore) -> None:
        going = Course()
        await store.commit([going.sees("BUILDING", 0), going.rings(8000, "hooks")], now=at(8000))
        await store.commit([going.sees("ERROR", 8015, "chat")], now=at(8015))
        _, ended = await heads(store, 8015)
        [routed] = await heads(store, 8015, receiver="chat")
        assert told(ended) == [(STUCK, RESOLVED)]
        assert told(routed) == [(ERROR, FIRING), (STUCK, RESOLVED)]


class TestRepeats:
    """Reminders, and the end of flapping: they say again what fires still."""

    async def test_a_reminder_goes_to_whom_the_alert_went(self, store: AnyStore) -> None:
        going = Course()
        await store.commit([going.sees("BUILDING", 0), going.sees("ERROR", 15, "hooks")], now=at(15))
        await deliver(store, 60)
        await store.commit([going.rings(20000)], now=at(20000))
        [reminder] = await heads(store, 20000)
        assert (reminder.is_routed, told(reminder)) == (True, [(ERROR, FIRING)])

    async def test_a_reminder_says_only_what_is_its_receivers(self, store: AnyStore) -> None:
        going = Course()
        await store.commit([going.sees("BUILDING", 0), going.sees("ERROR", 15, "hooks")], now=at(15))
        await store.commit([going.sees(None, 30), going.sees(None, 45, "chat")], now=at(45))
        await store.commit([going.rings(20000)], now=at(20000))
        assert [told(each) for each in (await heads(store, 20000))[1:]] == [[(ERROR, FIRING)]]
        assert [told(each) for each in (await heads(store, 20000, receiver="chat"))[1:]] == [[("missing", FIRING)]]

    async def test_the_end_of_flapping_says_what_fires_to_whom_it_is_to_be_told(self, store: AnyStore) -> None:
        going = Course()
        changes = [going.sees(status, 15.0 * turn) for turn, status in enumerate(FLAPS[:-1])]
        changes += [going.sees(FLAPS[-1], 90, "hooks"), going.sees("ERROR", 105, "chat")]
        await store.commit(changes, now=at(105))
        assert going.state is not None
        assert {alert.name for alert in going.state.alerts} == {ERROR, FLAPPING}
        await store.commit([going.rings(3000)], now=at(3000))
        ended, repeated = (await heads(store, 3000))[-1], (await heads(store, 3000, receiver="chat"))[-1]
        assert ended.event.id == repeated.event.id
        assert (ended.is_routed, told(ended)) == (False, [(FLAPPING, RESOLVED)])
        assert (repeated.is_routed, told(repeated)) == (True, [(FLAPPING, RESOLVED), (ERROR, FIRING)])

    async def test_acknowledged_is_what_somebody_has_taken_on(self, store: AnyStore) -> None:
        going = Course()
        await store.commit([going.sees("BUILDING", 0), going.sees("ERROR", 15, "hooks")], now=at(15))
        await store.acknowledge(taken(15))
        await store.acknowledge(taken(14))
        [fired] = await deliver(store, 60)
        assert fired.acknowledged == frozenset()
        await store.commit([going.rings(20000)], now=at(20000))
        [reminder] = await heads(store, 20000)
        assert reminder.acknowledged == {OF_ERROR}

    async def test_one_acknowledgement_of_an_alert_replaces_another(self, store: AnyStore) -> None:
        first, other, again = taken(15), taken(16), taken(15, author="ben")
        for each in (first, other, again):
            await store.acknowledge(each)
        assert {each.starts_at: each for each in await store.acknowledgements()} == {at(15): again, at(16): other}


def taken(starts_s: float, *, author: str = "anna") -> Acknowledgement:
    return Acknowledgement(
        fingerprint=OF_ERROR, starts_at=at(starts_s), author=author, comment="on it", created_at=at(100)
    )


class TestHeld:
    """What was kept quiet and is yet to be told."""

    async def keep_quiet(self, store: AnyStore, why: Suppression = Suppression.SILENCE, seconds: float = 60) -> None:
        due = await heads(store, seconds)
        await store.record([suppressed(each, seconds, why, "silence s1 by anna") for each in due])

    async def test_it_is_held_while_the_alert_fires(self, store: AnyStore) -> None:
        going = Course()
        await store.commit([going.sees("BUILDING", 0, "hooks"), going.sees("ERROR", 15, "hooks")], now=at(15))
        assert list(await store.held("hooks")) == []
        await self.keep_quiet(store)
        [held] = await store.held("hooks")
        assert (held.event.sequence, held.held_by) == (2, "silence s1 by anna")
        assert list(await store.held("chat")) == []
        await store.commit([going.sees("BUILT", 75)], now=at(75))
        assert list(await store.held("hooks")) == []

    async def test_only_what_was_quiet_is_held(self, store: AnyStore) -> None:
        for number, why in enumerate(Suppression):
            going = Course(InstanceKey("prod", f"kept-back-{number}"))
            await store.commit([going.sees("ERROR", 100.0 * number, "hooks")], now=at(100 * number))
            await self.keep_quiet(store, why, 100 * number)
        reasons = [delivery.event.observed_at for delivery in await store.held("hooks")]
        quiet = [Suppression.SILENCE, Suppression.MAINTENANCE]
        assert reasons == [at(100 * list(Suppression).index(why)) for why in quiet]

    async def test_what_was_told_otherwise_is_not_held(self, store: AnyStore) -> None:
        going = Course()
        await store.commit([going.sees("BUILDING", 0), going.sees("ERROR", 15, "hooks")], now=at(15))
        await self.keep_quiet(store)
        await store.commit([going.rings(20000)], now=at(20000))
        await deliver(store, 20000)
        assert list(await store.held("hooks")) == []

    async def test_the_newest_that_says_it_is_held(self, store: AnyStore) -> None:
        going = Course()
        await store.commit([going.sees("BUILDING", 0), going.sees("ERROR", 15, "hooks")], now=at(15))
        await self.keep_quiet(store)
        for seconds in (20000, 40000):
            await store.commit([going.rings(seconds)], now=at(seconds))
            await self.keep_quiet(store, seconds=seconds)
        assert sequences(await store.held("hooks")) == [4]
