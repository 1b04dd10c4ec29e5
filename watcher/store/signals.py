"""What replicas tell each other through the database, so that nobody has to look again and again (LISTEN, NOTIFY).

A signal is sent when its transaction commits. One may be missed only while the connection is down; whoever listens is
told when it is there again, and looks at everything.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

DELIVERIES, STATES, QUIET, ACKNOWLEDGED, ROSTER = "deliveries", "states", "quiet", "acknowledged", "roster"
TOPICS = (DELIVERIES, STATES, QUIET, ACKNOWLEDGED, ROSTER)

CHANNEL = "watcher"
_BYTES = 7900  # PostgreSQL takes less than 8,000


async def tell(connection: AsyncConnection, topic: str, *details: str | Sequence[str] | None) -> None:
    """Tell the other replicas when this transaction commits; where there can be none (SQLite), nobody.

    Details that are too long are left out: then anything may be meant.
    """
    if connection.dialect.name != "postgresql":
        return
    text = json.dumps([topic, *details])
    if len(text) > _BYTES:
        text = json.dumps([topic, *(each if isinstance(each, str) else None for each in details)])
    await connection.execute(select(func.pg_notify(CHANNEL, text)))
