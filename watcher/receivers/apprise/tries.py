"""Tries that block, each in a thread of its own, and what became of them by notification and address."""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress

from watcher.core.errors import DeliveryError, FailureReason

Outcome = str | DeliveryError
"""What the other side said when it accepted, or why it did not."""

_NOTIFICATIONS = 10_000
_THREADS = 16  # of one address: twice as many as are sent at once


class Attempt:
    """One try, as the thread that makes it sees it."""

    def __init__(self) -> None:
        self._abandoned = threading.Event()

    @property
    def abandoned(self) -> bool:
        """Whether nobody waits any more: nothing may be sent from now on."""
        return self._abandoned.is_set()

    def abandon(self) -> None:
        """Nobody waits any more."""
        self._abandoned.set()


class Told:
    """Which addresses accepted a notification, and which refused it for good; of so many notifications at most."""

    def __init__(self, *, most: int = _NOTIFICATIONS) -> None:
        self._most = most
        self._outcomes: OrderedDict[str, dict[str, Outcome]] = OrderedDict()

    def outcome(self, notification_id: str, address: str) -> Outcome | None:
        """What it said in the end; None if it has to be tried."""
        return self._outcomes.get(notification_id, {}).get(address)

    def take(self, notification_id: str, address: str) -> Outcome | None:
        """What it said. What is temporary is forgotten by that, so that it is tried again."""
        outcome = self.outcome(notification_id, address)
        if isinstance(outcome, DeliveryError) and not outcome.permanent:
            del self._outcomes[notification_id][address]
        return outcome

    def write(self, notification_id: str, address: str, outcome: Outcome) -> None:
        """What became of a try."""
        self._outcomes.setdefault(notification_id, {})[address] = outcome
        self._outcomes.move_to_end(notification_id)
        while len(self._outcomes) > self._most:
            self._outcomes.popitem(last=False)

    def forget(self, notification_id: str) -> None:
        """All of it: every address accepted."""
        self._outcomes.pop(notification_id, None)

    def forget_refusals(self, notification_id: str) -> None:
        """The notification is dead. Who makes it pending again wants those asked again that refused it."""
        outcomes = self._outcomes.get(notification_id, {})
        for address in [address for address, outcome in outcomes.items() if isinstance(outcome, DeliveryError)]:
            del outcomes[address]


class Tries:
    """Runs what blocks in daemon threads: one that hangs holds up neither other addresses nor the end of the process.

    What a thread says late counts as well: an acceptance after the timeout is not sent again.
    """

    def __init__(self, told: Told) -> None:
        self._told = told
        self._under_way: dict[tuple[str, str], tuple[Attempt, asyncio.Future[None]]] = {}

    def start(self, notification_id: str, address: str, call: Callable[[Attempt], Outcome]) -> asyncio.Future[None]:
        """A future that is done when the outcome is written. One still under way is waited for, not made again."""
        key = (notification_id, address)
        if key in self._under_way:
            return self._under_way[key][1]
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        if sum(under_way == address for _, under_way in self._under_way) >= _THREADS:
            late = DeliveryError("earlier tries still hang", reason=FailureReason.TIMEOUT, permanent=False)
            self._told.write(notification_id, address, late)
            future.set_result(None)
            return future
        attempt = Attempt()
        self._under_way[key] = (attempt, future)

        def settle(outcome: Outcome) -> None:
            del self._under_way[key]
            if attempt.abandoned and isinstance(outcome, DeliveryError) and not outcome.permanent:
                return future.set_result(None)  # told as late already
            self._told.write(notification_id, address, outcome)
            return future.set_result(None)

        def run() -> None:
            outcome = call(attempt)
            with suppress(RuntimeError):  # the loop is closed: nobody is left to be told
                loop.call_soon_threadsafe(settle, outcome)

        threading.Thread(target=run, name="apprise", daemon=True).start()
        return future

    def abandon(self, future: asyncio.Future[None]) -> None:
        """Have its thread send nothing more."""
        for attempt, under_way in self._under_way.values():
            if under_way is future:
                attempt.abandon()

    def close(self) -> None:
        """Have no thread send anything more."""
        for attempt, _ in self._under_way.values():
            attempt.abandon()
