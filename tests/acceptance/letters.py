"""Receivers that fail at random and keep what they were sent; what must hold of it, however often the sender dies."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from aiohttp import web

from tests.fakes.sink import Reply, Sink
from watcher.core.clock import SystemClock

AT_ONCE = 8  # requests under way to one receiver
REFUSED_AT_MOST = 3  # times the same event is: its sender waits twice as long after each
SLOWEST_S = 0.03
REFUSALS = (
    Reply(status=503),
    Reply(status=429, headers={"Retry-After": "0"}),
    Reply(cut=True),
    Reply(reset=True),  # it has been taken, but its sender cannot know
)

Json = dict[str, Any]


@dataclass(frozen=True)
class Letter:
    """One request: from which life of its sender, what it says, whether it is answered well, and when it came."""

    life: int
    id: str
    accepted: bool
    text: str = field(repr=False)
    at: datetime

    @property
    def is_digest(self) -> bool:
        return bool(json.loads(self.text)["type"] == "instance.digest")

    @property
    def events(self) -> list[Json]:
        """The events it tells, in order."""
        return events_in(self.text)


def events_in(text: str) -> list[Json]:
    """The events that the body of a webhook tells: one, or those of a digest."""
    body = json.loads(text)
    return list(body["data"]["events"]) if body["type"] == "instance.digest" else [body["data"]]


class MoodySink(Sink):
    """Fails at random and keeps what comes. The path of a request ends with the number of its sender's life.

    `mood` is how likely a failure is; while it is not `open` nobody is answered. `on_letter` is called for each letter
    before it is answered. `told` is what came of each instance, by event id, in the order of first arrival. `overtaken`
    are letters that came while an earlier one of the same instance had no answer yet.
    """

    def __init__(self, rng: random.Random) -> None:
        super().__init__()
        self.mood = 0.0
        self.open = asyncio.Event()
        self.open.set()
        self.on_letter: Callable[[], None] = lambda: None
        self.letters: list[Letter] = []
        self.told: dict[str, dict[str, Json]] = defaultdict(dict)
        self.overtaken: list[Letter] = []
        self._rng = rng
        self._clock = SystemClock()
        self._never = asyncio.Event()
        self._refused: Counter[str] = Counter()
        self._under_way: Counter[tuple[int, str]] = Counter()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if self._rng.random() < self.mood / 10 and request.transport is not None:
            request.transport.abort()  # before it is read: nobody knows that it came
            return web.Response()
        text = await request.text()
        events = events_in(text)
        refused = self._refuses(events)
        letter = Letter(
            int(request.path.rpartition("/")[2]), request.headers["webhook-id"], not refused, text, self._clock.now()
        )
        self._keep(letter, events)
        self.on_letter()
        whose = {(letter.life, event["instance_id"]) for event in events}
        if any(self._under_way[each] for each in whose):
            self.overtaken.append(letter)
        self._under_way.update(whose)
        await self.open.wait()
        await self._clock.wait(self._never, self._rng.choice((0.0, self._rng.uniform(0.0, SLOWEST_S))))
        self._under_way.subtract(whose)
        if request.transport is None:  # its sender is dead
            return web.Response()
        self.replies.append(self._rng.choice(REFUSALS) if refused else Reply())
        return await super()._handle(request)

    def _refuses(self, events: list[Json]) -> bool:
        tired = any(self._refused[event["id"]] >= REFUSED_AT_MOST for event in events)
        return not tired and self._rng.random() < self.mood

    def _keep(self, letter: Letter, events: list[Json]) -> None:
        self.letters.append(letter)
        for event in events:
            self._refused[event["id"]] += not letter.accepted
            self.told[event["instance_id"]].setdefault(event["id"], event)


def check_contents(letters: Iterable[Letter]) -> None:
    """No id has two contents, neither an event's nor a letter's."""
    texts: dict[str, str] = {}
    bodies: dict[str, Json] = {}
    for letter in letters:
        first = texts.setdefault(letter.id, letter.text)
        assert first == letter.text, f"{letter} has two contents: {first} and {letter.text}"
        for event in letter.events:
            told = bodies.setdefault(event["id"], event)
            assert told == event, f"an event in {letter} has two contents: {told} and {event}"
        if not letter.is_digest:
            [event] = letter.events
            named = letter.id, json.loads(letter.text)["type"]
            assert named == (event["id"], f"instance.{event['kind']}"), f"{letter} holds {event}"


def check_order(letters: Iterable[Letter], *, may_be_late: Callable[[Letter], bool] = lambda _: False) -> None:
    """Each letter goes on where the last accepted one of its instance ended, or repeats just that one.

    One that `may_be_late` may also repeat what was told before. The first event of an instance is its discovery, which
    is nobody's news.
    """
    last: dict[str, tuple[int, int]] = defaultdict(lambda: (2, 1))
    for letter in letters:
        runs: dict[str, list[int]] = defaultdict(list)
        for event in letter.events:
            runs[event["instance_id"]].append(event["sequence"])
        for instance_id, run in runs.items():
            began, reached = last[instance_id]
            what = f"{letter} tells {run} of {instance_id}; it may begin with {began} to {reached + 1}"
            assert run == list(range(run[0], run[0] + len(run))), what
            assert (1 if may_be_late(letter) else began) <= run[0] <= reached + 1, what
            if letter.accepted:
                last[instance_id] = run[0], max(reached, run[-1])


def check_repeats(letters: Iterable[Letter], *, killed: Iterable[int]) -> int:
    """What was accepted is sent again only when its sender was killed before it wrote that down; how many such."""
    accepted: dict[str, Letter] = {}
    again: dict[int, set[int]] = {life: set() for life in killed}
    for letter in letters:
        for event in letter.events:
            before = accepted.get(event["id"])
            if before is not None:
                assert before.life < letter.life, f"{before} was accepted, and sent again without need: {letter}"
                assert before.life in again, f"{before} was accepted, its sender ended well, and yet there is {letter}"
                again[before.life].add(id(before))
            if letter.accepted:
                accepted[event["id"]] = letter
    most = max(again, key=lambda life: len(again[life]))
    assert len(again[most]) <= AT_ONCE, f"life {most} left {len(again[most])} accepted letters to be sent again"
    return sum(map(len, again.values()))


def check_alerts(events: Iterable[Json]) -> set[str]:
    """Each alert fires, is resolved, fires again, and so on; those that fire in the end, by name."""
    firing: dict[str, Json] = {}
    for event in events:
        for alert in event["alerts"]:
            if alert["status"] == "firing":
                assert alert["fingerprint"] not in firing, f"fires twice: {event}"
                firing[alert["fingerprint"]] = alert
            else:
                began = firing.pop(alert["fingerprint"], None)
                assert began is not None, f"is resolved and never fired: {event}"
                assert alert["starts_at"] == began["starts_at"], f"began at another time, {began['starts_at']}: {event}"
    return {alert["name"] for alert in firing.values()}
