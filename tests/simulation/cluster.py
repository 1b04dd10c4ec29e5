"""Replicas of one run: started, started again, and what befalls them."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextvars import copy_context
from typing import Any

from tests.simulation.freezing import OWNER, PROCESS, FreezingLoop
from tests.simulation.replica import Replica
from tests.simulation.shared_store import Line, SharedStore
from tests.simulation.story import Story
from tests.simulation.troubles import Kind, Trouble
from watcher.core.clock import Clock
from watcher.core.sharing import RECEIVER, SOURCE, Lease, kind_of

_AT_MOST = 4
_DRAINS_S = 25.0
_RESTARTS = 0.5  # of the times that the store was ill its server is new then
_TOPICS = ("deliveries", "quiet", "acknowledged", "roster")


class Cluster:
    """Those that are to run: each place has a replica, and another one soon after that has died."""

    def __init__(
        self,
        story: Story,
        *,
        count: int,
        troubles: Sequence[Trouble],
        loop: FreezingLoop,
        clock: Clock,
        rng: random.Random,
        tell: Callable[..., None],
    ) -> None:
        self._story = story
        self._loop = loop
        self._clock = clock
        self._watcher_rng = rng
        self._rng = random.Random(f"{story.seed} supervisor")
        self._tell = tell
        self._troubles = troubles
        self._hurries = self._rng.choice([0.0, 0.1])
        self._numbers = 0
        self._wanted = count
        self._places: list[asyncio.Task[None]] = []
        self._running: dict[str, Replica] = {}
        self._lines: dict[str, Line] = {}
        self._deaths: dict[str, asyncio.Event] = {}
        self._calm_since_s = 0.0
        self.failed: asyncio.Future[None] = loop.create_future()
        story.store.book.on_signal = self._signal
        story.store.book.on_buried = self._buried
        story.faults.crash = self._crash

    @property
    def up(self) -> list[Replica]:
        """Those that run and can do something."""
        return [each for each in self._running.values() if each.is_up and not self._loop.is_stopped(each.line.name)]

    def anybody(self) -> Replica | None:
        """One of those that run."""
        up = self.up
        return self._rng.choice(up) if up else None

    async def play(self) -> None:
        """Start, and let it befall them what is to."""
        for _ in range(self._wanted):
            self._open_place()
        for spell in self._story.faults.store:
            if self._rng.random() < _RESTARTS:
                self._loop.call_at(spell.ends_s, self._restart_server)
        for trouble in self._troubles:
            await self._clock.sleep(trouble.at_s - self._clock.monotonic())
            self._befall(trouble, self.up)

    def heal(self) -> None:
        """From now on all is well."""
        for replica in self._running.values():
            self._reconnect(replica)
            self._go_on(replica)
        self._disturbed(0.0)

    async def end(self) -> None:
        """All are gone at once."""
        for place in self._places:
            place.cancel()
        for name in self._running:
            self._loop.continue_process(name)
        await asyncio.gather(*self._places, return_exceptions=True)
        self._story.lives.append((self._calm_since_s, self._clock.monotonic()))

    def unsettled(self) -> Iterator[str]:
        """What is not as it must be when all has been well for long."""
        store, up = self._story.store, self.up
        ids = {each.membership.replica_id: each.configured() for each in up}
        if len(up) != self._wanted or store.book.living.keys() != ids.keys():
            yield f"{self._wanted} replicas are to run, {sorted(ids)} do, and {sorted(store.book.living)} are known"
        holders = {name: row.holder for name, row in store.book.leases.items()}
        free = sorted(name for names in ids.values() for name in names if holders.get(name) not in ids)
        if free:
            yield f"nobody holds {free}"
        for kind in (SOURCE, RECEIVER):
            held = Counter(holder for name, holder in holders.items() if kind_of(name) == kind)
            counts = [held[replica_id] for replica_id in ids]
            if max(counts, default=0) - min(counts, default=0) > 1:
                yield f"of each {kind} there are {counts}"
        for row in store.claimed():
            yield f"{row.claimed_by} has claimed a delivery to {row.delivery.receiver}, which is {row.state}"

    # -- lives -----------------------------------------------------------------------------------------------------

    def _open_place(self) -> None:
        place = asyncio.ensure_future(self._keep_running())
        place.add_done_callback(self._ended)
        self._places.append(place)

    def _ended(self, place: asyncio.Task[None]) -> None:
        error = place.exception() if not place.cancelled() else None
        if error is not None and not self.failed.done():
            self.failed.set_exception(error)

    async def _keep_running(self) -> None:
        """Have one run, and another when that has ended, for as long as so many are wanted."""
        while len(self._running) < self._wanted:
            self._numbers += 1
            replica = self._new(self._numbers)
            name, died = replica.line.name, asyncio.Event()
            self._running[name], self._deaths[name] = replica, died
            self._disturbed(0.0)
            self._tell(f"-- {name} starts")
            task = self._start(replica.run(), name, died)
            try:
                await died.wait()
            finally:
                replica.line.is_dead, replica.is_up = True, False
                task.cancel()
                [ended] = await asyncio.gather(task, return_exceptions=True)
                del self._running[name], self._deaths[name]
                self._disturbed(0.0)
                self._tell(f"-- {name} is down", type(ended).__name__)
            if isinstance(ended, Exception):
                raise ended
            down_s = self._rng.choice([0.0, self._rng.uniform(1, 10), self._rng.uniform(10, 120)])
            await self._clock.sleep(down_s if self._story.faults.on else 1.0)

    def _new(self, number: int) -> Replica:
        story = self._story
        line = self._lines[f"r{number}"] = Line(f"r{number}")

        def store(replica_id: Callable[[], str]) -> SharedStore:
            shared = SharedStore(
                story.store,
                story.faults,
                self._clock,
                tell=self._tell,
                line=line,
                replica_id=replica_id,
                wrong=story.wrong.append,
            )
            shared.requeued, shared.explained = story.requeued, story.explained
            return shared

        return Replica(
            story.setup,
            number=number,
            store=store,
            line=line,
            clouds={source: cloud.of_run(number) for source, cloud in story.clouds.items()},
            inboxes=story.inboxes,
            clock=self._clock,
            rng=self._watcher_rng,
            on_event=lambda event: story.found.append((self._clock.monotonic(), event)),
            on_served=self._served,
            on_try=lambda: self._tried(line.name),
            tell=self._tell,
            wrong=story.wrong.append,
        )

    def _served(self, lease: Lease, number: int) -> None:
        served = lease.token, self._clock.monotonic(), number
        self._story.served.setdefault(lease.name, []).append(served)

    def _start(self, work: Coroutine[Any, Any, None], name: str, died: asyncio.Event) -> asyncio.Task[None]:
        inside = copy_context()
        for owned in (PROCESS, OWNER):
            inside.run(owned.set, name)
        task = self._loop.create_task(work, context=inside)
        task.add_done_callback(lambda _: died.set())
        return task

    # -- what befalls them -----------------------------------------------------------------------------------------

    def _tried(self, name: str) -> None:
        """Now and then it befalls one just when a try is under way, which is seldom enough by itself."""
        if self._story.faults.draw(self._hurries):
            lasts_s = self._story.setup.lease_ttl_s * self._rng.uniform(0.2, 2.0)
            kind = self._rng.choice([Kind.KILLED, Kind.STOPPED, Kind.CUT, Kind.DRAINED, Kind.JOINED])
            trouble = Trouble(self._clock.monotonic(), kind, lasts_s, 0.0, hangs=self._rng.random() < 0.5)
            self._befall(trouble, [replica for replica in self.up if replica.line.name == name])

    def _befall(self, trouble: Trouble, up: Sequence[Replica]) -> None:
        if not self._story.faults.on or not up:
            return
        replica = up[int(trouble.chosen * len(up))]
        self._tell(f"-- {replica.line.name} is {trouble.kind}, for {trouble.lasts_s:.0f} s")
        match trouble.kind:
            case Kind.KILLED:
                self._deaths[replica.line.name].set()
            case Kind.STOPPED:
                self._loop.stop_process(replica.line.name)
                self._loop.call_later(trouble.lasts_s, self._go_on, replica)
            case Kind.CUT:
                replica.line.cut_until_s, replica.line.hangs = self._clock.monotonic() + trouble.lasts_s, trouble.hangs
                self._loop.call_later(trouble.lasts_s, self._reconnect, replica)
            case Kind.DRAINED:
                replica.stop()
            case Kind.ROLLED:
                for place, each in enumerate(up):
                    self._loop.call_later(place * _DRAINS_S, each.stop)
                self._disturbed(len(up) * _DRAINS_S)
            case Kind.JOINED if self._wanted < _AT_MOST:
                self._wanted += 1
                self._open_place()
            case Kind.LEFT if self._wanted > 1:
                self._wanted -= 1
                replica.stop()
            case _:
                return
        self._disturbed(trouble.lasts_s)

    def _go_on(self, replica: Replica) -> None:
        if self._loop.is_stopped(replica.line.name):
            self._tell(f"-- {replica.line.name} goes on")
            self._loop.continue_process(replica.line.name)

    def _reconnect(self, replica: Replica) -> None:
        replica.line.cut_until_s = float("-inf")
        for topic in _TOPICS if replica.is_up else ():
            replica.signalled(topic)

    def _crash(self) -> None:
        """The one whose doing it is dies in the middle of it."""
        name = OWNER.get()
        if name in self._deaths and not self._loop.is_stopped(name):
            self._deaths[name].set()

    def _disturbed(self, lasts_s: float) -> None:
        """Polling may go from one to another until some time after."""
        now_s = self._clock.monotonic()
        if now_s > self._calm_since_s:
            self._story.lives.append((self._calm_since_s, now_s))
        self._calm_since_s = max(self._calm_since_s, now_s + lasts_s + 2 * self._story.setup.lease_ttl_s + _DRAINS_S)

    def _restart_server(self) -> None:
        if self._story.faults.on:
            self._tell("-- the server is new")
            self._story.store.book.up_since_s = self._clock.monotonic()

    # -- what the store says ---------------------------------------------------------------------------------------

    def _signal(self, topic: str) -> None:
        for replica in self._running.values():
            if replica.is_up and not replica.line.is_cut(self._clock.monotonic()):
                replica.signalled(topic)

    def _buried(self, replica_id: str) -> None:
        """What it had under way may be sent again by others."""
        self._tell("--", replica_id, "is buried")
        name = replica_id.partition(".")[0]
        self._story.in_flight |= self._lines[name].open_tries
