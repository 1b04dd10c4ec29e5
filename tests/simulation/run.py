"""One run: a world in which things go wrong for an hour, then stand still and are well until nothing is to be done."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

from tests.fakes.model_store import ModelStore
from tests.simulation.daemon import Daemon
from tests.simulation.disk import UnreliableStore
from tests.simulation.freezing import FreezingLoop
from tests.simulation.loop import VirtualClock, VirtualLoop
from tests.simulation.scene import draw_scene
from tests.simulation.setup import draw_setup
from tests.simulation.shared_run import SharedRun
from tests.simulation.story import Story
from watcher.core.errors import StoreError
from watcher.core.model import DeliveryState

L = TypeVar("L", bound=VirtualLoop)

_SHARED = 1 / 3  # of the worlds have several replicas
SETTLES_S = 1200.0  # all pauses are over by then, and whoever flapped is calm
_ENDS_S = 4 * 3600.0


def simulate(seed: int) -> Story:
    """Run the world of this seed from its beginning to its end."""
    if random.Random(f"{seed} replicas").random() < _SHARED:
        with _virtual_loop(FreezingLoop()) as freezing:
            return _outcome(freezing, SharedRun(seed, freezing))
    with _virtual_loop(VirtualLoop()) as loop:
        return _outcome(loop, _Run(seed, loop))


def _outcome(loop: VirtualLoop, run: _Run | SharedRun) -> Story:
    try:
        loop.run_until_complete(run.play())
    except Exception as error:  # noqa: BLE001 - it is what the run came to, and is told with its trace
        run.story.failure = error
    return run.story


@contextmanager
def _virtual_loop(loop: L) -> Iterator[L]:
    try:
        yield loop
    finally:
        loop.run_until_complete(_end_all())
        loop.close()


async def _end_all() -> None:
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)


class _Run:
    def __init__(self, seed: int, loop: VirtualLoop) -> None:
        self._clock = clock = VirtualClock(loop)
        self._rng = random.Random(f"{seed} watcher")
        self.story = draw_scene(
            seed, busy_s=(1000, 3000), draw_setup=draw_setup, store=ModelStore(), clock=clock, tell=self._tell
        )
        self._crash = asyncio.Event()
        self.story.faults.crash = self._crash.set
        self._daemon: Daemon | None = None

    async def play(self) -> None:
        """From the first start of the daemon to the moment when nothing is left to do."""
        story = self.story
        tasks = [asyncio.ensure_future(self._supervise()), asyncio.ensure_future(self._crash_at_times())]
        tasks.append(asyncio.ensure_future(story.operators.work(lambda: self._daemon, until_s=story.busy_s)))
        ended = asyncio.ensure_future(asyncio.wait(tasks[:1]))  # the supervisor ends only by an error
        try:
            await asyncio.wait([ended], timeout=story.busy_s)
            story.faults.on = False
            self._tell("-- from now on all is well")
            while not ended.done() and not story.settled and self._clock.monotonic() < _ENDS_S:
                await story.operators.lift_silences(self._daemon)
                await asyncio.wait([ended], timeout=30.0)
                is_calm = self._clock.monotonic() >= story.busy_s + SETTLES_S
                story.settled = is_calm and not any(
                    state is DeliveryState.PENDING for _, state in await story.store.unfinished()
                )
        finally:
            for task in (*tasks, ended):
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                raise result
        story.ended_s = self._clock.monotonic()

    async def _crash_at_times(self) -> None:
        for at_s in self.story.faults.crash_at_s:
            await self._clock.sleep(at_s - self._clock.monotonic())
            if self._rng.random() < 0.3 and self._daemon is not None:
                self._tell("-- stop")
                self._daemon.stop()
            else:
                self._crash.set()

    async def _supervise(self) -> None:
        """Have the daemon run, and run again when it crashed; raises what it must not."""
        story, rng = self.story, random.Random(f"{self.story.seed} supervisor")
        while True:
            [cloud] = story.clouds.values()
            cloud.run += 1
            store = UnreliableStore(story.store, story.faults, self._clock, tell=self._tell)
            self._crash.clear()
            self._tell("-- start")
            began_s = self._clock.monotonic()
            self._daemon = Daemon(
                story.setup,
                store=store,
                cloud=cloud,
                inboxes=story.inboxes,
                clock=self._clock,
                rng=self._rng,
                on_event=lambda event: story.found.append((self._clock.monotonic(), event)),
            )
            task = asyncio.ensure_future(self._daemon.run())
            task.add_done_callback(lambda _: self._crash.set())
            try:
                await self._crash.wait()
            finally:
                task.cancel()
                [ended] = await asyncio.gather(task, return_exceptions=True)
                store.is_over = True
                self._daemon = None
                story.requeued |= store.requeued
                story.explained |= store.explained
                story.lives.append((began_s, self._clock.monotonic()))
                self._note_what_was_in_flight()
                self._tell("-- down", type(ended).__name__)
            if isinstance(ended, Exception) and not isinstance(ended, StoreError):
                raise ended
            down_s = rng.choice([rng.uniform(1, 10), rng.uniform(10, 60), rng.uniform(60, 600)])
            await self._clock.sleep(down_s if story.faults.on else 5.0)

    def _note_what_was_in_flight(self) -> None:
        pending = {
            (row.delivery.receiver, row.delivery.event.id)
            for row in self.story.store.rows.values()
            if row.state is DeliveryState.PENDING
        }
        for inbox in self.story.inboxes:
            for accepted in inbox.accepted:
                for event in accepted.notification.events:
                    if (inbox.name, event.id) in pending:
                        self.story.in_flight.add((inbox.name, event.id))

    def _tell(self, *what: object) -> None:
        self.story.trace.append((self._clock.monotonic(), *what))
