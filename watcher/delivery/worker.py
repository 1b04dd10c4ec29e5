"""One worker a receiver: claim → silence → group → rate-limit → send → record. Receivers never wait for each other."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from watcher.core.backoff import Backoff
from watcher.core.budget import Budget
from watcher.core.clock import Clock
from watcher.core.errors import LeaseLostError, StoreError
from watcher.core.facts import Observer, StoreFailed, StoreRecovered, Suppressed
from watcher.core.http_headers import RETRY_AFTER_MAX_S
from watcher.core.model import Delivery
from watcher.core.ports import Attempt, DeliveryStore, QuietView, Receiver
from watcher.delivery.health import ReceiverHealth
from watcher.delivery.judge import as_judged, judge
from watcher.delivery.parcels import DIGEST_EVENTS, Parcel, choose, digest_id_of
from watcher.delivery.sender import Sender, notification_of

_LOOK_AGAIN_S = 60.0  # what somebody else than this process wrote is found within this time
_SET_BACK_S = 1.0  # what a clock is corrected by all the time is less
_SINGLES = 256  # looked at in one turn, where there are no digests
_STORE_RETRY = Backoff(initial_s=1.0, max_s=10.0)
_MAY_AGAIN_S = 0.5
_TURN_AT_MOST_S = 300.0  # it asks the store, and waits for nobody else


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryPolicy:
    """How one receiver is served: `timeout_s` a try, `max_age` until a delivery is dead, `at_once` tries under way.

    When more than `digest_over` wait they are sent as one digest (0: never). `rate` is how many notifications may be
    sent in how many seconds (None: any).
    """

    timeout_s: float = 10.0
    max_age: timedelta = timedelta(hours=24)
    at_once: int = 8
    digest_over: int = 10
    send_resolved: bool = True
    rate: tuple[int, float] | None = None
    backoff: Backoff = field(default_factory=Backoff)


class DeliveryWorker:
    """Serves one receiver for as long as the daemon runs.

    At least once, in order for each instance: a delivery waits for the earlier ones of its instance, and nothing is
    recorded as delivered before the receiver accepted it. What a digest holds is written down before it is sent, so
    that it is the same digest at every try. What is sent is claimed before, so that no other replica sends it, too.
    """

    def __init__(
        self,
        *,
        receiver: Receiver,
        store: DeliveryStore,
        quiet: QuietView,
        policy: DeliveryPolicy,
        clock: Clock,
        rng: random.Random,
        observer: Observer,
        may_send: Callable[[], bool] = lambda: True,
    ) -> None:
        """`may_send`: whether nobody else may have begun to serve the receiver meanwhile."""
        self._store = store
        self._quiet = quiet
        self._clock = clock
        self._rng = rng
        self._observer = observer
        self._may_send = may_send
        self._wake = asyncio.Event()
        self._draining = self._leaving = False
        self._turn_began_s: float | None = None
        self._store_failures = 0
        self._look_s = 0.0
        self._was_down = False
        self._sending: dict[asyncio.Task[list[Attempt]], Sequence[Delivery]] = {}
        self._ahead_s: float | None = None
        self._outdated: set[asyncio.Task[list[Attempt]]] = set()
        self._unrecorded: list[Attempt] = []
        self._make_due = False
        self._serve(receiver, policy)

    def _serve(self, receiver: Receiver, policy: DeliveryPolicy) -> None:
        self._receiver = receiver
        self._policy = policy
        self._health = ReceiverHealth(backoff=policy.backoff, rng=self._rng)
        self._sender = Sender(
            receiver=receiver,
            health=self._health,
            timeout_s=policy.timeout_s,
            max_age=policy.max_age,
            clock=self._clock,
            observer=self._observer,
        )
        self._budget = Budget(requests=policy.rate[0], period_s=policy.rate[1]) if policy.rate is not None else None

    def serve(self, receiver: Receiver, policy: DeliveryPolicy) -> asyncio.Future[Any]:
        """Serve another receiver of the same name from now on, and try at once what the one before did not take.

        Tries under way go on with the one before, which may be closed when what is returned is done.
        """
        self._serve(receiver, policy)
        self._wait_no_more()
        self.look_again()
        return asyncio.gather(*self._sending, return_exceptions=True)

    def why_stuck(self) -> str | None:
        """In words what does not get on though it should, None when all does."""
        if self._turn_began_s is None or self._clock.monotonic() - self._turn_began_s <= _TURN_AT_MOST_S:
            return None
        return f"the deliveries to {self._receiver.name} have not got on for {_TURN_AT_MOST_S:.0f} s"

    def notify(self) -> None:
        """Say that there may be something new to deliver."""
        self._wake.set()

    def look_again(self) -> None:
        """Say that what is quiet has changed."""
        self._look_s = 0.0
        self._wake.set()

    def drain(self) -> None:
        """Finish what is due now, then let `run` return."""
        self._draining = True
        self._wake.set()

    def leave(self) -> None:
        """Finish what is under way and begin nothing more, then let `run` return."""
        self._leaving = True
        self._wake.set()

    async def run(self) -> None:
        """Deliver until drained. Cancelling it gives up tries under way; they stay pending in the store."""
        try:
            while True:
                self._wake.clear()
                self._turn_began_s = self._clock.monotonic()
                wait_s = await self._turn()
                self._turn_began_s = None
                if wait_s is None:
                    return
                if wait_s:
                    await self._clock.wait(self._wake, wait_s)  # until a try ends, somebody calls, or the time is up
        finally:
            for task in self._sending:
                task.cancel()
            await asyncio.gather(*self._sending, return_exceptions=True)

    async def _turn(self) -> float | None:
        """Record what ended, start what is due; how long there is nothing more to do, None when drained."""
        was_leaving = self._leaving
        try:
            await self._mind_the_clock()
            await self._record()
            if not self._leaving:
                await self._look_around()
            started = 0 if self._leaving else await self._start_due()
            idle_s = 0.0 if started else await self._idle_s()
        except LeaseLostError:
            # Whoever leaves writes nothing but records, and may for as long as the replica lives. Who has left in the
            # middle of this turn ends, and records, what is under way.
            return None if was_leaving else _MAY_AGAIN_S
        except StoreError as error:
            self._store_failures += 1
            self._observer(StoreFailed(f"receiver {self._receiver.name}", error, first=self._store_failures == 1))
            return _STORE_RETRY.delay_s(self._store_failures, rng=self._rng)
        if self._store_failures:
            self._store_failures = 0
            self._observer(StoreRecovered(f"receiver {self._receiver.name}"))
        if not self._sending and (self._leaving or (self._draining and not started and not self._is_paced)):
            return None
        return idle_s

    async def _record(self) -> None:
        for task in [task for task in self._sending if task.done()]:
            del self._sending[task]
            if task in self._outdated:  # when to try again was said by one before, or by a clock before
                self._outdated.discard(task)
                self._make_due = True
            self._unrecorded += task.result()
        if self._unrecorded:
            await self._store.record(self._unrecorded)
            self._unrecorded = []
        if not self._leaving and (self._make_due or (self._was_down and self._health.well)):
            await self._store.make_due(self._receiver.name, now=self._clock.now())
        self._make_due = False
        self._was_down = self._health.down

    async def _mind_the_clock(self) -> None:
        """What waits until some wall-clock time does not wait for longer because that clock was set back."""
        if self._leaving:
            return
        now = self._clock.now()
        before_s, self._ahead_s = self._ahead_s, now.timestamp() - self._clock.monotonic()
        if before_s is None:  # it may have been while nobody looked
            longest = timedelta(seconds=max(RETRY_AFTER_MAX_S, self._policy.backoff.max_s))
            await self._store.make_due(self._receiver.name, now=now, beyond=longest)
        elif self._ahead_s < before_s - _SET_BACK_S:
            self._wait_no_more()

    def _wait_no_more(self) -> None:
        """Have what waits for another try tried at once, and so what is under way if it fails."""
        self._make_due = True
        self._outdated |= self._sending.keys()

    async def _look_around(self) -> None:
        """Once a while: what has become too old, and what was kept quiet and may be told now."""
        now_s = self._clock.monotonic()
        if now_s < self._look_s:
            return
        await self._quiet.refresh()  # a change may be in the store though whoever made it was told that it failed
        now, name = self._clock.now(), self._receiver.name
        aged = await self._store.aged(name, before=now - self._policy.max_age, limit=DIGEST_EVENTS)
        under_way = self._under_way()
        claimed = await self._claim({delivery.id for delivery in aged} - under_way)
        aged = [delivery for delivery in aged if delivery.id in claimed]
        if aged:
            await self._store.record(self._sender.give_up(aged))
        held = await self._store.held(name)
        free = [each for each in held if self._quiet.why_quiet(each.event) is None]
        if free:
            ids = [delivery.id for delivery in free]
            together = 1 < len(free) <= self._policy.digest_over  # more become digests in any case
            digest_id = digest_id_of(replace(each, queued_at=now) for each in free) if together else None
            await self._store.requeue(ids, now=now, digest_id=digest_id)
        self._look_s = now_s + _LOOK_AGAIN_S

    async def _start_due(self) -> int:
        """Start what may be sent now; how many parcels were started or found to be kept quiet."""
        room = self._room()
        if room <= 0:
            return 0
        limit = 2 * DIGEST_EVENTS if self._policy.digest_over else _SINGLES
        under_way = self._under_way()
        due = await self._store.waiting(self._receiver.name, now=self._clock.now(), limit=limit + len(under_way))
        parcels = choose(
            [each for each in due if each.id not in under_way],
            busy={delivery.event.key for sending in self._sending.values() for delivery in sending},
            room=room,
            is_idle=not self._sending,
            digest_over=self._policy.digest_over,
            digest_bytes=self._receiver.digest_bytes,
        )
        singles = [parcel.ids[0] for parcel in parcels if parcel.digest_id is None and len(parcel.ids) == 1]
        claimed = await self._claim(singles)
        started = len(claimed)
        for parcel in parcels:
            if parcel.digest_id is not None:
                started += await self._start_again(parcel.digest_id)
            elif len(parcel.ids) > 1:
                started += await self._start_digest(parcel)
        if claimed:
            for delivery in await self._keep_quiet(claimed):
                self._start([delivery])
        return started

    @property
    def _is_paced(self) -> bool:
        """Whether it is only the rate that makes what is due wait."""
        now_s = self._clock.monotonic()
        return self._budget is not None and not self._budget.available(now_s) and now_s >= self._health.paused_until_s

    def _room(self) -> int:
        """How many parcels may be started now."""
        now_s = self._clock.monotonic()
        if now_s < self._health.paused_until_s or not self._may_send():
            return 0
        room = (self._policy.at_once if self._health.well else 1) - len(self._sending)
        return min(room, self._budget.available(now_s)) if self._budget is not None else room

    async def _claim(self, ids: Collection[int]) -> Collection[int]:
        return await self._store.claim(ids) if ids else ()

    async def _claim_all(self, ids: Collection[int]) -> bool:
        """All of these or none: a digest is sent as a whole."""
        claimed = await self._claim(ids)
        if len(claimed) == len(ids):
            return True
        await self._store.unclaim(claimed)
        return False

    async def _start_again(self, digest_id: str) -> bool:
        """Send a digest that was formed before; False when somebody else does."""
        deliveries = await self._store.digest(self._receiver.name, digest_id)
        if not await self._claim_all([delivery.id for delivery in deliveries]):
            return False
        self._start(as_judged(deliveries, send_resolved=self._policy.send_resolved))
        return True

    async def _start_digest(self, parcel: Parcel) -> bool:
        """Send these together, unless so many of them are kept quiet that the rest goes by itself; False when somebody
        else sends some of them.
        """
        if not await self._claim_all(parcel.ids):
            return False
        deliveries = await self._keep_quiet(parcel.ids)
        if len(deliveries) <= self._policy.digest_over and len(deliveries) < len(parcel.ids):
            return True  # the next turn takes them
        digest_id = digest_id_of(deliveries)
        await self._store.form_digest(digest_id, [delivery.id for delivery in deliveries])
        self._start([replace(delivery, digest_id=digest_id) for delivery in deliveries])
        return True

    async def _keep_quiet(self, ids: Collection[int]) -> list[Delivery]:
        """What of these is to be sent; the rest is recorded as suppressed."""
        verdicts = judge(
            await self._store.deliveries_of(ids),
            send_resolved=self._policy.send_resolved,
            why_quiet=self._quiet.why_quiet,
        )
        now = self._clock.now()
        kept = [
            Suppressed(verdict.delivery, verdict.suppression, verdict.held_by)
            for verdict in verdicts
            if verdict.suppression is not None
        ]
        if kept:
            await self._store.record(
                [
                    Attempt(delivery=fact.delivery, finished_at=now, suppression=fact.reason, held_by=fact.held_by)
                    for fact in kept
                ]
            )
            for fact in kept:
                self._observer(fact)
        return [verdict.delivery for verdict in verdicts if verdict.suppression is None]

    def _start(self, deliveries: Sequence[Delivery]) -> None:
        if not self._may_send():
            return
        notification = notification_of(deliveries)
        if self._budget is not None:
            self._budget.spend(self._clock.monotonic())
        task = asyncio.create_task(
            self._sender.send(deliveries, notification), name=f"deliver {notification.id} to {self._receiver.name}"
        )
        task.add_done_callback(lambda _: self._wake.set())
        self._sending[task] = deliveries

    def _under_way(self) -> set[int]:
        return {delivery.id for deliveries in self._sending.values() for delivery in deliveries}

    async def _idle_s(self) -> float:
        """How long nothing will be due, unless a try ends or somebody calls."""
        if self._leaving:
            return _LOOK_AGAIN_S
        now, now_s = self._clock.now(), self._clock.monotonic()
        moments_s = [self._look_s] if self._may_send() else [now_s + _MAY_AGAIN_S]
        if now_s < self._health.paused_until_s:
            moments_s.append(self._health.paused_until_s)
        elif self._budget is not None and self._is_paced:
            moments_s.append(self._budget.free_s(now_s))
        elif self._room() > 0:
            next_due_at = await self._store.next_due_at(self._receiver.name, now=now)
            if next_due_at is not None:
                moments_s.append(now_s + (next_due_at - now).total_seconds())
        return max(0.001, min(moments_s) - now_s)
