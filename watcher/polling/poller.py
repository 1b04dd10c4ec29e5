"""One source, one cycle after another: plan → ask → detect → commit."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from watcher.core.alerts import AlertRules
from watcher.core.clock import Clock
from watcher.core.detector import Context, begins_error, detect, is_unchanged
from watcher.core.errors import CloudError, CloudNotFoundError, StoreError
from watcher.core.facts import (
    Committed,
    CycleFinished,
    InstanceFailed,
    Observed,
    Observer,
    SourceFailed,
    SourceRecovered,
    StoreFailed,
    StoreRecovered,
)
from watcher.core.model import Event, Instance, InstanceKey, InstanceState, Observation, Reason
from watcher.core.planner import PollPolicy, Schedule
from watcher.core.ports import Change, CloudApi, StateStore
from watcher.core.reasons import find_reason, job_type_for
from watcher.polling.health import SourceHealth

_REASON_TIMEOUT_S = 3.0  # the reason is worth a moment's delay of the alert, and no more
_TOGETHER_S = 1.0  # instances due within this time of each other are asked in one cycle


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What is watched of one source and how: instance ids with their labels."""

    source: str
    instances: Mapping[str, Mapping[str, str]]
    policy: PollPolicy = field(default_factory=PollPolicy)
    rules: AlertRules = field(default_factory=AlertRules)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    instance_id: str
    observation: Observation | None = None
    reason: Reason | None = None
    error: CloudError | None = None


