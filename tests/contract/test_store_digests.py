"""What every store must do with digests and silences."""

from __future__ import annotations

from dataclasses import replace

from tests.contract.stores import KEYS, AnyStore, course, delivered, failed, heads
from tests.fakes.values import at
from watcher.core.quiet import Silence
from watcher.core.routing import Matcher


class TestDigests:
    """What is sent together."""

    async def test_a_digest_is_known_by_its_id(self, store: AnyStore) -> None:
        await store.commit([course(key, "BUILDING", "BUILT", receivers=("hooks", "chat")) for key in KEYS], now=at(30))
        first, second, third, *_ = await heads(store)
        await store.form_digest("dig_1", [first.id, third.id])
        assert [each.digest_id for each in await store.waiting("hooks", now=at(60), limit=3)] == [
            "dig_1",
            None,
            "dig_1",
        ]
        assert [each.id for each in await store.digest("hooks", "dig_1")] == [first.id, third.id]
        assert {each.digest_id for each in await store.digest("hooks", "dig_1")} == {"dig_1"}
        await store.form_digest(None, [first.id])
        assert [each.id for each in await store.digest("hooks", "dig_1")] == [third.id]
        assert second.digest_id is None

    async def test_two_receivers_may_be_told_the_same_digest(self, store: AnyStore) -> None:
        await store.commit([course(KEYS[0], "BUILDING", "BUILT", receivers=("hooks", "chat"))], now=at(30))
        ids = {name: [each.id for each in await heads(store, receiver=name)] for name in ("hooks", "chat")}
        for chosen in ids.values():
            await store.form_digest("dig_1", chosen)
        for name, chosen in ids.items():
            assert [each.id for each in await store.digest(name, "dig_1")] == chosen

    async def test_only_what_is_pending_is_part_of_it(self, store: AnyStore) -> None:
        await store.commit([course(KEYS[0], "BUILDING", "BUILT")], now=at(30))
        first, second = await heads(store)
        await store.form_digest("dig_1", [first.id, second.id])
        await store.record([delivered(replace(first, digest_id="dig_1"), 60)])
        assert [each.id for each in await store.digest("hooks", "dig_1")] == [second.id]

    async def test_digests_do_not_wait_for_what_is_earlier(self, store: AnyStore) -> None:
        await store.commit([course(KEYS[0], "BUILDING", "BUILT", "BUILDING")], now=at(30))
        first, second, third = await heads(store)
        await store.form_digest("dig_1", [second.id])
        await store.record([failed(first, 60, again_s=100)])
        assert [each.id for each in await heads(store, 60)] == [second.id]
        await store.record([delivered(replace(first, attempts=1), 100)])
        assert [each.id for each in await heads(store, 100)] == [second.id, third.id]

    async def test_a_try_may_put_it_into_another(self, store: AnyStore) -> None:
        await store.commit([course(KEYS[0], "BUILDING", "BUILT")], now=at(30))
        first, second = await heads(store)
        halves = [replace(first, digest_id="dig_2"), replace(second, digest_id=None)]
        await store.form_digest("dig_1", [first.id, second.id])
        await store.record([failed(each, 60, again_s=60) for each in halves])
        assert [each.digest_id for each in await heads(store)] == ["dig_2", None]

    async def test_a_digest_is_as_old_as_the_youngest_in_it(self, store: AnyStore) -> None:
        for turn, key in enumerate(KEYS):
            await store.commit([course(key, "BUILT", receivers=("hooks", "chat"))], now=at(100 * turn))
        loose, old, young, *_ = due = await heads(store, 1000)
        await store.form_digest("dig_1", [old.id, young.id])
        await store.form_digest("dig_1", [(await heads(store, 1000, receiver="chat"))[3].id])
        assert list(await store.aged("hooks", before=at(0), limit=10)) == []
        assert [each.id for each in await store.aged("hooks", before=at(100), limit=10)] == [loose.id]
        young_s = (young.queued_at - at(0)).total_seconds()
        assert [each.id for each in await store.aged("hooks", before=at(young_s), limit=10)] == [loose.id]
        aged = await store.aged("hooks", before=at(young_s + 1), limit=10)
        assert [each.id for each in aged] == [loose.id, old.id, young.id]
        assert [each.id for each in await store.aged("hooks", before=at(young_s + 1), limit=2)] == [loose.id, old.id]
        await store.record([delivered(each, 1000) for each in due])
        assert list(await store.aged("hooks", before=at(2000), limit=10)) == []


class TestSilences:
    """What people asked not to be told."""

    async def test_silences_come_back_as_they_were(self, store: AnyStore) -> None:
        later, first = silence("a", created_s=5), silence("b", created_s=1, match=MATCHER)
        for each in (later, first):
            await store.add_silence(each)
        assert await store.silences() == [first, later]

    async def test_an_active_one_ends(self, store: AnyStore) -> None:
        await store.add_silence(silence("a"))
        assert await store.expire_silence("a", now=at(50))
        assert await store.silences() == [replace(silence("a"), ends_at=at(50))]
        assert not await store.expire_silence("a", now=at(60))

    async def test_one_that_was_to_come_never_does(self, store: AnyStore) -> None:
        await store.add_silence(silence("a", starts_s=70))
        assert await store.expire_silence("a", now=at(50))
        [ended] = await store.silences()
        assert (ended.starts_at, ended.ends_at) == (at(50), at(50))
        assert not ended.is_active(at(50))

    async def test_one_that_is_not_there(self, store: AnyStore) -> None:
        assert not await store.expire_silence("a", now=at(50))


MATCHER = Matcher(kind=("transition",), to_status=("ERROR",), name=("office-*",), labels={"team": "vdi"})


def silence(name: str, *, starts_s: float = 10, created_s: float = 0, match: Matcher | None = None) -> Silence:
    return Silence(
        id=name,
        match=match or Matcher(),
        starts_at=at(starts_s),
        ends_at=at(100),
        author="anna",
        comment="a move",
        created_at=at(created_s),
    )
