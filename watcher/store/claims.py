"""Who sends which deliveries: each is claimed under the lease of its receiver before it is sent, until recorded."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import ColumnElement, and_, exists, or_, select, update

from watcher.core.model import DeliveryState
from watcher.core.sharing import subject_of
from watcher.store.database import Database
from watcher.store.signals import DELIVERIES, tell
from watcher.store.tables import deliveries, is_waiting

IN_ONE_QUERY = 5000
PENDING = deliveries.c.state == DeliveryState.PENDING.value
_EARLIER = deliveries.alias("earlier_claim")


class Claims(Database):
    """Without a lease there is nobody else, and nothing is claimed."""

    def unclaimed(self) -> list[ColumnElement[bool]]:
        """What others have not claimed, nor is behind what they have."""
        if self._lease is None:
            return []
        mine, earlier = self._lease.claimant, _EARLIER.c
        is_behind = exists().where(
            earlier.receiver == deliveries.c.receiver,
            is_waiting(_EARLIER),
            earlier.source == deliveries.c.source,
            earlier.instance_id == deliveries.c.instance_id,
            earlier.id < deliveries.c.id,
            earlier.claimed_by != mine,
        )
        # No id is negative: said so that the planner looks for what is ahead of each, and does not join all with all.
        is_next = or_(deliveries.c.id < 0, ~is_behind)
        return [or_(deliveries.c.claimed_by.is_(None), deliveries.c.claimed_by == mine), is_next]

    async def claim(self, ids: Collection[int]) -> frozenset[int]:
        """Of these pending deliveries those that nobody else sends, and will before they are recorded."""
        if self._lease is None:
            return frozenset(ids)
        mine, claimed = self._lease.claimant, set[int]()
        wanted = sorted(ids)
        async with self.write() as connection:
            for start in range(0, len(wanted), IN_ONE_QUERY):
                free = (
                    select(deliveries.c.id)
                    .where(
                        deliveries.c.id.in_(wanted[start : start + IN_ONE_QUERY]),
                        PENDING,
                        or_(deliveries.c.claimed_by.is_(None), deliveries.c.claimed_by == mine),
                    )
                    .order_by(deliveries.c.id)
                    .with_for_update(skip_locked=True)
                )
                found = list((await connection.execute(free)).scalars())
                await connection.execute(update(deliveries).where(deliveries.c.id.in_(found)).values(claimed_by=mine))
                claimed.update(found)
        return frozenset(claimed)

    async def unclaim(self, ids: Collection[int] | None = None) -> None:
        """Nobody sends these (None: all claimed under this lease) after all."""
        if self._lease is None:
            return
        # Leases of two receivers may have the same token.
        of_receiver = deliveries.c.receiver == subject_of(self._lease.name)
        chosen = and_(of_receiver, deliveries.c.claimed_by == self._lease.claimant)
        if ids is not None:
            chosen = and_(chosen, deliveries.c.id.in_(ids))
        async with self.write(is_record=True) as connection:
            freed = await connection.execute(update(deliveries).where(chosen).values(claimed_by=None))
            if freed.rowcount:
                await tell(connection, DELIVERIES)