class SourcePoller:
    """Knows the present state of a source's instances and keeps it true.

    What changed is kept in memory at once and committed at once; while the store cannot be written it is held and
    committed later, in order. Nothing is told that is not in the store, because only the store is delivered from.
    """

    def __init__(
        self,
        *,
        watched: Watched,
        api: CloudApi,
        store: StateStore,
        receivers_for: Callable[[Event], tuple[str, ...]],
        clock: Clock,
        rng: random.Random,
        observer: Observer,
    ) -> None:
        self._watched = watched
        self._api = api
        self._store = store
        self._receivers_for = receivers_for
        self._clock = clock
        self._rng = rng
        self._observer = observer
        policy = watched.policy
        self._health = SourceHealth(
            backoff=policy.backoff, rng=rng, suspects_needed=min(policy.concurrency, max(1, len(watched.instances)))
        )
        self._schedule = Schedule()
        self._states: dict[str, InstanceState] = {}
        self._last_seen: dict[str, datetime] = {}
        self._failures: dict[str, int] = {}
        self._uncommitted: list[Change] = []
        self._store_failures = 0

    @property
    def source(self) -> str:
        """The source's name."""
        return self._watched.source

    @property
    def tried(self) -> bool:
        """Whether the source has been asked at least once."""
        return self._health.tried

    def states(self) -> Iterable[InstanceState]:
        """The present state of every instance seen so far."""
        return self._states.values()

    async def start(self) -> None:
        """Pick up where the last run was; raises StoreError."""
        remembered = await self._store.load(self.source)
        self._states = {key.id: state for key, state in remembered.items() if key.id in self._watched.instances}
        self._schedule.spread(self._watched.instances, now_s=self._clock.monotonic())

    async def cycle(self) -> float:
        """Ask what is due and commit what changed; how many seconds to wait before the next cycle."""
        began_s = self._clock.monotonic()
        plan = self._schedule.plan(now_s=began_s, together_s=_TOGETHER_S)
        if plan.gets and began_s >= self._health.paused_until_s:
            await self._ask(plan.gets)
            took_s = self._clock.monotonic() - began_s
            now = self._clock.now()
            self._observer(CycleFinished(self.source, took_s, plan.lag_s, ok=self._health.well, at=now))
        store_retry_s = await self._flush()
        return self._wait_s(store_retry_s)

    def _wait_s(self, store_retry_s: float | None) -> float:
        next_due_s = self._schedule.next_due_s()
        now_s = self._clock.monotonic()
        wait_s = 3600.0 if next_due_s is None else max(next_due_s, self._health.paused_until_s) - now_s
        return max(0.0, wait_s if store_retry_s is None else min(wait_s, store_retry_s))

    async def _ask(self, instance_ids: tuple[str, ...]) -> None:
        waiting = deque(instance_ids)
        if not self._health.well:
            await self._take([await self._ask_one(waiting.popleft())])
            if not self._health.well:
                return
        answers: asyncio.Queue[_Answer | None] = asyncio.Queue()

        async def work() -> None:
            while waiting and self._clock.monotonic() >= self._health.paused_until_s:
                answers.put_nowait(await self._ask_one(waiting.popleft()))

        async def work_together() -> None:
            async with asyncio.TaskGroup() as workers:
                for _ in range(min(self._watched.policy.concurrency, len(waiting))):
                    workers.create_task(work())
            answers.put_nowait(None)

        async with asyncio.TaskGroup() as both:
            both.create_task(work_together())
            await self._take_all(answers)

    async def _take_all(self, answers: asyncio.Queue[_Answer | None]) -> None:
        """Take answers as they come: those that arrive during one commit share the next."""
        more = True
        while more:
            batch = [await answers.get()]
            while not answers.empty():
                batch.append(answers.get_nowait())
            more = None not in batch
            await self._take([answer for answer in batch if answer is not None])

    async def _ask_one(self, instance_id: str) -> _Answer:
        key = InstanceKey(self.source, instance_id)
        try:
            instance: Instance | None = await self._api.show(instance_id)
        except CloudNotFoundError:
            instance = None
        except CloudError as error:
            return _Answer(instance_id=instance_id, error=error)
        observation = Observation(key=key, observed_at=self._clock.now(), instance=instance)
        state = self._states.get(instance_id)
        reason = None
        if instance is not None and begins_error(state, observation):
            reason = await self._why(state, instance)
        return _Answer(instance_id=instance_id, observation=observation, reason=reason)

    async def _why(self, state: InstanceState | None, instance: Instance) -> Reason | None:
        try:
            async with asyncio.timeout(_REASON_TIMEOUT_S):
                steps = await self._api.sub_jobs(job_type_for(state))
        except (CloudError, TimeoutError):
            return None  # the alert matters more than its reason
        return find_reason(steps, state=state, instance=instance, now=self._clock.now())

    async def _take(self, batch: list[_Answer]) -> None:
        observed = 0
        for answer in batch:
            if answer.error is not None:
                self._note_failure(answer.instance_id, answer.error)
            elif answer.observation is not None:
                observed += 1
                self._note_observation(answer.instance_id, answer.observation, answer.reason)
        if observed:
            self._observer(Observed(self.source, observed))
        await self._flush()

    def _note_observation(self, instance_id: str, observation: Observation, reason: Reason | None) -> None:
        if self._health.answered(now_s=self._clock.monotonic()):
            self._observer(SourceRecovered(self.source))
        self._failures.pop(instance_id, None)
        state = self._states.get(instance_id)
        if state is None or not is_unchanged(state, observation):
            state = self._note_change(instance_id, state, observation, reason)
        self._last_seen[instance_id] = observation.observed_at
        soon = state.absences > 0  # one "no such instance" is to be confirmed without waiting for the slow interval
        policy = self._watched.policy
        interval_s = policy.interval_s if soon else policy.interval_for(state.status, rng=self._rng)
        self._schedule.set(instance_id, self._clock.monotonic() + interval_s)

    def _note_change(
        self, instance_id: str, state: InstanceState | None, observation: Observation, reason: Reason | None
    ) -> InstanceState:
        context = Context(
            rules=self._watched.rules,
            labels=self._watched.instances[instance_id],
            previous_observed_at=self._last_seen.get(instance_id, state.observed_at if state is not None else None),
            reason=reason,
        )
        after, events = detect(state, observation, context)
        self._states[instance_id] = after
        if events or (state is not None and after.record != state.record):
            told = tuple((event, self._receivers_for(event)) for event in events)
            self._uncommitted.append(Change(state=after, events=told))
        return after

    def _note_failure(self, instance_id: str, error: CloudError) -> None:
        now_s = self._clock.monotonic()
        failures = self._failures[instance_id] = self._failures.get(instance_id, 0) + 1
        backoff = self._watched.policy.backoff
        delay_s = backoff.delay_s(failures, rng=self._rng, retry_after_s=error.retry_after_s)
        self._schedule.set(instance_id, now_s + delay_s)
        if not self._health.failed(instance_id, error):
            key = InstanceKey(self.source, instance_id)
            self._observer(InstanceFailed(key, error, first=failures == 1))
        elif now_s >= self._health.paused_until_s:  # those under way when the pause began add nothing to it
            wait_s, first = self._health.pause(error, now_s=now_s)
            self._observer(SourceFailed(self.source, error, retry_in_s=wait_s, first=first))

    async def _flush(self) -> float | None:
        """Commit what is not yet committed; None when done, else in how many seconds to try again."""
        if not self._uncommitted:
            return None
        batch = tuple(self._uncommitted)
        try:
            await self._store.commit(batch, now=self._clock.now())
        except StoreError as error:
            self._store_failures += 1
            self._observer(StoreFailed(self.source, error, first=self._store_failures == 1))
            return self._watched.policy.backoff.delay_s(self._store_failures, rng=self._rng)
        del self._uncommitted[: len(batch)]
        if self._store_failures:
            self._store_failures = 0
            self._observer(StoreRecovered(self.source))
        self._observer(Committed([event for change in batch for event, _ in change.events]))
        return None
