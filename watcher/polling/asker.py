"""Asking: many questions under way at once, answers taken as they come."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from watcher.core.budget import Budget
from watcher.core.builds import image_known_before, search_for
from watcher.core.clock import Clock
from watcher.core.errors import CloudError, CloudNotFoundError
from watcher.core.model import Instance, InstanceKey, InstanceState, Observation, Presence, Search, Status
from watcher.core.ports import CloudApi, InstancePage
from watcher.core.reasons import NOTHING_FOUND, Finding
from watcher.core.sweep import Sweep
from watcher.polling.lookup import Lookup

_TAKEN_AT_ONCE = 2000  # instances: what they change is held in memory until it is committed
_MAY_BE_SOUGHT = (Status.ERROR, Status.BUILT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Single:
    """What was said of one instance, asked at `asked_s` (monotonic): an observation or an error.

    `finding` is what the cloud's jobs say of it. `listed`: it is from a page taken before, held back until then.
    """

    instance_id: str
    asked_s: float
    observation: Observation | None = None
    finding: Finding = NOTHING_FOUND
    error: CloudError | None = None
    listed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Paged:
    """One page of the list, or why it did not come. What it says of those `held` comes later, each by itself."""

    offset: int
    asked_s: float
    page: InstancePage | None = None
    held: frozenset[str] = frozenset()
    error: CloudError | None = None


Answer = Single | Paged


@dataclass(frozen=True, slots=True, kw_only=True)
class Questions:
    """What one cycle asks: single instances first, then pages of the sweep; at most `most`, `at_once` under way.

    `go_on` is asked, when the first page has come, whether the rest of the list is wanted.
    """

    gets: Sequence[str]
    sweep: Sweep | None
    go_on: Callable[[InstancePage], bool]
    most: int
    at_once: int


class Asker:
    """Puts one cycle's questions to the cloud. Every request is spent from the source's budget."""

    def __init__(
        self,
        questions: Questions,
        *,
        source: str,
        api: CloudApi,
        clock: Clock,
        budget: Budget,
        enterprise_project_id: str | None,
        state_of: Callable[[str], InstanceState | None],
        in_question: Callable[[int, InstancePage], Sequence[Instance]],
        is_watched: Callable[[Instance], bool],
        is_paused: Callable[[], bool],
    ) -> None:
        self._source = source
        self._api = api
        self._clock = clock
        self._budget = budget
        self._enterprise_project_id = enterprise_project_id
        self._state_of = state_of
        self._in_question = in_question
        self._is_watched = is_watched
        self._is_paused = is_paused
        self._gets = deque(questions.gets)
        self._sweep = questions.sweep
        self._go_on = questions.go_on
        self._left = questions.most
        self._at_once = questions.at_once
        self._workers = 0
        self._lookup = Lookup(api=api, clock=clock, budget=budget)
        self._answers: asyncio.Queue[Answer | None] = asyncio.Queue()

    async def run(self, take: Callable[[list[Answer]], Awaitable[None]]) -> None:
        """Ask until nothing is left; `take` gets answers as they come: those that arrive during one share the next."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._work_together())
                more = True
                while more:
                    answer = await self._answers.get()
                    batch, size = [answer], _size(answer)
                    while not self._answers.empty() and size < _TAKEN_AT_ONCE:
                        answer = self._answers.get_nowait()
                        batch.append(answer)
                        size += _size(answer)
                    more = None not in batch
                    await take([answer for answer in batch if answer is not None])
        finally:
            self._lookup.cancel()

    async def _work_together(self) -> None:
        try:
            async with asyncio.TaskGroup() as workers:
                self._employ(workers)
        finally:
            self._answers.put_nowait(None)

    def _employ(self, workers: asyncio.TaskGroup) -> None:
        """Have as many workers as there is work for: the first page of a list makes more of it."""
        while self._workers < self._at_once and (question := self._next()) is not None:
            self._workers += 1
            workers.create_task(self._work(question, workers))

    async def _work(self, question: str | int | None, workers: asyncio.TaskGroup) -> None:
        while question is not None:
            if isinstance(question, str):
                self._answers.put_nowait(await self._ask_one(question))
            elif self._sweep is not None:
                await self._ask_page(self._sweep, question)
                self._employ(workers)
            question = self._next()
        self._workers -= 1

    def _next(self) -> str | int | None:
        """The next question: an instance's id, or a page's offset."""
        if not self._left or self._is_paused():
            return None
        question = self._gets.popleft() if self._gets else self._sweep.take() if self._sweep is not None else None
        if question is not None:
            self._left -= 1
            self._budget.spend(self._clock.monotonic())
        return question

    async def _ask_one(self, instance_id: str) -> Single:
        asked_s = self._clock.monotonic()
        try:
            instance: Instance | None = await self._api.show(instance_id)
        except CloudNotFoundError:
            instance = None
        except CloudError as error:
            return Single(instance_id=instance_id, asked_s=asked_s, error=error)
        search = self._search_for(instance) if instance is not None else None
        return await self._answer(instance_id, instance, asked_s=asked_s, search=search)

    async def _answer(
        self,
        instance_id: str,
        instance: Instance | None,
        *,
        asked_s: float,
        search: Search | None,
        listed: bool = False,
    ) -> Single:
        key = InstanceKey(self._source, instance_id)
        observation = Observation(key=key, observed_at=self._clock.now(), instance=instance)
        finding = NOTHING_FOUND
        if instance is not None and search is not None:
            image_before = image_known_before(self._state_of(instance_id))
            finding = await self._lookup.find(search, instance, image_before=image_before)
        return Single(instance_id=instance_id, asked_s=asked_s, observation=observation, finding=finding, listed=listed)

    def _is_at_rest(self, instance: Instance) -> bool:
        """The cheap question first: an instance whose status is as it was, and of which nothing is to be found out."""
        if instance.status not in _MAY_BE_SOUGHT:
            return True
        state = self._state_of(instance.id)
        is_same = state is not None and state.status == instance.status and state.presence is Presence.PRESENT
        return is_same and state is not None and state.search is None

    def _search_for(self, instance: Instance) -> Search | None:
        return search_for(self._state_of(instance.id), instance, now=self._clock.now())

    async def _ask_page(self, sweep: Sweep, offset: int) -> None:
        asked_s = self._clock.monotonic()
        try:
            page = await self._api.list_page(offset=offset, enterprise_project_id=self._enterprise_project_id)
        except CloudError as error:
            sweep.failed(offset)
            self._answers.put_nowait(Paged(offset=offset, asked_s=asked_s, error=error))
            return
        first = not sweep.begun
        sweep.answered(offset, page)
        if first and not self._go_on(page):
            self._sweep = None
        sought = [
            (instance, search)
            for instance in self._in_question(offset, page)
            if not self._is_at_rest(instance)
            and (search := self._search_for(instance)) is not None
            and self._is_watched(instance)
        ]
        held = frozenset(instance.id for instance, _ in sought)
        self._answers.put_nowait(Paged(offset=offset, asked_s=asked_s, page=page, held=held))
        for _, search in sought:
            self._lookup.begin(search)  # all at once, so that they wait together
        for instance, search in sought:
            answer = await self._answer(instance.id, instance, asked_s=asked_s, search=search, listed=True)
            self._answers.put_nowait(answer)


def _size(answer: Answer | None) -> int:
    return len(answer.page.items) if isinstance(answer, Paged) and answer.page is not None else 1
