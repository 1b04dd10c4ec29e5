"""Looking up what became of builds: a look at the cloud's newest steps, shared by all that one cycle asks about."""

from __future__ import annotations

import asyncio

from watcher.core.budget import Budget
from watcher.core.clock import Clock
from watcher.core.errors import CloudError
from watcher.core.model import Instance, Search, SubJob
from watcher.core.ports import CloudApi
from watcher.core.reasons import NOTHING_FOUND, Finding, find, reaches_back

_TIMEOUT_S = 3.0  # the reason is worth a moment's delay of the alert, and no more
_PAGE = 100
_PAGES = 5


class Lookup:
    """One cycle's looks at the steps, one for each type of job. Every page is spent from the source's budget.

    The first look at a failure may overdraw the budget; what it did not find is looked for again as the budget allows.
    """

    def __init__(self, *, api: CloudApi, clock: Clock, budget: Budget) -> None:
        self._api = api
        self._clock = clock
        self._budget = budget
        self._looks: dict[str, _Look] = {}

    def begin(self, search: Search) -> None:
        """Have a look begin, if none has, without waiting for it."""
        look = self._looks.get(search.job_type)
        if look is not None:
            look.since = min(look.since, search.since)
        elif search.event_id is None or self._budget.available(self._clock.monotonic()):
            look = self._looks[search.job_type] = _Look(search)
            look.task = asyncio.create_task(self._read(look))

    async def find(self, search: Search, instance: Instance, *, image_before: str | None) -> Finding:
        """What the steps say of this instance; nothing when they cannot be had. Takes at most 3 s."""
        self.begin(search)
        look = self._looks.get(search.job_type)
        if look is None or look.task is None:
            return NOTHING_FOUND
        await asyncio.shield(look.task)
        if not look.steps:
            return NOTHING_FOUND
        steps = look.steps_about(instance, image_before=image_before)
        return find(steps, search=search, instance=instance, image_before=image_before)

    def cancel(self) -> None:
        """Nobody waits any more."""
        for look in self._looks.values():
            if look.task is not None:
                look.task.cancel()

    async def _read(self, look: _Look) -> None:
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                for page in range(_PAGES):
                    now_s = self._clock.monotonic()
                    if page and not self._budget.available(now_s):
                        return
                    self._budget.spend(now_s)
                    steps = await self._api.sub_jobs(look.job_type, offset=page * _PAGE, limit=_PAGE)
                    look.steps += steps
                    if len(steps) < _PAGE or reaches_back(steps, since=look.since):
                        return
        except (CloudError, TimeoutError):
            return  # the alert matters more than its reason; what came before is used


class _Look:
    """What was read of the steps of one type of job; `since` is from when on they are of interest."""

    def __init__(self, search: Search) -> None:
        self.job_type = search.job_type
        self.since = search.since
        self.steps: list[SubJob] = []
        self.task: asyncio.Task[None] | None = None
        self._index: dict[tuple[str, str], list[int]] = {}
        self._indexed = 0

    def steps_about(self, instance: Instance, *, image_before: str | None) -> list[SubJob]:
        """Those of the steps that name the instance or its image, by id or by name, in their order.

        Looked up and not searched for: thousands may fail at once.
        """
        for position in range(self._indexed, len(self.steps)):
            step = self.steps[position]
            for key in (("id", step.resource_id), ("name", step.resource_name)):
                self._index.setdefault(key, []).append(position)
        self._indexed = len(self.steps)
        keys = [("id", instance.id), ("id", instance.image_id), ("id", image_before or ""), ("name", instance.name)]
        positions = {position for key in keys if key[1] for position in self._index.get(key, ())}
        return [self.steps[position] for position in sorted(positions)]
