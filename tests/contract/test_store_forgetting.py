"""What every store that keeps things for years must do: forget what is old, a little at a time."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import pairwise

from sqlalchemy import func, select, update

from tests.contract.stores import (
    KEYS,
    Course,
    course,
    deliver,
    delivered,
    failed,
    heads,
    suppressed,
    until_somebody_waits,
)
from tests.contract.test_store_alerts import taken
from tests.contract.test_store_digests import silence
from tests.fakes.values import at
from watcher.core.lessons import SAMPLES_KEPT
from watcher.core.model import InstanceKey, Step, Suppression
from watcher.core.ports import Change
from watcher.store import Store, open_store
from watcher.store.moving import MOVED
from watcher.store.tables import deliveries


class TestForgetting:
    """What is old goes, and what is still needed stays."""

    async def test_events_go_with_what_was_delivered_of_them(self, real_store: Store) -> None:
        await real_store.commit([course(KEYS[0], "BUILDING", "BUILT", "BUILDING")], now=at(30))
        await deliver(real_store, 60)
        assert await real_store.prune(before=at(20), limit=1) == 1
        assert await real_store.prune(before=at(20), limit=10) == 1
        assert [event.sequence for _, event in await real_store.history()] == [3]
        assert len(await real_store.reports()) == 1

    async def test_what_is_pending_stays(self, real_store: Store) -> None:
        await real_store.commit([course(KEYS[0], "BUILDING", "BUILT")], now=at(30))
        assert await real_store.prune(before=at(1000), limit=10) == 0
        assert len(await heads(real_store)) == 2

    async def test_what_an_open_alert_was_told_by_stays(self, real_store: Store) -> None:
        going = Course()
        await real_store.commit([going.sees("BUILDING", 0, "hooks"), going.sees("ERROR", 15, "hooks")], now=at(15))
        [_, fired] = await heads(real_store)
        await real_store.record([suppressed(each, 60, Suppression.SILENCE) for each in await heads(real_store)])
        await real_store.acknowledge(taken(15))
        assert await real_store.prune(before=at(1000), limit=10) == 1
        assert [each.id for each in await real_store.held("hooks")] == [fired.id]
        assert len(await real_store.acknowledgements()) == 1
        await real_store.commit([going.sees("BUILT", 75)], now=at(75))
        await deliver(real_store, 80)
        assert await real_store.prune(before=at(1000), limit=10) == 2
        assert await real_store.prune(before=at(1000), limit=10) == 0
        assert await real_store.acknowledgements() == []

    async def test_silences_that_ended_go(self, real_store: Store) -> None:
        await real_store.add_silence(silence("a"))
        await real_store.add_silence(replace(silence("b"), ends_at=at(200)))
        await real_store.prune(before=at(150), limit=10)
        assert [each.id for each in await real_store.silences()] == ["b"]

    async def test_steps_that_are_learned_from_no_more_go(self, real_store: Store) -> None:
        steps = tuple(
            Step(source="prod", image_source="gold", status="BUILDING", duration_s=float(seconds))
            for seconds in range(SAMPLES_KEPT + 5)
        )
        await real_store.commit([Change(state=course(KEYS[0], "BUILT").state, steps=steps)], now=at(0))
        before = await real_store.steps("prod")
        await real_store.prune(before=at(0), limit=10)
        assert await real_store.steps("prod") == before == list(steps[5:])
        async with real_store.engine.connect() as connection:
            assert (await connection.exec_driver_sql("SELECT count(*) FROM steps")).scalar() == SAMPLES_KEPT

    async def test_of_every_table_at_most_so_many_rows_at_a_time(self, real_store: Store) -> None:
        many, limit = 25, 10
        ended = [
            Change(state=change.state, events=tuple((each, ("hooks",)) for each, _ in change.events))
            for number in range(many)
            for change in [course(InstanceKey("prod", str(number)), "ERROR", "BUILT")]
        ]
        learned = tuple(
            Step(source="prod", image_source="gold", status="BUILDING", duration_s=1.0)
            for _ in range(SAMPLES_KEPT + many)
        )
        await real_store.commit([replace(ended[0], steps=learned), *ended[1:]], now=at(30))
        await deliver(real_store, 60)
        for number in range(many):
            await real_store.write_note("chat", str(number), "thread", now=at(30))
            await real_store.add_silence(silence(str(number)))
            await real_store.acknowledge(replace(taken(number), fingerprint=str(number)))
        counted = [await _counts(real_store)]
        assert all(counted[0].values()), counted
        while await real_store.prune(before=at(1000), limit=limit) == limit:
            counted.append(await _counts(real_store))
        counted.append(await _counts(real_store))
        for earlier, later in pairwise(counted):
            gone = {name: earlier[name] - later[name] for name in earlier}
            assert max(gone.values()) <= limit, gone
        kept = {"steps": SAMPLES_KEPT, "instances": many}
        assert counted[-1] == {name: kept.get(name, 0) for name in counted[0]}


class TestTogether:
    """On PostgreSQL others write at the same time."""

    async def test_what_is_sent_anew_meanwhile_stays(self, postgres_url: str) -> None:
        store = await open_store(postgres_url)
        try:
            await store.commit([course(KEYS[0], "BUILDING", "BUILT"), course(KEYS[1], "BUILDING", "BUILT")], now=at(30))
            found = await heads(store)
            await store.record([failed(found[0], 60, again_s=None), *(delivered(each, 60) for each in found[1:])])
            async with store.engine.begin() as connection:
                again = update(deliveries).where(deliveries.c.id == found[0].id).values(state="pending")
                await connection.execute(again)
                pruning = asyncio.create_task(store.prune(before=at(1000), limit=10))
                await until_somebody_waits(connection)
            await pruning
            assert [each.id for each in await heads(store)] == [found[0].id]
            assert [report.delivery.id for report in await store.reports()] == [found[0].id]
        finally:
            await store.close()

    async def test_one_replica_at_a_time(self, postgres_url: str) -> None:
        store = await open_store(postgres_url)
        try:
            await store.commit([course(KEYS[0], "BUILDING", "BUILT")], now=at(30))
            await deliver(store, 60)
            async with store.engine.begin() as connection:
                await connection.execute(update(deliveries).values(size=0))  # which the first waits for
                first = asyncio.create_task(store.prune(before=at(1000), limit=10))
                await until_somebody_waits(connection)
                assert await store.prune(before=at(1000), limit=10) == 0
            assert await first == 2
        finally:
            await store.close()


async def _counts(store: Store) -> dict[str, int]:
    async with store.engine.connect() as connection:
        return {
            table.name: (await connection.execute(select(func.count()).select_from(table))).scalar_one()
            for table in MOVED
        }
