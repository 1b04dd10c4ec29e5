"""A replica that stands still in the middle of a transaction."""

from __future__ import annotations

import asyncio

import asyncpg

from tests.contract.sharing import replica
from watcher.core.sharing import Wish
from watcher.store import Store, open_store

LASTS_S = 0.1


async def test_one_that_was_stopped_between_the_parts_of_a_statement_is_found_dead_all_the_same(
    postgres_url: str,
) -> None:
    store, others = await open_store(postgres_url), await open_store(postgres_url)
    try:
        await store.join(replica("stopped"), lasts_s=LASTS_S)
        await store.take("stopped", Wish(["source/prod"], 1))
        await others.join(replica("other"), lasts_s=LASTS_S)
        stopped = await asyncpg.connect(postgres_url)
        name = await stopped.fetchval("SELECT sessions FROM replicas WHERE id = 'stopped'")
        await stopped.execute(f"SET application_name = '{name}'; SET idle_in_transaction_session_timeout = '100ms'")
        await stopped.execute("BEGIN; SELECT FROM replicas WHERE id = 'stopped' FOR KEY SHARE")
        await stopped.prepare("SELECT 1")  # and not another word
        async with asyncio.timeout(10.0):
            while await _there(others) != {"other"}:
                pass
        assert stopped.is_closed()
        assert [lease.token for lease in await others.take("other", Wish(["source/prod"], 1))] == [2]
    finally:
        await store.close()
        await others.close()


async def test_a_lease_is_not_given_away_while_something_is_written_under_it(postgres_url: str) -> None:
    store = await open_store(postgres_url)
    watching = await asyncpg.connect(postgres_url)
    try:
        await store.join(replica("giving"), lasts_s=60)
        [lease] = await store.take("giving", Wish(["source/prod"], 1))
        async with asyncio.timeout(10.0), store.under(lease).write():
            giving = asyncio.create_task(store.release([lease]))
            while not await watching.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
                assert not giving.done()
            assert await watching.fetchval("SELECT holder FROM leases") == "giving"
        await giving
        assert await watching.fetchval("SELECT holder FROM leases") is None
    finally:
        await watching.close()
        await store.close()


async def _there(store: Store) -> set[str]:
    roster = await store.beat(replica("other"), lasts_s=LASTS_S, buries=True)
    assert roster is not None
    return {each.id for each in roster.replicas}
