"""A cloud that answers what it is told to."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Mapping, Sequence

from tests.fakes.values import instance
from watcher.core.errors import CloudNotFoundError
from watcher.core.model import Instance, Job, SubJob
from watcher.core.ports import InstancePage

Answer = str | Instance | Exception | None
"""A status, a whole instance, a failure, or None: no such instance."""


class ScriptedCloud:
    """Gives each instance's next scripted answer, the last one again and again; counts and may hold up requests.

    The list shows those `listed` as they are, without going on in their scripts.
    """

    def __init__(self, answers: Mapping[str, Sequence[Answer]] | None = None) -> None:
        self._answers: dict[str, deque[Answer]] = defaultdict(deque)
        for instance_id, script in (answers or {}).items():
            self._answers[instance_id].extend(script)
        self.default: Answer = "BUILT"
        self.asked: list[str] = []
        self.under_way = 0
        self.most_under_way = 0
        self.gate: asyncio.Event | None = None
        self.on_show: Callable[[str], None] = lambda _: None
        self.steps: list[SubJob] | Exception = []
        self.asked_for_steps: list[str] = []
        self.on_steps: Callable[[int], Awaitable[None]] = _at_once
        self.listed: list[str] = list(self._answers)
        self.pages_asked: list[int] = []
        self.page_failures: dict[int, Exception] = {}
        self.on_page: Callable[[int], None] = lambda _: None
        self.projects_asked: set[str | None] = set()
        self._pages: dict[int, InstancePage] = {}
        self.new_credential = False
        self.credential_looks = 0

    def script(self, instance_id: str, *answers: Answer) -> None:
        """Answer this from now on."""
        self._answers[instance_id] = deque(answers)

    async def show(self, instance_id: str) -> Instance:
        self.asked.append(instance_id)
        self.on_show(instance_id)
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            await (self.gate.wait() if self.gate is not None else asyncio.sleep(0))  # noqa: TID251 - a turn of the loop
        finally:
            self.under_way -= 1
        script = self._answers[instance_id]
        answer = (script.popleft() if len(script) > 1 else script[0]) if script else self.default
        if answer is None:
            raise CloudNotFoundError("no such server", http_status=404, code="WKS.00211902")
        if isinstance(answer, Exception):
            raise answer
        return instance(answer, id=instance_id) if isinstance(answer, str) else answer

    async def sub_jobs(
        self,
        job_type: str,
        *,
        job_id: str | None = None,
        status: str | None = None,
        offset: int = 0,
        limit: int = 100,
    ) -> list[SubJob]:
        self.asked_for_steps.append(job_type)
        await self.on_steps(offset)
        if isinstance(self.steps, Exception):
            raise self.steps
        return [step for step in self.steps if step.job_type == job_type][offset : offset + limit]

    async def list_page(
        self, *, offset: int, limit: int = 100, name: str | None = None, enterprise_project_id: str | None = None
    ) -> InstancePage:
        self.pages_asked.append(offset)
        self.projects_asked.add(enterprise_project_id)
        self.on_page(offset)
        await (self.gate.wait() if self.gate is not None else asyncio.sleep(0))  # noqa: TID251 - a turn of the loop
        failure = self.page_failures.get(offset)
        if failure is not None:
            raise failure
        listed = [key for key in self.listed if self._next(key) is not None]
        items, malformed = list[Instance | None](), list[str]()
        for key in listed[offset : offset + limit]:
            answer = self._next(key)
            if isinstance(answer, Exception):
                malformed.append(f"item {len(items) + len(malformed)} (id {key}): {answer}")
            else:
                items.append(instance(answer, id=key) if isinstance(answer, str) else answer)
        shown = tuple(item for item in items if item is not None)
        page = InstancePage(count=len(listed), items=shown, malformed=tuple(malformed))
        if self._pages.get(offset) != page:
            self._pages[offset] = page
        return self._pages[offset]

    def _next(self, instance_id: str) -> Answer:
        script = self._answers[instance_id]
        return script[0] if script else self.default

    async def has_new_credential(self) -> bool:
        self.credential_looks += 1
        return self.new_credential

    async def jobs(self, job_type: str, *, status: str | None = None) -> list[Job]:
        raise NotImplementedError

    async def job(self, job_id: str) -> Job:
        raise NotImplementedError

    async def close(self) -> None:
        pass


async def _at_once(_: int) -> None:
    pass
