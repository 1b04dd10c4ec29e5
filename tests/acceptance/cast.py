"""The cast: replicas as processes on one PostgreSQL, which each reaches over a line of its own; and who polled when."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from tests.acceptance.books import Books, Present, Tenure
from tests.acceptance.letters import MoodySink
from tests.acceptance.line import Line
from tests.acceptance.play import Actor
from tests.acceptance.process import Watcher, configuration, launched, source
from watcher.core.clock import SystemClock
from watcher.simulator import Simulator
from watcher.store import open_store

REPLICAS = 3
SOURCES = 60
LEASE_TTL_S = 4.0
INTERVAL_S = 1.0
JITTER = 0.1
RECEIVERS = ("single", "digests")
_LOOK_S = 0.05
_ASKED = re.compile(rb"GET /v1/\w+/image-servers/(\S+) HTTP/1.1")


@dataclass(frozen=True)
class Poll:
    """That a process of that life asked for an instance."""

    at: datetime
    life: int
    instance_id: str


@dataclass
class Replica:
    """One process. Its lines are to PostgreSQL and to the cloud."""

    life: int
    watcher: Watcher
    store_line: Line
    started: asyncio.Task[None] = field(repr=False)

    def send_signal(self, number: signal.Signals) -> None:
        """Send it, and do not wait for what comes of it."""
        self.watcher.process.send_signal(number)


class Cast:
    """Starts replicas and knows those that are to be there; whoever is left is killed at the end.

    Each new process is another `life`, with a configuration of its own: it tells its number to the receivers in their
    URLs, and to PostgreSQL as a setting.
    """

    def __init__(
        self, *, cloud: Simulator, sinks: Sequence[MoodySink], store_url: str, actors: Sequence[Actor], folder: Path
    ) -> None:
        self._cloud = cloud
        self._sinks = sinks
        self._store_url = store_url
        self._folder = folder
        self._clock = SystemClock()
        self._stack = AsyncExitStack()
        self.books = Books(store_url)
        self.sources = {f"s{number:02}": [actor.id for actor in actors[number::SOURCES]] for number in range(SOURCES)}
        self.polls: list[Poll] = []
        self.lives: list[Replica] = []
        self.present: list[Replica] = []

    async def __aenter__(self) -> Self:
        store = await open_store(self._store_url)
        await store.close()  # its tables are there
        await self.books.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    @property
    def leases(self) -> set[str]:
        """All that is to be held by somebody."""
        return {f"source/{name}" for name in self.sources} | {f"receiver/{name}" for name in RECEIVERS}

    async def enter(self) -> Replica:
        """Start another one; it is not waited for."""
        life = len(self.lives) + 1
        port = urlsplit(self._store_url).port
        assert port is not None
        store_line = await self._stack.enter_async_context(Line(port))
        cloud_port = urlsplit(self._cloud.url).port
        assert cloud_port is not None
        cloud_line = await self._stack.enter_async_context(Line(cloud_port, heard=lambda said: self._asked(life, said)))
        path = self._configuration(life, store_line, cloud_line)
        watcher = await self._stack.enter_async_context(launched(path))
        replica = Replica(life, watcher, store_line, asyncio.create_task(self._start(watcher)))
        self.lives.append(replica)
        self.present.append(replica)
        return replica

    async def _start(self, watcher: Watcher) -> None:
        watcher.url = (await watcher.logged("started", timeout_s=60.0))["url"]
        async with asyncio.timeout(60.0):
            while (await watcher.get("/-/ready"))[0] != 200:
                await self._clock.sleep(_LOOK_S)

    def _asked(self, life: int, said: bytes) -> None:
        now = self._clock.now()
        self.polls += [Poll(now, life, found.decode()) for found in _ASKED.findall(said)]

    def _configuration(self, life: int, store_line: Line, cloud_line: Line) -> Path:
        folder = self._folder / str(life)
        folder.mkdir()
        url = urlsplit(self._store_url)
        hook = {"type": "webhook", "timeout": "5s"}
        path = configuration(
            self._cloud,
            folder,
            receivers=[
                {"name": name, "url": f"{sink.url}/{life}", "digest_over": digest_over, **hook}
                for name, sink, digest_over in zip(RECEIVERS, self._sinks, (0, 10), strict=True)
            ],
            poll={
                "interval": f"{INTERVAL_S}s",
                "steady_interval": f"{INTERVAL_S}s",
                "jitter": JITTER,
                "mode": "get",
                "rate_limit": "10000/1s",
            },
            alerts={"flapping": {"changes": 1_000_000}, "stuck": {"learned": False}},  # the play is not real life
            store={"url": f"postgresql://{url.username}@127.0.0.1:{store_line.port}{url.path}?watcher.life={life}"},
            cluster={"lease_ttl": f"{LEASE_TTL_S}s"},
        )
        document: dict[str, Any] = json.loads(path.read_text())
        there = {"endpoint": f"http://127.0.0.1:{cloud_line.port}"}
        document["sources"] = [
            source(self._cloud, name=name, instances=instances) | there for name, instances in self.sources.items()
        ]
        path.write_text(json.dumps(document))
        return path

    async def ended(self, replica: Replica, *, timeout_s: float = 40.0) -> int:
        """Wait for one that was told to end, or killed; the exit code."""
        self.present.remove(replica)
        replica.started.cancel()
        async with asyncio.timeout(timeout_s):
            return await replica.watcher.process.wait()

    async def until(self, enough: Callable[[Present], bool], *, timeout_s: float = 60.0) -> None:
        """Look at the database until it is as it should be."""
        async with asyncio.timeout(timeout_s):
            while not enough(await self.books.present()):
                dead = [each for each in self.present if each.watcher.process.returncode is not None]
                assert not dead, f"ended by itself: {[(each, each.watcher.log[-1]) for each in dead]}"
                await self._clock.sleep(_LOOK_S)

    async def until_given(self, replica: Replica, *, timeout_s: float = 20.0) -> None:
        """Look at the database until others hold all sources that this one held."""
        async with asyncio.timeout(timeout_s):
            while True:
                tenure, now = Tenure(await self.books.leases()), await self.books.present()
                if not [name for name, holder in now.holders.items() if tenure.life_of[holder] == replica.life]:
                    return
                await self._clock.sleep(_LOOK_S)

    async def settled(self) -> None:
        """All that are to be there are ready, nobody else is there, and everything is held by them, and polled."""
        await asyncio.gather(*(replica.started for replica in self.present))
        await self.until(self._is_settled)
        before, instances = len(self.polls), {each for ids in self.sources.values() for each in ids}
        await self.until(lambda _: instances <= {poll.instance_id for poll in self.polls[before:]})

    def _is_settled(self, now: Present) -> bool:
        held = self.leases <= now.holders.keys() and now.replicas.issuperset(now.holders.values())
        return held and len(now.replicas) == len(self.present)


def stop(replica: Replica) -> None:
    """Have a process stand still."""
    os.kill(replica.watcher.process.pid, signal.SIGSTOP)
