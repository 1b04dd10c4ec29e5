"""Events as they happen, with none left out and none twice, however often the watcher goes away meanwhile."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from datetime import datetime
from typing import NoReturn

from watcher.cli.client import AwayError, Client, Item
from watcher.cli.server_events import Message
from watcher.cli.times import read_time
from watcher.core.backoff import Backoff
from watcher.core.clock import Clock

EVENTS = "/api/v1/events"
_STREAM = "/api/v1/stream"
_REMEMBERED = 10_000
_CAUGHT_UP_ON = 1000  # events of the past that are asked for when the place in the stream is lost
_ID_CHARS = 200
Query = Mapping[str, Sequence[str]]


async def latest(client: Client, query: Query, *, limit: int) -> list[Item]:
    """The latest events, oldest first."""
    return (await client.items(EVENTS, {**query, "order": ["newest"]}, limit=limit))[:limit][::-1]


class Follower:
    """Follows the events that match, from behind those that it was begun with on.

    `show` is given new events in their order, `tell` one line when the watcher went away, and when it is back.
    """

    def __init__(
        self,
        client: Client,
        query: Query,
        *,
        show: Callable[[Sequence[Item]], None],
        tell: Callable[[str], None],
        clock: Clock,
        rng: random.Random,
    ) -> None:
        self._client = client
        self._query = query
        self._show = show
        self._tell = tell
        self._clock = clock
        self._rng = rng
        self._backoff = Backoff(initial_s=1.0, max_s=30.0)
        self._last_id = ""
        self._last_at: str | None = None
        self._shown: dict[str, None] = {}
        self._not_before: datetime | None = None
        self._is_away = False

    def begin_behind(self, event: Item) -> None:
        """What is new comes after this one."""
        at = event.get("observed_at")
        self._last_id = _id_of(event) or self._last_id
        self._last_at = at if isinstance(at, str) else self._last_at

    def catch_up(self, events: Sequence[Item]) -> None:
        """Show those of these that were not shown yet; what is new comes after them."""
        new = [event for event in events if _id_of(event) not in self._shown]
        for event in new:
            self.begin_behind(event)
            self._remember(_id_of(event))
        if new:
            self._show(new)

    async def run(self) -> NoReturn:
        """Show what comes; raises ApiError when it cannot go on."""
        failures = 0
        while True:
            why = ""
            try:
                async with aclosing(self._open()) as batches:
                    async for batch in batches:
                        failures = 0 if batch else failures
                        self._is_back()
                        for message in batch:
                            await self._take(message)
            except AwayError as error:
                why = str(error)
            failures += 1
            if why:
                self._went_away(why)
            await self._clock.sleep(self._backoff.delay_s(failures, rng=self._rng))

    def _open(self) -> AsyncGenerator[Sequence[Message]]:
        pairs = [(key, value) for key, values in self._query.items() for value in values]
        # With nothing to resume behind, whatever there is is new: an empty `after` begins with the oldest.
        pairs += [] if self._last_id else [("after", "")]
        return self._client.stream(_STREAM, query=pairs, last_id=self._last_id)

    def _went_away(self, why: str) -> None:
        if not self._is_away:
            self._tell(f"{why} Trying again until it is back.")
        self._is_away = True

    def _is_back(self) -> None:
        if self._is_away:
            self._tell("It is back.")
        self._is_away = False

    async def _take(self, message: Message) -> None:
        if message.event == "reset":
            await self._begin_anew()
            return
        event = _event_of(message) if message.event in ("", "message") else {}
        if event is None:
            self._tell("The watcher sent what is no event: left out.")
        elif event and not self._is_old(event):
            self.catch_up([{**event, "id": _id_of(event) or message.id}])

    async def _begin_anew(self) -> None:
        """The place in the stream is forgotten: what is there now and was not yet shown is shown."""
        self._tell("The watcher no longer knows the last event shown here: some may be missing.")
        since = [self._last_at] if self._last_at is not None else []
        self._last_id, self._not_before = "", read_time(self._last_at)
        self.catch_up(await latest(self._client, {**self._query, "since": since}, limit=_CAUGHT_UP_ON))

    def _is_old(self, event: Item) -> bool:
        """Whether it is of before what was shown: a stream that begins anew may begin with those."""
        at = read_time(event.get("observed_at"))
        return self._not_before is not None and at is not None and at < self._not_before

    def _remember(self, event_id: str) -> None:
        if event_id:
            self._shown[event_id] = None
        if len(self._shown) > _REMEMBERED:
            del self._shown[next(iter(self._shown))]


def _id_of(event: Item) -> str:
    return str(event.get("id") or "")[:_ID_CHARS]


def _event_of(message: Message) -> Item | None:
    try:
        event = json.loads(message.data)
    except (ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) else None
