"""Receivers that the configuration knows and this version cannot serve yet."""

from __future__ import annotations

from typing import NoReturn

from watcher.core.errors import DeliveryError, FailureReason
from watcher.core.model import Notification


class PlannedReceiver:
    """Accepts nothing: its notifications stay as dead letters, to be sent again by a version that can."""

    digest_bytes = None

    def __init__(self, *, name: str, type: str, feature: str) -> None:  # noqa: A002 - the contract's word
        self.name = name
        self.type = type
        self._feature = feature

    async def send(self, notification: Notification) -> NoReturn:  # noqa: ARG002 - the same for every receiver
        """Refuse, for good."""
        raise self._refusal()

    async def reach(self) -> NoReturn:
        """Refuse, for good."""
        raise self._refusal()

    async def close(self) -> None:
        """Nothing to close."""

    def _refusal(self) -> DeliveryError:
        return DeliveryError(
            f"{self._feature} is not available in this version", reason=FailureReason.OTHER, permanent=True
        )
