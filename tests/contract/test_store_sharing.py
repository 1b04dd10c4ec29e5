"""What a store must do that several replicas share: who is there, who holds what, whose write is not to be taken."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from tests.contract.sharing import LASTS_S, NAMES, holding, replica
from tests.contract.stores import KEYS, AnyStore, Course, course, delivered, failed, heads, suppressed
from tests.fakes.values import START, at
from watcher.core.errors import LeaseLostError
from watcher.core.model import DeliveryState, Suppression
from watcher.core.sharing import Lease, Wish

pytestmark = pytest.mark.parametrize("store", ["postgres", "model"], indirect=True)

DEAD_S = -1.0  # it has expired before it begins
SOON_S = 0.01  # the server has been up for longer


async def holders(store: AnyStore, key: str = "looks") -> dict[str, str]:
    """Who holds what, as one that buries nobody is told."""
    await store.join(replica(key), lasts_s=LASTS_S)
    roster = await store.beat(replica(key), lasts_s=LASTS_S, buries=False)
    assert roster is not None
    return dict(roster.holders)


async def bury(store: AnyStore) -> None:
    """Somebody finds out who is dead."""
    await store.join(replica("sexton"), lasts_s=LASTS_S)
    await store.beat(replica("sexton"), lasts_s=SOON_S, buries=True)
    await store.beat(replica("sexton"), lasts_s=LASTS_S, buries=False)


class TestReplicas:
    """Who is there."""

    async def test_a_replica_is_known_from_when_it_joins_until_it_leaves(self, store: AnyStore) -> None:
        await store.join(replica("a"), lasts_s=LASTS_S)
        await store.join(replica("b"), lasts_s=LASTS_S)
        roster = await store.beat(replica("a", is_draining=True, unwell="disk full"), lasts_s=LASTS_S, buries=True)
        assert roster is not None
        [first, second] = roster.replicas
        assert (first.id, first.name, first.version, first.started_at) == ("a", "host-a", "1", START)
        assert (first.is_draining, first.unwell, first.configured) == (True, "disk full", frozenset(NAMES))
        assert (second.id, second.is_draining, second.unwell) == ("b", False, None)
        await store.leave("a")
        roster = await store.beat(replica("b"), lasts_s=LASTS_S, buries=True)
        assert roster is not None
        assert [each.id for each in roster.replicas] == ["b"]

    async def test_who_does_not_beat_is_buried_by_who_does(self, store: AnyStore) -> None:
        await holding(store, "a", *NAMES, lasts_s=DEAD_S)
        assert await holders(store) == dict.fromkeys(NAMES, "a")
        await bury(store)
        assert await holders(store) == {}
        assert await store.beat(replica("a"), lasts_s=LASTS_S, buries=False) is None

    async def test_who_beats_just_before_it_is_buried_lives(self, store: AnyStore) -> None:
        await holding(store, "a", *NAMES, lasts_s=DEAD_S)
        assert await store.beat(replica("a"), lasts_s=LASTS_S, buries=True) is not None
        await bury(store)
        assert await holders(store) == dict.fromkeys(NAMES, "a")

    async def test_a_beat_revives_nobody(self, store: AnyStore) -> None:
        assert await store.beat(replica("a"), lasts_s=LASTS_S, buries=True) is None
        assert await store.take("a", Wish(NAMES, 3)) == []

    async def test_joining_again_changes_nothing(self, store: AnyStore) -> None:
        held = await holding(store, "a", "source/prod")
        await store.join(replica("a"), lasts_s=LASTS_S)
        await store.under(held[0]).commit([course(KEYS[0], "BUILT")], now=at(0))

    async def test_two_that_take_each_other_to_be_dead_do_not_wait_for_one_another(self, store: AnyStore) -> None:
        for key in "ab":
            await store.join(replica(key), lasts_s=DEAD_S)
        beats = (store.beat(replica(key), lasts_s=SOON_S, buries=True) for key in "ab")
        rosters = await asyncio.gather(*beats)
        assert any(roster is not None for roster in rosters)


class TestLeases:
    """Who holds what."""

    async def test_a_lease_has_one_holder(self, store: AnyStore) -> None:
        for key in "ab":
            await store.join(replica(key), lasts_s=LASTS_S)
        taken = await asyncio.gather(*(store.take(key, Wish(NAMES, 3)) for key in "abab"))
        leases = [lease for each in taken for lease in each]
        assert sorted(lease.name for lease in leases) == NAMES
        assert await holders(store) == {lease.name: lease.holder for lease in leases}

    async def test_no_more_is_taken_than_is_wished_for(self, store: AnyStore) -> None:
        await store.join(replica("a"), lasts_s=LASTS_S)
        [first] = await store.take("a", Wish(NAMES, 1))
        more = await store.take("a", Wish([*NAMES, "source/other"], 2))
        assert len({first.name, *(lease.name for lease in more)}) == 3

    async def test_who_has_not_joined_takes_nothing(self, store: AnyStore) -> None:
        assert await store.take("a", Wish(NAMES, 3)) == []

    async def test_the_token_is_another_each_time(self, store: AnyStore) -> None:
        [first] = await holding(store, "a", "source/prod")
        await store.release([first])
        [second] = await store.take("a", Wish(["source/prod"], 1))
        assert second.token > first.token
        await store.leave("a")
        [third] = await holding(store, "b", "source/prod")
        assert third.token > second.token

    async def test_the_roster_has_the_tokens(self, store: AnyStore) -> None:
        held = await holding(store, "a", *NAMES)
        roster = await store.beat(replica("a"), lasts_s=LASTS_S, buries=False)
        assert roster is not None
        assert roster.tokens == {lease.name: lease.token for lease in held}

    async def test_what_was_taken_again_is_not_released_by_an_old_token(self, store: AnyStore) -> None:
        [first] = await holding(store, "a", "source/prod")
        await store.release([first])
        await store.take("a", Wish(["source/prod"], 1))
        await store.release([first])
        assert await holders(store) == {"source/prod": "a"}

    async def test_nobody_releases_what_is_others(self, store: AnyStore) -> None:
        [mine] = await holding(store, "a", "source/prod")
        await store.release([Lease("source/prod", "b", mine.token)])
        assert await holders(store) == {"source/prod": "a"}

    async def test_who_leaves_holds_nothing(self, store: AnyStore) -> None:
        await holding(store, "a", *NAMES)
        await store.leave("a")
        assert await holders(store) == {}


Write = Callable[[AnyStore], Awaitable[object]]
WRITES: dict[str, Write] = {
    "commit": lambda store: store.commit([course(KEYS[1], "BUILT")], now=at(0)),
    "claim": lambda store: store.claim([1]),
    "form_digest": lambda store: store.form_digest("d1", [1]),
    "make_due": lambda store: store.make_due("hooks", now=at(0)),
    "requeue": lambda store: store.requeue([1], now=at(0)),
}


class TestFencing:
    """Whose writes are not to be taken."""

    @pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
    async def test_who_holds_the_lease_writes_and_nobody_else(self, store: AnyStore, write: Write) -> None:
        await store.commit([course(KEYS[0], "BUILT")], now=at(0))
        [old] = await holding(store, "a", "receiver/hooks")
        await write(store.under(old))
        await store.release([old])
        with pytest.raises(LeaseLostError):
            await write(store.under(old))
        [new] = await holding(store, "b", "receiver/hooks")
        await write(store.under(new))
        with pytest.raises(LeaseLostError):
            await write(store.under(old))

    async def test_the_same_replica_by_an_older_token_does_not(self, store: AnyStore) -> None:
        [old] = await holding(store, "a", "source/prod")
        await store.release([old])
        await store.take("a", Wish(["source/prod"], 1))
        with pytest.raises(LeaseLostError):
            await WRITES["commit"](store.under(old))

    async def test_what_is_refused_is_not_written(self, store: AnyStore) -> None:
        [lease] = await holding(store, "a", "source/prod", lasts_s=DEAD_S)
        await bury(store)
        with pytest.raises(LeaseLostError):
            await store.under(lease).commit([course(KEYS[0], "BUILT")], now=at(0))
        assert await store.load("prod") == {}
        assert await heads(store) == []

    async def test_one_who_has_expired_and_is_not_yet_buried_may_write(self, store: AnyStore) -> None:
        [lease] = await holding(store, "a", "source/prod", lasts_s=DEAD_S)
        await store.under(lease).commit([course(KEYS[0], "BUILT")], now=at(0))

    async def test_without_a_lease_anybody_may(self, store: AnyStore) -> None:
        await holding(store, "a", *NAMES)
        await store.commit([course(KEYS[0], "BUILT")], now=at(0))
        await store.record([delivered(each, 1) for each in await heads(store)])


class TestClaims:
    """Who sends what."""

    async def test_what_others_send_is_not_due_nor_what_is_behind_it(self, store: AnyStore) -> None:
        await store.commit([course(KEYS[0], "BUILDING", "BUILT"), course(KEYS[1], "BUILT")], now=at(0))
        [first] = await holding(store, "a", "receiver/hooks")
        mine = store.under(first)
        [building, built, other] = await heads(mine)
        assert await mine.claim([building.id]) == {building.id}
        assert [each.id for each in await heads(mine)] == [building.id, built.id, other.id]
        await store.release([first])
        [second] = await holding(store, "b", "receiver/hooks")
        theirs = store.under(second)
        assert [each.id for each in await heads(theirs)] == [other.id]
        assert await theirs.claim([building.id, other.id]) == {other.id}

    async def test_what_is_recorded_after_the_lease_was_given_away_is_free(self, store: AnyStore) -> None:
        await store.commit([course(KEYS[0], "BUILDING", "BUILT")], now=at(0))
        [first] = await holding(store, "a", "receiver/hooks")
        mine = store.under(first)
        [building, built] = await heads(mine)
        await mine.claim([building.id])
        await store.release([first])
        [second] = await holding(store, "b", "receiver/hooks")
        theirs = store.under(second)
        await mine.record([failed(building, 1, again_s=2)])
        assert [each.attempts for each in await heads(theirs)] == [1, 0]
        assert await theirs.claim([building.id, built.id]) == {building.id, built.id}

    async def test_nothing_is_claimed_that_is_done(self, store: AnyStore) -> None:
        await store.commit([course(KEYS[0], "BUILT")], now=at(0))
        [lease] = await holding(store, "a", "receiver/hooks")
        mine = store.under(lease)
        [due] = await heads(mine)
        await mine.claim([due.id])
        await mine.record([delivered(due, 1)])
        assert await mine.claim([due.id, 12345]) == frozenset()

    async def test_a_record_that_is_written_twice_does_not_undo_what_others_did_since(self, store: AnyStore) -> None:
        await store.commit([course(KEYS[0], "BUILT")], now=at(0))
        [first] = await holding(store, "a", "receiver/hooks")
        mine = store.under(first)
        [due] = await heads(mine)
        await mine.claim([due.id])
        await mine.record([failed(due, 1, again_s=2)])  # and the answer is lost
        await store.release([first])
        [second] = await holding(store, "b", "receiver/hooks")
        theirs = store.under(second)
        [again] = await heads(theirs)
        await theirs.claim([again.id])
        await mine.record([failed(due, 1, again_s=2)])
        assert await heads(store.under((await holding(store, "c", "source/prod"))[0])) == []  # it is claimed still
        await theirs.record([delivered(again, 3)])
        await mine.record([failed(due, 1, again_s=2)])
        assert await heads(theirs) == []
        assert await store.unfinished() == {}

    async def test_who_is_buried_claims_and_records_nothing(self, store: AnyStore) -> None:
        await store.commit([course(KEYS[0], "BUILDING", "BUILT")], now=at(0))
        [first] = await holding(store, "a", "receiver/hooks", lasts_s=DEAD_S)
        mine = store.under(first)
        [building, built] = await heads(mine)
        await mine.claim([building.id])
        await bury(store)
        with pytest.raises(LeaseLostError):
            await mine.record([delivered(building, 1)])
        with pytest.raises(LeaseLostError):
            await mine.unclaim()
        [second] = await holding(store, "b", "receiver/hooks")
        assert [each.id for each in await heads(store.under(second))] == [building.id, built.id]

    async def test_who_leaves_claims_nothing(self, store: AnyStore) -> None:
        await store.commit([course(KEYS[0], "BUILT")], now=at(0))
        [first] = await holding(store, "a", "receiver/hooks")
        [due] = await heads(store.under(first))
        await store.under(first).claim([due.id])
        await store.leave("a")
        [second] = await holding(store, "b", "receiver/hooks")
        assert await store.under(second).claim([due.id]) == {due.id}

    @pytest.mark.parametrize("all_of_it", [True, False])
    async def test_what_is_not_sent_after_all_is_free(self, store: AnyStore, all_of_it: bool) -> None:
        await store.commit([course(KEYS[0], "BUILT"), course(KEYS[1], "BUILT")], now=at(0))
        [first] = await holding(store, "a", "receiver/hooks")
        mine = store.under(first)
        ids = [each.id for each in await heads(mine)]
        await mine.claim(ids)
        await store.release([first])
        await mine.unclaim(None if all_of_it else ids[:1])
        [second] = await holding(store, "b", "receiver/hooks")
        assert [each.id for each in await heads(store.under(second))] == (ids if all_of_it else ids[:1])

    async def test_what_is_not_sent_to_one_receiver_is_sent_to_another_all_the_same(self, store: AnyStore) -> None:
        await store.commit([course(KEYS[0], "BUILT", receivers=("hooks", "chat"))], now=at(0))
        hooks, chat = await holding(store, "a", "receiver/hooks", "receiver/chat")
        assert hooks.token == chat.token
        [to_hooks], [to_chat] = await heads(store), await heads(store, receiver="chat")
        await store.under(hooks).claim([to_hooks.id])
        await store.under(chat).claim([to_chat.id])
        await store.under(hooks).unclaim()
        await store.release([hooks, chat])
        await store.under(chat).unclaim([to_hooks.id])
        await store.join(replica("b"), lasts_s=LASTS_S)
        by_name = {each.name: each for each in await store.take("b", Wish(["receiver/hooks", "receiver/chat"], 2))}
        assert await store.under(by_name["receiver/hooks"]).claim([to_hooks.id]) == {to_hooks.id}
        assert await store.under(by_name["receiver/chat"]).claim([to_chat.id]) == frozenset()

    async def test_another_token_of_the_same_replica_claims_by_itself(self, store: AnyStore) -> None:
        await store.commit([course(KEYS[0], "BUILT")], now=at(0))
        [first] = await holding(store, "a", "receiver/hooks")
        [due] = await heads(store.under(first))
        await store.under(first).claim([due.id])
        await store.release([first])
        [second] = await store.take("a", Wish(["receiver/hooks"], 1))
        assert await store.under(second).claim([due.id]) == frozenset()
        await store.under(first).unclaim()
        assert await store.under(second).claim([due.id]) == {due.id}

    async def test_what_is_kept_back_is_claimed_no_more(self, store: AnyStore) -> None:
        await store.commit([course(KEYS[0], "BUILT")], now=at(0))
        [lease] = await holding(store, "a", "receiver/hooks")
        mine = store.under(lease)
        [due] = await heads(mine)
        await mine.claim([due.id])
        await mine.record([suppressed(due, 1, Suppression.SILENCE)])
        await mine.requeue([due.id], now=at(2))
        await store.release([lease])
        [second] = await holding(store, "b", "receiver/hooks")
        assert [each.id for each in await heads(store.under(second))] == [due.id]

    async def test_what_others_send_is_not_too_old(self, store: AnyStore) -> None:
        going = Course()
        await store.commit([going.sees("BUILDING", 0, "hooks")], now=at(0))
        await store.commit([going.sees("BUILT", 1, "hooks")], now=at(1))
        [first] = await holding(store, "a", "receiver/hooks")
        [building, _] = await heads(store.under(first))
        await store.under(first).claim([building.id])
        await store.release([first])
        [second] = await holding(store, "b", "receiver/hooks")
        late = at(0) + timedelta(days=1)
        assert await store.under(second).aged("hooks", before=late, limit=9) == []
        assert len(await store.under(first).aged("hooks", before=late, limit=9)) == 2

    async def test_what_somebody_sends_is_not_dead_though_its_receiver_is_gone(self, store: AnyStore) -> None:
        await store.commit([course(KEYS[0], "BUILT"), course(KEYS[1], "BUILT")], now=at(0))
        [lease] = await holding(store, "a", "receiver/hooks")
        [due, _] = await heads(store.under(lease))
        await store.under(lease).claim([due.id])
        assert await store.bury(receivers=[], now=at(1)) == 1
        await store.under(lease).record([delivered(due, 2)])
        assert await store.unfinished() == {("hooks", DeliveryState.DEAD): 1}
