"""Receivers that take or refuse what they are told to."""

from __future__ import annotations

import asyncio
from collections import deque

from watcher.core.errors import DeliveryError, FailureReason
from watcher.core.model import Notification


def refusal(*, permanent: bool = False, retry_after_s: float | None = None) -> DeliveryError:
    """A receiver's "no"."""
    return DeliveryError(
        "answered HTTP 400" if permanent else "answered HTTP 503",
        reason=FailureReason.CLIENT_ERROR if permanent else FailureReason.SERVER_ERROR,
        permanent=permanent,
        retry_after_s=retry_after_s,
    )


class ScriptedReceiver:
    """Answers each try with the next scripted outcome (None: accepted), then with `refusal`; None: accepts."""

    type = "scripted"
    digest_bytes: int | None = None

    def __init__(self, *outcomes: Exception | None, name: str = "hooks") -> None:
        self.name = name
        self.outcomes = deque(outcomes)
        self.refusal: Exception | None = None
        self.tries: list[str] = []
        self.accepted: list[Notification] = []
        self.gate: asyncio.Event | None = None
        self.under_way = 0
        self.most_under_way = 0

    async def send(self, notification: Notification) -> str:
        self.tries.append(notification.id)
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            if self.gate is not None:
                await self.gate.wait()
        finally:
            self.under_way -= 1
        outcome = self.outcomes.popleft() if self.outcomes else self.refusal
        if outcome is not None:
            raise outcome
        self.accepted.append(notification)
        return "ok"

    async def reach(self) -> None:
        pass

    async def close(self) -> None:
        pass
