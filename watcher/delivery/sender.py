"""The stages that send and record: one parcel to its receiver, and what became of each delivery in it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from watcher.core.clock import Clock
from watcher.core.errors import DeliveryError, FailureReason
from watcher.core.facts import Delivered, DeliveryFailed, Observer, ReceiverFailed, ReceiverRecovered
from watcher.core.model import Delivery, InstanceKey, Notification
from watcher.core.ports import Attempt, Receiver
from watcher.delivery.health import ReceiverHealth
from watcher.delivery.parcels import digest_id_of


class Sender:
    """Sends to one receiver, cut at `timeout_s`. What would be older than `max_age` at its next try is dead."""

    def __init__(
        self,
        *,
        receiver: Receiver,
        health: ReceiverHealth,
        timeout_s: float,
        max_age: timedelta,
        clock: Clock,
        observer: Observer,
    ) -> None:
        self._receiver = receiver
        self._health = health
        self._timeout_s = timeout_s
        self._max_age = max_age
        self._clock = clock
        self._observer = observer

    async def send(self, parcel: Sequence[Delivery], notification: Notification) -> list[Attempt]:
        """One try; never raises but when cancelled."""
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._receiver.send(notification)
        except DeliveryError as error:
            return self._failed(parcel, notification, error)
        except TimeoutError:
            late = f"no answer within {self._timeout_s:g} s"
            return self._failed(
                parcel, notification, DeliveryError(late, reason=FailureReason.TIMEOUT, permanent=False)
            )
        except Exception as error:  # noqa: BLE001 - a receiver's own mistake must not end the worker, nor lose the alert
            mistake = f"{type(error).__name__}: {error}"
            return self._failed(
                parcel, notification, DeliveryError(mistake, reason=FailureReason.OTHER, permanent=False)
            )
        self._answered()
        now = self._clock.now()
        self._observer(Delivered(self._receiver.name, self._receiver.type, notification, now))
        return [Attempt(delivery=delivery, finished_at=now) for delivery in parcel]

    def give_up(self, deliveries: Sequence[Delivery]) -> list[Attempt]:
        """These have become too old without having been accepted."""
        age = f"not accepted within max_age, {self._max_age}"
        error = DeliveryError(age, reason=FailureReason.OTHER, permanent=True)
        return [attempt for each in deliveries for attempt in self._dead([each], notification_of([each]), error)]

    def _answered(self) -> None:
        if self._health.answered():
            self._observer(ReceiverRecovered(self._receiver.name))

    def _failed(self, parcel: Sequence[Delivery], notification: Notification, error: DeliveryError) -> list[Attempt]:
        if error.permanent:
            self._answered()
            if error.too_large and len(parcel) > 1:
                self._tell_failed(notification, error, attempts=_attempts(parcel), retry_in_s=0.0)
                return self._in_halves(parcel, error)
            return self._dead(parcel, notification, error)
        now, attempts = self._clock.now(), _attempts(parcel)
        wait_s, first = self._health.failed(notification.id, error, attempts=attempts, now_s=self._clock.monotonic())
        if self._health.down:
            self._observer(ReceiverFailed(self._receiver.name, error, retry_in_s=wait_s, first=first))
        again_at = now + timedelta(seconds=wait_s)
        if again_at - max(delivery.queued_at for delivery in parcel) > self._max_age:
            return self._dead(parcel, notification, error)
        self._tell_failed(notification, error, attempts=attempts, retry_in_s=wait_s)
        return [Attempt(delivery=each, finished_at=now, error=error, next_attempt_at=again_at) for each in parcel]

    def _in_halves(self, parcel: Sequence[Delivery], error: DeliveryError) -> list[Attempt]:
        now = self._clock.now()
        halves = [
            replace(delivery, digest_id=digest_id_of(half) if len(half) > 1 else None)
            for half in _halves(parcel)
            for delivery in half
        ]
        return [Attempt(delivery=each, finished_at=now, error=error, next_attempt_at=now) for each in halves]

    def _dead(self, parcel: Sequence[Delivery], notification: Notification, error: DeliveryError) -> list[Attempt]:
        self._tell_failed(notification, error, attempts=_attempts(parcel), retry_in_s=None)
        return [Attempt(delivery=each, finished_at=self._clock.now(), error=error) for each in parcel]

    def _tell_failed(
        self, notification: Notification, error: DeliveryError, *, attempts: int, retry_in_s: float | None
    ) -> None:
        self._observer(
            DeliveryFailed(
                self._receiver.name, self._receiver.type, notification, error, attempts=attempts, retry_in_s=retry_in_s
            )
        )


def notification_of(parcel: Sequence[Delivery]) -> Notification:
    """What the receiver is asked to say: a single event, or the digest that the deliveries are part of."""
    held_by = dict.fromkeys(delivery.held_by for delivery in parcel)
    digest_id = parcel[0].digest_id
    return Notification(
        id=digest_id or parcel[0].event.id,
        events=tuple(delivery.event for delivery in parcel),
        is_digest=digest_id is not None,
        held_by="; ".join(each for each in held_by if each) if None not in held_by else None,
    )


def _halves(parcel: Sequence[Delivery]) -> list[Sequence[Delivery]]:
    """About half each, none of an instance in both; of one instance alone, half of it and then each by itself.

    Digests do not wait for one another, so that the second half may arrive before the first.
    """
    middle, counts = len(parcel) // 2, Counter(delivery.event.key for delivery in parcel)
    if len(counts) == 1:
        return [parcel[:middle], *([delivery] for delivery in parcel[middle:])]
    first, size = set[InstanceKey](), 0
    for key in list(counts)[:-1]:
        if size < middle:
            first.add(key)
            size += counts[key]
    return [[delivery for delivery in parcel if (delivery.event.key in first) is wanted] for wanted in (True, False)]


def _attempts(parcel: Sequence[Delivery]) -> int:
    return 1 + max(delivery.attempts for delivery in parcel)
