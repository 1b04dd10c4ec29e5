"""How long a status usually lasts: as a watcher that runs has learned it, else as is typical."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import aiohttp

from watcher.cli.client import Address, ApiError, Client
from watcher.cli.times import read_number, read_time
from watcher.cli.waiting import Course
from watcher.core.model import InstanceState, Status

_ASKED_FOR = aiohttp.ClientTimeout(total=1.0)  # it is only for show
_TYPICAL_S: Mapping[str, float] = {Status.CREATING: 7 * 60.0, Status.BUILDING: 24 * 60.0}
"""As seen of the service; the vendor documents no durations."""


class Courses:
    """What is known of the statuses of one instance. `address`: where a watcher may run; None: not known."""

    def __init__(self, address: Address | None) -> None:
        self._address = address

    async def of(self, state: InstanceState) -> Course:
        """Since when the instance is in its status, and how long that usually lasts; asks the watcher once."""
        known = await self._ask(state)
        since, usual_s = state.since, _TYPICAL_S.get(state.status or "")
        if known.get("status") != state.status:
            return Course(since=since, usual_s=usual_s)
        learned = known.get("expected")
        median_s = read_number(learned.get("median_s")) if isinstance(learned, dict) else None
        earlier = read_time(known.get("since"))
        if earlier is not None and earlier < since:
            since = earlier
        return Course(since=since, usual_s=median_s or usual_s)

    async def _ask(self, state: InstanceState) -> Mapping[str, Any]:
        if self._address is None:
            return {}
        path = "/".join(quote(part, safe="") for part in state.key)
        try:
            async with asyncio.timeout(_ASKED_FOR.total), aiohttp.ClientSession(timeout=_ASKED_FOR) as session:
                return await Client(session, self._address).call("GET", f"/api/v1/instances/{path}")
        except (ApiError, TimeoutError):
            return {}
