"""How the alerts stand that receivers were told of."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime

from sqlalchemy import and_, or_, select

from watcher.core.event_json import from_json
from watcher.core.model import AlertStatus
from watcher.core.ports import Standing
from watcher.core.quiet import Acknowledgement
from watcher.store.database import Database
from watcher.store.rows import from_ms, to_ms
from watcher.store.states import alert_key
from watcher.store.tables import acknowledgements, alert_receivers, events

_TOLD = (
    select(
        alert_receivers.c.fingerprint,
        alert_receivers.c.starts_at_ms,
        alert_receivers.c.ended_at_ms,
        events.c.body,
        acknowledgements.c.author,
        acknowledgements.c.comment,
        acknowledgements.c.created_at_ms,
    )
    .join(events, events.c.id == alert_receivers.c.event_id)
    .outerjoin(
        acknowledgements,
        and_(
            acknowledgements.c.fingerprint == alert_receivers.c.fingerprint,
            acknowledgements.c.starts_at_ms == alert_receivers.c.starts_at_ms,
        ),
    )
    .where(alert_receivers.c.told_at_ms.is_not(None))
    .order_by(alert_receivers.c.starts_at_ms, alert_receivers.c.fingerprint)
)


class StandingAlerts(Database):
    """Alerts as receivers know them."""

    async def standing(self, receiver: str, *, ended_since: datetime) -> list[Standing]:
        """The alerts the receiver was told of that fire, or ended since then; the oldest first."""
        ended_at_ms, mine = alert_receivers.c.ended_at_ms, alert_receivers.c.receiver == receiver
        # Said twice, so that each half is a search of the index and the long past is not read.
        lately = or_(and_(mine, ended_at_ms.is_(None)), and_(mine, ended_at_ms >= to_ms(ended_since)))
        found = list[Standing]()
        async with self.read() as connection:
            rows = await connection.execute(_TOLD.where(lately))
            for fingerprint, starts_at_ms, over_ms, body, author, comment, taken_ms in rows:
                event, key = from_json(json.loads(body)), (fingerprint, starts_at_ms)
                alert = next((each for each in event.alerts if alert_key(each) == key), None)
                if alert is None:
                    continue
                if over_ms is not None:
                    alert = replace(alert, status=AlertStatus.RESOLVED, ends_at=from_ms(over_ms))
                taken = None
                if taken_ms is not None:
                    taken = Acknowledgement(
                        fingerprint=fingerprint,
                        starts_at=from_ms(starts_at_ms),
                        author=author,
                        comment=comment,
                        created_at=from_ms(taken_ms),
                    )
                found.append(Standing(alert=alert, event=event, acknowledged=taken))
        return found
