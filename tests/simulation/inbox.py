"""Receivers that are late, refuse, hang, and accept without saying so; what they accepted is kept."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.simulation.faults import Faults
from watcher.core.clock import Clock
from watcher.core.errors import DeliveryError, FailureReason
from watcher.core.model import Event, Notification

HANGS_S = 1000.0


@dataclass(slots=True)
class Accepted:
    """One notification that a receiver took; `answered` when the watcher came to know of it."""

    at_s: float
    notification: Notification
    answered: bool = False


@dataclass(slots=True)
class Inbox:
    """One receiver, for all lives of the daemon. A digest of more than `most_events` is too large for it."""

    name: str
    faults: Faults
    clock: Clock
    tell: Callable[..., None]
    digest_bytes: int | None = None
    most_events: int = 1000
    type: str = "simulated"
    accepted: list[Accepted] = field(default_factory=list)
    refused_for_good: set[str] = field(default_factory=set)
    tried: dict[str, list[float]] = field(default_factory=dict)
    disliked_until_s: dict[str, float] = field(default_factory=dict)

    async def send(self, notification: Notification) -> str:
        """Take it, or not."""
        for event in notification.events:
            self.tried.setdefault(event.id, []).append(self.clock.monotonic())
        await self._travel()
        self._refuse(notification)
        accepted = Accepted(self.clock.monotonic(), notification)
        self.accepted.append(accepted)
        self.tell(self.name, "accepts", _short(notification))
        if notification.is_digest and self.faults.draw(self.faults.crash_with_digest):
            self.faults.crash()
        if self.faults.draw(self.faults.receiver_loses_answer):
            raise _error("connection reset", FailureReason.NETWORK)
        await self._travel()
        accepted.answered = True
        return "ok"

    async def _travel(self) -> None:
        faults = self.faults
        if faults.draw(faults.receiver_hangs):
            await asyncio.sleep(HANGS_S)  # noqa: TID251 - virtual time
        chosen = faults.rng.random()
        if faults.on and chosen < 0.3:
            await asyncio.sleep(chosen * faults.rng.choice([0.1, 1.0, 10.0]))  # noqa: TID251 - virtual time
        faults.point()

    def _refuse(self, notification: Notification) -> None:
        faults = self.faults
        if len(notification.events) > self.most_events:
            raise _error("HTTP 413", FailureReason.CLIENT_ERROR, permanent=True, too_large=True)
        now_s = self.clock.monotonic()
        if notification.id not in self.disliked_until_s:
            dislikes = faults.draw(faults.receiver_dislikes)
            self.disliked_until_s[notification.id] = now_s + faults.rng.uniform(60, 1500) if dislikes else 0.0
        is_disliked = faults.on and now_s < self.disliked_until_s[notification.id]
        if is_disliked or faults.met(faults.receivers[self.name], now_s) or faults.draw(faults.receiver_refuses):
            self.tell(self.name, "refuses", _short(notification))
            raise _error("HTTP 503", FailureReason.SERVER_ERROR)
        if faults.draw(faults.receiver_asks_to_wait):
            self.tell(self.name, "asks to wait", _short(notification))
            raise _error("HTTP 429", FailureReason.RATE_LIMITED, retry_after_s=faults.rng.uniform(0, 200))
        if faults.draw(faults.receiver_refuses_for_good):
            self.tell(self.name, "refuses for good", _short(notification))
            self.refused_for_good.update(event.id for event in notification.events)
            raise _error("HTTP 400", FailureReason.CLIENT_ERROR, permanent=True)

    async def reach(self) -> None:
        pass

    async def close(self) -> None:
        pass

    def first_arrivals(self) -> list[tuple[Accepted, Event]]:
        """Every event that was accepted, once, in the order of arrival."""
        seen: dict[str, tuple[Accepted, Event]] = {}
        for accepted in self.accepted:
            for event in accepted.notification.events:
                seen.setdefault(event.id, (accepted, event))
        return list(seen.values())


def _short(notification: Notification) -> str:
    events = ", ".join(f"{event.instance_id}#{event.sequence}" for event in notification.events)
    return f"{notification.id[:12]} ({events})"


def _error(
    message: str,
    reason: FailureReason,
    *,
    permanent: bool = False,
    retry_after_s: float | None = None,
    too_large: bool = False,
) -> DeliveryError:
    return DeliveryError(message, reason=reason, permanent=permanent, retry_after_s=retry_after_s, too_large=too_large)
