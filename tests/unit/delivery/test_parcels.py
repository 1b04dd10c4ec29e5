from __future__ import annotations

from collections.abc import Collection, Sequence

from tests.fakes.values import at, event
from watcher.core.model import Delivery, InstanceKey
from watcher.core.ports import Waiting
from watcher.delivery.parcels import DIGEST_EVENTS, Parcel, choose, digest_id_of


def waiting(*instances: str, digests: Sequence[str | None] = (), size: int = 100) -> list[Waiting]:
    """One delivery for each name, in this order, with ids from 1."""
    of = [*digests, *[None] * len(instances)]
    return [
        Waiting(id=number, key=InstanceKey("prod", name), digest_id=of[number - 1], size=size)
        for number, name in enumerate(instances, 1)
    ]


def chosen(
    rows: Sequence[Waiting],
    *,
    busy: Collection[str] = (),
    room: int = 8,
    is_idle: bool = True,
    digest_over: int = 10,
    digest_bytes: int | None = None,
) -> list[Parcel]:
    return choose(
        rows,
        busy={InstanceKey("prod", name) for name in busy},
        room=room,
        is_idle=is_idle,
        digest_over=digest_over,
        digest_bytes=digest_bytes,
    )


def ids(parcels: Sequence[Parcel]) -> list[tuple[int, ...]]:
    return [parcel.ids for parcel in parcels]


def test_the_oldest_of_each_instance_as_many_as_there_is_room_for() -> None:
    assert ids(chosen(waiting(*"aabbc"))) == [(1,), (3,), (5,)]
    assert ids(chosen(waiting(*"aabbc"), room=2)) == [(1,), (3,)]
    assert ids(chosen(waiting(*"aabbc"), room=0)) == []


def test_none_of_an_instance_that_has_one_under_way() -> None:
    assert ids(chosen(waiting(*"aabbc"), busy="ac")) == [(3,)]


def test_more_than_so_many_are_one_digest() -> None:
    rows = waiting(*"aabbc")
    assert ids(chosen(rows, digest_over=5)) == [(1,), (3,), (5,)]
    assert ids(chosen(rows, digest_over=4)) == [(1, 2, 3, 4, 5)]
    assert ids(chosen(rows, digest_over=0)) == [(1,), (3,), (5,)]


def test_a_digest_waits_until_nothing_is_under_way() -> None:
    assert chosen(waiting(*"aabbc"), digest_over=2, is_idle=False) == []
    assert chosen(waiting(*"aabbc"), digest_over=2, room=0) == []


def test_a_digest_has_its_limits() -> None:
    rows = waiting(*"abcdef")
    assert ids(chosen(rows, digest_over=2, digest_bytes=350)) == [(1, 2, 3)]
    assert ids(chosen(rows, digest_over=2, digest_bytes=1)) == [(1,)]  # what is too large by itself goes by itself
    assert ids(chosen(waiting(*"aabcd", digests=["dig_1"]), digest_over=2, digest_bytes=250, busy="a")) == [(3, 4)]
    many = waiting(*map(str, range(DIGEST_EVENTS + 5)))
    assert len(chosen(many)[0].ids) == DIGEST_EVENTS


def test_one_formed_before_goes_as_it_was_formed() -> None:
    rows = waiting(*"abcd", digests=["dig_1", "dig_1"])
    assert chosen(rows) == [Parcel((1, 2), "dig_1"), Parcel((3,)), Parcel((4,))]
    assert ids(chosen(rows, busy="b")) == [(3,), (4,)]


def test_the_order_of_an_instance_holds_across_digests() -> None:
    rows = waiting(*"aba", digests=["dig_1", "dig_1"])
    assert chosen(rows) == [Parcel((1, 2), "dig_1")]
    assert ids(chosen(rows, busy="b")) == []  # the third waits for the first, which waits with the second
    late = waiting(*"aab", digests=[None, "dig_1", "dig_1"])
    assert ids(chosen(late)) == [(1,)]


def test_while_too_many_wait_one_formed_before_goes_first_and_keeps_its_instances_out_of_the_next() -> None:
    rows = waiting(*"abacde", digests=["dig_1", "dig_1"])
    assert chosen(rows, digest_over=2) == [Parcel((1, 2), "dig_1")]
    assert chosen(rows, digest_over=2, is_idle=False) == [Parcel((1, 2), "dig_1")]
    assert ids(chosen(rows, digest_over=2, busy="a")) == [(4, 5, 6)]


def test_two_formed_with_one_instance_in_common_go_one_after_the_other() -> None:
    rows = waiting(*"abac", digests=["dig_1", "dig_1", "dig_2", "dig_2"])
    assert chosen(rows) == [Parcel((1, 2), "dig_1")]


def delivery(id: int, *, queued_s: float = 0) -> Delivery:  # noqa: A002 - its name
    told = event(id=f"evt_{id}")
    return Delivery(
        id=id, receiver="hooks", event=told, attempts=0, queued_at=at(queued_s), next_attempt_at=at(queued_s)
    )


def test_the_same_deliveries_are_the_same_digest_until_they_are_queued_anew() -> None:
    one, two = delivery(1), delivery(2)
    assert digest_id_of([one, two]) == digest_id_of(iter([one, two]))
    assert len({digest_id_of(each) for each in ([one], [one, two], [two, one], [one, delivery(2, queued_s=9)])}) == 4
    assert digest_id_of([one]).startswith("dig_")
