"""One worker a receiver: claim what is due → send → record. Receivers never wait for each other."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from datetime import timedelta

from watcher.core.backoff import Backoff
from watcher.core.clock import Clock
from watcher.core.errors import DeliveryError, FailureReason, StoreError
from watcher.core.facts import Delivered, DeliveryFailed, Observer, StoreFailed, StoreRecovered
from watcher.core.model import Delivery, Notification
from watcher.core.ports import Attempt, DeliveryStore, Receiver

_LOOK_AGAIN_S = 60.0  # a delivery written by somebody else than this process is found within this time


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryPolicy:
    """How one receiver is served: `timeout_s` a try, `max_age` until a delivery is dead, `at_once` tries under way."""

    timeout_s: float = 10.0
    max_age: timedelta = timedelta(hours=24)
    at_once: int = 8
    backoff: Backoff = field(default_factory=Backoff)


class DeliveryWorker:
    """Serves one receiver for as long as the daemon runs.

    At least once, in order for each instance: a delivery waits for the earlier ones of its instance, and nothing is
    recorded as delivered before the receiver accepted it. A receiver that asks us to wait is left alone until then.
    """

    def __init__(
        self,
        *,
        receiver: Receiver,
        store: DeliveryStore,
        policy: DeliveryPolicy,
        clock: Clock,
        rng: random.Random,
        observer: Observer,
    ) -> None:
        self._receiver = receiver
        self._store = store
        self._policy = policy
        self._clock = clock
        self._rng = rng
        self._observer = observer
        self._wake = asyncio.Event()
        self._draining = False
        self._not_before_s = 0.0
        self._store_failures = 0
        self._sending: dict[asyncio.Task[Attempt], Delivery] = {}
        self._unrecorded: list[Attempt] = []

    def notify(self) -> None:
        """Say that there may be something new to deliver."""
        self._wake.set()

    def drain(self) -> None:
        """Finish what is due now, then let `run` return."""
        self._draining = True
        self._wake.set()

    async def run(self) -> None:
        """Deliver until drained. Cancelling it gives up tries under way; they stay pending in the store."""
        try:
            while True:
                self._wake.clear()
                wait_s = await self._turn()
                if wait_s is None:
                    return
                await self._clock.wait(self._wake, wait_s)  # until a try ends, somebody calls, or the time is up
        finally:
            for task in self._sending:
                task.cancel()
            await asyncio.gather(*self._sending, return_exceptions=True)

    async def _turn(self) -> float | None:
        """Record what ended, start what is due; how long there is nothing more to do, None when drained."""
        try:
            await self._record()
            started = await self._start_due()
            idle_s = await self._idle_s()
        except StoreError as error:
            self._store_failures += 1
            self._observer(StoreFailed(self._receiver.name, error, first=self._store_failures == 1))
            return self._policy.backoff.delay_s(self._store_failures, rng=self._rng)
        if self._store_failures:
            self._store_failures = 0
            self._observer(StoreRecovered(self._receiver.name))
        if self._draining and not started and not self._sending:
            return None
        return idle_s

    async def _record(self) -> None:
        ended = [task for task in self._sending if task.done()]
        for task in ended:
            del self._sending[task]
            self._unrecorded.append(task.result())
        if self._unrecorded:
            await self._store.record(self._unrecorded)
            self._unrecorded = []

    async def _start_due(self) -> int:
        room = self._policy.at_once - len(self._sending)
        if room <= 0 or self._clock.monotonic() < self._not_before_s:
            return 0
        now = self._clock.now()
        due = await self._store.due(self._receiver.name, now=now, limit=room, under_way=self._under_way())
        for delivery in due:
            task = asyncio.create_task(self._try(delivery), name=f"deliver {delivery.id} to {self._receiver.name}")
            task.add_done_callback(lambda _: self._wake.set())
            self._sending[task] = delivery
        return len(due)

    def _under_way(self) -> list[int]:
        return [delivery.id for delivery in self._sending.values()]

    async def _idle_s(self) -> float:
        if len(self._sending) >= self._policy.at_once:
            return _LOOK_AGAIN_S
        next_due_at = await self._store.next_due_at(self._receiver.name, under_way=self._under_way())
        if next_due_at is None:
            return _LOOK_AGAIN_S
        due_s = (next_due_at - self._clock.now()).total_seconds()
        paused_s = self._not_before_s - self._clock.monotonic()
        return min(_LOOK_AGAIN_S, max(due_s, paused_s, 0.001))

    async def _try(self, delivery: Delivery) -> Attempt:
        notification = Notification(id=delivery.event.id, event=delivery.event)
        try:
            async with asyncio.timeout(self._policy.timeout_s):
                await self._receiver.send(notification)
        except DeliveryError as error:
            return self._failed(delivery, error)
        except TimeoutError:
            message = f"no answer within {self._policy.timeout_s:g} s"
            return self._failed(delivery, DeliveryError(message, reason=FailureReason.TIMEOUT, permanent=False))
        except Exception as error:  # noqa: BLE001 - a receiver's own mistake must not end the worker, nor lose the alert
            message = f"{type(error).__name__}: {error}"
            return self._failed(delivery, DeliveryError(message, reason=FailureReason.OTHER, permanent=False))
        now = self._clock.now()
        latency_s = (now - delivery.event.observed_at).total_seconds()
        self._observer(Delivered(delivery, self._receiver.type, latency_s=max(0.0, latency_s)))
        return Attempt(delivery=delivery, finished_at=now)

    def _failed(self, delivery: Delivery, error: DeliveryError) -> Attempt:
        now = self._clock.now()
        delay_s = self._policy.backoff.delay_s(delivery.attempts + 1, rng=self._rng, retry_after_s=error.retry_after_s)
        if error.retry_after_s is not None:
            self._not_before_s = max(self._not_before_s, self._clock.monotonic() + delay_s)
        again_at = now + timedelta(seconds=delay_s)
        dead = error.permanent or again_at - delivery.created_at > self._policy.max_age
        self._observer(DeliveryFailed(delivery, self._receiver.type, error, retry_in_s=None if dead else delay_s))
        return Attempt(delivery=delivery, finished_at=now, error=error, next_attempt_at=None if dead else again_at)
