"""Waiting for one instance: the daemon's own poller, with a store that keeps nothing, until a verdict can be given."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from watcher.cli.look import NoStore
from watcher.core.awaited import Awaited, Outcome, Verdict, judge
from watcher.core.clock import Clock
from watcher.core.errors import CloudAuthError, CloudEndpointError, CloudError, CloudPermissionError
from watcher.core.facts import Committed, Fact, InstanceFailed, SourceFailed
from watcher.core.model import InstanceState
from watcher.core.planner import Mode
from watcher.core.ports import CloudApi
from watcher.logging import advice
from watcher.polling import SourcePoller, Watched
from watcher.receivers.words import about

_TICK_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """Since when an instance is in its status, and how long that usually lasts (None: not known)."""

    since: datetime
    usual_s: float | None = None


class Display(Protocol):
    """Shows how waiting goes on."""

    def status(self, state: InstanceState, course: Course) -> None:
        """The instance is in this status from now on."""
        ...

    def tick(self, now: datetime) -> None:
        """A second has passed."""
        ...

    def trouble(self, text: str) -> None:
        """The cloud cannot be asked at present."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How waiting ended, the instance as it was last seen (None: never), and an id that was perhaps meant."""

    verdict: Verdict
    state: InstanceState | None
    waited_s: float
    meant: str | None = None


class Waiter:
    """Waits for one instance, to be used once. `course_of` says what is known of the status it is in now."""

    def __init__(
        self,
        *,
        watched: Watched,
        instance_id: str,
        awaited: Awaited,
        display: Display,
        course_of: Callable[[InstanceState], Awaitable[Course]],
        clock: Clock,
    ) -> None:
        self._watched = _alone(watched, instance_id)
        self._instance_id = instance_id
        self._awaited = awaited
        self._display = display
        self._course_of = course_of
        self._clock = clock
        self._first: InstanceState | None = None
        self._last: InstanceState | None = None
        self._shown: tuple[str | None, bool] | None = None
        self._passed: set[str] = set()
        self._trouble: CloudError | None = None
        self._fatal: CloudError | None = None

    async def wait(self, open_api: Callable[[Callable[[Fact], None]], CloudApi], *, timeout_s: float) -> Ending:
        """Ask until there is a verdict, for at most `timeout_s` (0: once). `open_api` is given who observes it."""
        began_s = self._clock.monotonic()
        api = open_api(self._observe)
        try:
            verdict = await self._ask_for(api, timeout_s) or self._out_of_time(timeout_s)
            meant = await self._who_was_meant(api, verdict)
        finally:
            await api.close()
        waited_s = self._clock.monotonic() - began_s
        return Ending(verdict=verdict, state=self._last, waited_s=waited_s, meant=meant)

    async def _ask_for(self, api: CloudApi, timeout_s: float) -> Verdict | None:
        ended = asyncio.Event()
        asking = asyncio.create_task(self._ask(api, once=not timeout_s))
        asking.add_done_callback(lambda _: ended.set())
        ticking = asyncio.create_task(self._tick())
        try:
            await self._clock.wait(ended, timeout_s or None)
            return await asking if asking.done() else None
        finally:
            for task in (asking, ticking):
                task.cancel()
            await asyncio.gather(asking, ticking, return_exceptions=True)

    async def _tick(self) -> None:
        while True:
            await self._clock.sleep(_TICK_S)
            self._display.tick(self._clock.now())

    async def _ask(self, api: CloudApi, *, once: bool) -> Verdict | None:
        poller = SourcePoller(
            watched=self._watched,
            api=api,
            store=NoStore(),
            receivers_for=lambda _event: (),
            clock=self._clock,
            rng=random.Random(),  # noqa: S311 - jitter, not secrets
            observer=self._observe,
        )
        await poller.start()
        while True:
            wait_s = await poller.cycle()
            self._last = next(iter(poller.states()), None)
            verdict = await self._judge()
            is_unsure = self._last is not None and self._last.absences > 0
            if verdict is not None or (once and not is_unsure):
                return verdict
            await self._clock.sleep(wait_s)

    def _observe(self, fact: Fact) -> None:
        match fact:
            case Committed(events):
                self._passed.update(status for event in events for status in event.inferred)
            case SourceFailed(_, error, _, first) | InstanceFailed(_, error, first):
                is_of_this = isinstance(error, CloudEndpointError) and self._first is None  # address, project or id
                if is_of_this or isinstance(error, CloudAuthError | CloudPermissionError):
                    self._fatal = error
                elif first:
                    self._display.trouble(f"source {self._watched.source}: {error}; asked again until it answers")
                self._trouble = error
            case _:
                pass

    async def _judge(self) -> Verdict | None:
        state = self._last
        if self._fatal is not None:
            message = f"source {self._watched.source}: {self._fatal}: {_what_to_do(self._fatal)}"
            return Verdict(outcome=Outcome.FAILED, message=message)
        if state is None:
            return None
        if self._first is None and state.status is not None:
            self._first = state
        verdict = judge(state, self._awaited, first=self._first or state, passed=self._passed)
        shown = (state.status, state.unconfirmed_at is not None)
        if verdict is None and state.status is not None and shown != self._shown:
            self._shown = shown
            self._display.status(state, await self._course_of(state))
        return verdict

    def _out_of_time(self, timeout_s: float) -> Verdict:
        passed = f"{about(timeout_s)} passed and" if timeout_s else "asked once:"
        state = self._last
        if state is not None and state.status is not None:
            is_doubtful = state.unconfirmed_at is not None
            but = "its image not yet confirmed" if is_doubtful else f"not {self._awaited}"
            message = f"{passed} it is {state.status}, {but}"
        else:
            message = f"{passed} it was not seen" + (f": {self._trouble}" if self._trouble is not None else "")
        return Verdict(outcome=Outcome.TIMED_OUT, message=message)

    async def _who_was_meant(self, api: CloudApi, verdict: Verdict) -> str | None:
        """The id of the only instance that has what was given as its name."""
        is_unknown = self._first is None and (self._fatal is None or isinstance(self._fatal, CloudEndpointError))
        if verdict.outcome is not Outcome.FAILED or not is_unknown:
            return None
        try:
            page = await api.list_page(offset=0, name=self._instance_id)
        except CloudError:
            return None
        named = [instance.id for instance in page.items if instance.name == self._instance_id]
        return named[0] if len(named) == 1 else None


def _alone(watched: Watched, instance_id: str) -> Watched:
    """How a source is watched, for one instance: asked for by itself, and always at the short interval."""
    policy = replace(watched.policy, mode=Mode.GET, concurrency=1, steady_interval_s=watched.policy.interval_s)
    return replace(watched, instances={instance_id: {}}, discover=(), policy=policy)


def _what_to_do(error: CloudError) -> str:
    if isinstance(error, CloudAuthError):
        return "check credential, region and clock"
    return advice(error)
