"""What the tests of shared stores have in common: replicas, and the leases that they hold."""

from __future__ import annotations

from tests.contract.stores import AnyStore
from tests.fakes.values import START
from watcher.core.sharing import Lease, Replica, Wish

NAMES = ["receiver/hooks", "source/prod", "source/test"]
LASTS_S = 60.0


def replica(key: str, *, is_draining: bool = False, unwell: str | None = None) -> Replica:
    """One that would hold all of these."""
    return Replica(
        id=key,
        name=f"host-{key}",
        version="1",
        started_at=START,
        seen_at=START,
        is_draining=is_draining,
        configured=frozenset(NAMES),
        unwell=unwell,
    )


async def holding(store: AnyStore, key: str, *names: str, lasts_s: float = LASTS_S) -> list[Lease]:
    """A replica that has joined and holds these, in this order."""
    await store.join(replica(key), lasts_s=lasts_s)
    taken = {lease.name: lease for lease in await store.take(key, Wish(names, len(names)))}
    return [taken[name] for name in names]
