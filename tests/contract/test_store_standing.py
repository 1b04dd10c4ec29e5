"""What every store must know of the alerts that receivers were told of, and of what receivers noted."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.contract.stores import AnyStore, Course, deliver
from tests.fakes.values import at
from watcher.core.alerts import ERROR, STUCK
from watcher.core.model import AlertStatus
from watcher.core.ports import Standing
from watcher.core.quiet import Acknowledgement
from watcher.store import Store

LONG_AGO = at(-3600)


async def standing(store: AnyStore, *, receiver: str = "hooks", since: float = 0) -> list[tuple[str, AlertStatus]]:
    found = await store.standing(receiver, ended_since=at(since))
    return [(each.alert.name, each.alert.status) for each in found]


async def in_error(store: AnyStore) -> Course:
    """An instance in ERROR, of which `hooks` was told, and `chat` was not yet."""
    going = Course()
    changes = [going.sees("BUILDING", 0), going.sees("ERROR", 15, "hooks", "chat")]
    await store.commit(changes, now=at(15))
    await deliver(store, 60)
    return going


async def test_what_was_told_and_fires(store: AnyStore) -> None:
    await in_error(store)
    [told] = await store.standing("hooks", ended_since=LONG_AGO)
    [alert] = told.event.alerts
    assert told == Standing(alert=alert, event=told.event)
    assert (alert.name, alert.status, alert.ends_at) == (ERROR, AlertStatus.FIRING, None)
    assert alert.labels == {"instance_name": "office-2026", "status": "ERROR"}


async def test_what_was_not_told_does_not_stand(store: AnyStore) -> None:
    await in_error(store)
    assert await standing(store, receiver="chat") == []
    assert await standing(store, receiver="nobody") == []


async def test_what_ended_stands_for_a_while_as_resolved(store: AnyStore) -> None:
    going = await in_error(store)
    await store.commit([going.sees("BUILDING", 30)], now=at(30))
    [told] = await store.standing("hooks", ended_since=at(30))
    assert (told.alert.status, told.alert.starts_at, told.alert.ends_at) == (AlertStatus.RESOLVED, at(15), at(30))
    assert told.alert.labels == {"instance_name": "office-2026", "status": "ERROR"}
    assert await standing(store, since=30.001) == []


async def test_a_reminder_is_what_told_of_it_last(store: AnyStore) -> None:
    going = await in_error(store)
    await store.commit([going.rings(15 + 4 * 3600, "hooks")], now=at(15 + 4 * 3600))
    [told] = await store.standing("hooks", ended_since=LONG_AGO)
    assert told.event.kind == "reminder"
    assert told.alert.starts_at == at(15)


def taken(told: Standing) -> Acknowledgement:
    alert = told.alert
    return Acknowledgement(
        fingerprint=alert.fingerprint, starts_at=alert.starts_at, author="ann", comment="on it", created_at=at(20)
    )


async def test_who_has_taken_it_on(store: AnyStore) -> None:
    await in_error(store)
    [told] = await store.standing("hooks", ended_since=LONG_AGO)
    await store.acknowledge(taken(told))
    [stands] = await store.standing("hooks", ended_since=LONG_AGO)
    assert stands.acknowledged == taken(told)


async def test_an_acknowledgement_of_an_earlier_alert_is_of_that(store: AnyStore) -> None:
    going = await in_error(store)
    [told] = await store.standing("hooks", ended_since=LONG_AGO)
    await store.acknowledge(taken(told))
    changes = [going.sees("BUILDING", 30), going.sees("ERROR", 45, "hooks")]
    await store.commit(changes, now=at(45))
    await deliver(store, 60)
    stands = await store.standing("hooks", ended_since=LONG_AGO)
    assert [(each.alert.starts_at, each.acknowledged is not None) for each in stands] == [
        (at(15), True),
        (at(45), False),
    ]


async def test_the_oldest_first(store: AnyStore) -> None:
    going = Course()
    changes = [going.sees("BUILDING", 0, "hooks"), going.rings(7200, "hooks"), going.sees("ERROR", 7300, "hooks")]
    await store.commit(changes, now=at(7300))
    await deliver(store, 7300)
    assert await standing(store) == [(STUCK, AlertStatus.RESOLVED), (ERROR, AlertStatus.FIRING)]


@pytest.mark.parametrize("key", ["thread/prod/697612196993040384", "a" * 400, "ü/🙂"])
async def test_a_note(store: AnyStore, key: str) -> None:
    assert await store.note("chat", key) is None
    for text in ('{"ts": "1"}', "🔴 'quoted'", ""):
        await store.write_note("chat", key, text, now=at(0))
        assert await store.note("chat", key) == text
    assert await store.note("other", key) is None
    assert await store.note("chat", key + "x") is None
    await store.write_note("chat", key, None, now=at(1))
    await store.write_note("chat", key, None, now=at(1))
    assert await store.note("chat", key) is None


async def test_old_notes_are_forgotten(store: AnyStore) -> None:
    if not isinstance(store, Store):
        return  # the model forgets nothing
    await store.write_note("chat", "old", "x", now=at(0))
    await store.write_note("chat", "written again", "x", now=at(0))
    await store.write_note("chat", "written again", "y", now=at(60))
    await store.prune(before=at(0) + timedelta(seconds=30), limit=10)
    assert await store.note("chat", "old") is None
    assert await store.note("chat", "written again") == "y"
