"""The reason of an event that was told without one: into its body, and to those who can update what they sent."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import and_, case, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from watcher.core.event_json import reason_to_json
from watcher.core.model import DeliveryState
from watcher.core.ports import Explanation
from watcher.store.rows import event_body, to_ms
from watcher.store.signals import DELIVERIES, tell
from watcher.store.tables import deliveries, events


async def explain(connection: AsyncConnection, explained: Sequence[Explanation], *, now: datetime) -> None:
    """Events that are kept have these reasons from now on.

    Deliveries that wait tell it. Those that were accepted wait again if their receiver can update what it sent; they
    are no first tries, so that no silence keeps them back. A digest that was accepted is not sent again, neither as a
    whole nor in parts.
    """
    for each in explained:
        await _explain(connection, each, now=now)


async def _explain(connection: AsyncConnection, explained: Explanation, *, now: datetime) -> None:
    kept = await connection.execute(select(events.c.body).where(events.c.id == explained.event_id))
    body = kept.scalar()
    if body is None:
        return  # forgotten meanwhile
    told = event_body({**json.loads(body), "reason": reason_to_json(explained.reason)})
    if told == body:
        return  # done before, by a commit whose answer was lost
    await connection.execute(update(events).where(events.c.id == explained.event_id).values(body=told))
    of_event = deliveries.c.event_id == explained.event_id
    await connection.execute(update(deliveries).where(of_event).values(size=len(told)))
    is_to_update = and_(
        of_event,
        deliveries.c.receiver.in_(explained.receivers),
        deliveries.c.state == DeliveryState.DELIVERED.value,
        deliveries.c.digest_id.is_(None),
    )
    again = {
        "state": DeliveryState.PENDING.value,
        "attempts": case((deliveries.c.attempts > 0, deliveries.c.attempts), else_=1),
        "queued_at_ms": to_ms(now),
        "next_attempt_at_ms": to_ms(now),
        "finished_at_ms": None,
        "is_late": True,
    }
    updated = await connection.execute(update(deliveries).where(is_to_update).values(again))
    if updated.rowcount:
        await tell(connection, DELIVERIES)  # another replica may serve the receiver
