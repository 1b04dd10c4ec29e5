"""Keeping true what a receiver's other side holds of alerts: that they fire still, are taken on, or are over."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta

from watcher.core.clock import Clock
from watcher.core.errors import DeliveryError, FailureReason, StoreError
from watcher.core.facts import Observer, RefreshFailed, RefreshRecovered
from watcher.core.ports import StandingReceiver, StandingStore

_ENDED_FOR = timedelta(minutes=15)  # an end is told again so long, as Prometheus does


class Refresher:
    """Refreshes one receiver for as long as the daemon runs, each `refresh_s` and whenever somebody calls.

    Beside the deliveries, which tell each change once: a try that fails is made up for by the next.
    """

    def __init__(
        self,
        *,
        receiver: StandingReceiver,
        store: StandingStore,
        send_resolved: bool,
        timeout_s: float,
        clock: Clock,
        observer: Observer,
        may_send: Callable[[], bool] = lambda: True,
    ) -> None:
        """`may_send`: whether nobody else may have begun to serve the receiver meanwhile."""
        self._receiver = receiver
        self._store = store
        self._ended_for = _ENDED_FOR if send_resolved else timedelta()
        self._timeout_s = timeout_s
        self._clock = clock
        self._observer = observer
        self._may_send = may_send
        self._wake = asyncio.Event()
        self._failing = False

    def notify(self) -> None:
        """Say that somebody may have taken on an alert."""
        self._wake.set()

    async def run(self) -> None:
        """Refresh until cancelled."""
        while True:
            self._wake.clear()
            await self.refresh()
            await self._clock.wait(self._wake, self._receiver.refresh_s)

    async def refresh(self) -> None:
        """Refresh once; never raises but when cancelled."""
        name = self._receiver.name
        try:
            standing = await self._store.standing(name, ended_since=self._clock.now() - self._ended_for)
            if standing and self._may_send():
                async with asyncio.timeout(self._timeout_s):
                    await self._receiver.refresh(standing)
        except (DeliveryError, StoreError) as error:
            self._failed(error)
        except TimeoutError:
            late = f"no answer within {self._timeout_s:g} s"
            self._failed(DeliveryError(late, reason=FailureReason.TIMEOUT, permanent=False))
        except Exception as error:  # noqa: BLE001 - a receiver's own mistake must not end the daemon
            mistake = f"{type(error).__name__}: {error}"
            self._failed(DeliveryError(mistake, reason=FailureReason.OTHER, permanent=False))
        else:
            if self._failing:
                self._observer(RefreshRecovered(name))
            self._failing = False

    def _failed(self, error: DeliveryError | StoreError) -> None:
        self._observer(RefreshFailed(self._receiver.name, error, first=not self._failing))
        self._failing = True
