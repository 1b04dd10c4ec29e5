"""One soak: the whole daemon, its cloud and everybody it tells in one process, for days of virtual time."""

from __future__ import annotations

import asyncio
import gc
import io
import json
import random
import sys
import threading
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import aiohttp

from tests.soak.life import OFFICES, Life
from tests.soak.loop import LazyClock, SoakLoop, soak_loop
from tests.soak.mailbox import Mailbox
from tests.soak.samples import RETENTION_DAYS, Sample, growth, open_files, take_sample
from watcher.app import ConfigurationFile, Daemon
from watcher.core.clock import Clock
from watcher.simulator import Scenario, SimulatedClock, Simulator
from watcher.store import open_store

SOURCES = ("prod", "lab")
HOOKS = ("single", "digests")


@dataclass(slots=True)
class Soak:
    """What came of it: a sample a day, and what is wrong beside them, in words."""

    samples: list[Sample] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    told: dict[str, int] = field(default_factory=dict)


class _Asked(ConfigurationFile):
    """A configuration that is read again when somebody asks: looking at it each second is most of a quiet day."""

    async def changed(self) -> None:
        await asyncio.Event().wait()


def soak(folder: Path, *, days: int, on_sample: Callable[[Sample], None] = lambda _: None) -> Soak:
    """Let this many days pass; the database is in `folder`."""
    result = Soak()
    gc.collect()
    before = (*open_files(), threading.active_count())
    with _complaints(result.wrong):
        with soak_loop() as (loop, clock):
            loop.set_exception_handler(lambda _, context: result.wrong.append(f"the loop: {context}"))
            loop.run_until_complete(_Run(folder, loop, clock, result, on_sample).play(days))
            left = asyncio.all_tasks(loop)
            result.wrong += [f"a task is left: {task}" for task in left]
            loop.run_until_complete(loop.shutdown_default_executor())
        gc.collect()
    result.wrong += [f"it grows: {what}" for what in growth(result.samples)]
    after = (*open_files(), threading.active_count())
    for what, was, now in zip(("sockets", "files"), before[:2], after[:2], strict=True):
        if len(now) > len(was):
            result.wrong.append(f"{what} are left: {sorted((Counter(now) - Counter(was)).items())[:20]}")
    if after[2] > before[2]:
        result.wrong.append(f"threads are left: {threading.enumerate()}")
    return result


@contextmanager
def _complaints(wrong: list[str]) -> Iterator[None]:
    """Warnings, and what is raised where nobody can catch it."""

    def unraisable(problem: Any) -> None:
        wrong.append(f"unraisable: {problem.exc_value!r} in {problem.object!r}")

    hook, sys.unraisablehook = sys.unraisablehook, unraisable
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield
        wrong += [f"warning: {warning.message}" for warning in caught]
    finally:
        sys.unraisablehook = hook


class _Run:
    def __init__(
        self, folder: Path, loop: SoakLoop, clock: Clock, result: Soak, on_sample: Callable[[Sample], None]
    ) -> None:
        self._database = folder / "watcher.db"
        self._clock = clock
        self._daemon_clock = LazyClock(loop)
        self._result = result
        self._on_sample = on_sample

    async def play(self, days: int) -> None:
        async with AsyncExitStack() as stack:
            mailbox = await stack.enter_async_context(Mailbox())
            cloud = await stack.enter_async_context(self._cloud())
            web = await stack.enter_async_context(aiohttp.ClientSession())
            offices = [cloud.world.put(name=f"office-{number}", status="BUILT") for number in range(OFFICES)]
            cloud.world.jobs.keep = 50
            mailbox.bothered = {("prod", offices[0]), ("prod", offices[1])}
            life = Life(cloud=cloud, mailbox=mailbox, clock=self._clock, web=web, offices=offices)
            await self._watch(self._document(cloud, mailbox, offices), life, days)
            self._result.wrong += [*mailbox.wrong, *life.wrong]
            self._result.told = {**mailbox.counts, **mailbox.kinds, **{f"HTTP {k}": n for k, n in life.answers.items()}}
            await self._look_at_store(mailbox)

    async def _watch(self, document: dict[str, Any], life: Life, days: int) -> None:
        stop, started = asyncio.Event(), asyncio.Event()
        path = self._database.with_name("watcher.yaml")
        path.write_text(json.dumps(document))
        file = _Asked(path, {}, clock=self._daemon_clock)
        settings, _ = file.load()

        def on_started(url: str) -> None:
            life.url = url
            started.set()

        daemon = Daemon(
            settings=settings,
            environment={},
            clock=self._daemon_clock,
            rng=random.Random(1),
            output=io.StringIO(),
            file=file,
        )
        running = asyncio.create_task(daemon.run(stop, on_started=on_started))
        awaited = asyncio.create_task(started.wait())
        await asyncio.wait([running, awaited], return_when=asyncio.FIRST_COMPLETED)
        for day in range(1, days + 1):
            living = asyncio.create_task(life.day())
            await asyncio.wait([running, living], return_when=asyncio.FIRST_COMPLETED)
            if running.done():
                living.cancel()
                break
            living.result()
            for each in (_changed(document), document):
                path.write_text(json.dumps(each))
                await life.reload()
            sample = take_sample(day, database=self._database, **await life.figures())
            sample = replace(sample, **await self._at_rest())
            self._result.samples.append(sample)
            self._on_sample(sample)
        stop.set()
        await running

    async def _at_rest(self) -> dict[str, int]:
        """Tasks and sockets without those that come and go: the least of some moments, minutes apart."""
        moments = list[tuple[int, int]]()
        for _ in range(8):
            await self._clock.sleep(77.0)
            moments.append((len(asyncio.all_tasks()), len(open_files()[0])))
        return {"tasks": min(tasks for tasks, _ in moments), "sockets": min(sockets for _, sockets in moments)}

    def _cloud(self) -> Simulator:
        clock = SimulatedClock(start=self._clock.now(), monotonic=self._clock.monotonic)
        return Simulator(Scenario(), clock=clock, real_now=self._clock.now, pause=self._clock.sleep)

    def _document(self, cloud: Simulator, mailbox: Mailbox, offices: list[str]) -> dict[str, Any]:
        known = cloud.credentials
        password = {"method": "password", "user": known.user, "domain": known.domain, "password": known.password}
        key = {"method": "aksk", "access_key": known.access_key, "secret_key": known.secret_key}
        there = {
            "region": known.region,
            "project_id": known.project_id,
            "endpoint": cloud.url,
            "iam_endpoint": cloud.url,
        }
        hook = {"type": "webhook", "timeout": "10s"}
        return {
            "sources": [
                {"name": "prod", **there, "auth": password, "instances": offices},
                {"name": "lab", **there, "auth": key, "discover": [{"name": "temp-*"}]},
            ],
            "poll": {"interval": "5m", "steady_interval": "15m"},
            "receivers": [
                {"name": "single", "url": f"{mailbox.url}/hook/single", "digest_over": 0, **hook},
                {"name": "digests", "url": f"{mailbox.url}/hook/digests", **hook},
                {"name": "alerts", "type": "alertmanager", "url": mailbox.url, "resend_interval": "2m"},
            ],
            "heartbeat": {"url": f"{mailbox.url}/beat", "interval": "2m"},
            "store": {"url": f"sqlite:///{self._database}", "retention": f"{RETENTION_DAYS}d"},
            "web": {"listen": "127.0.0.1:0"},
        }

    async def _look_at_store(self, mailbox: Mailbox) -> None:
        """All that the store knows of has been told, and nothing waits."""
        store = await open_store(f"sqlite:///{self._database}")
        try:
            unfinished = await store.unfinished()
            states = [state for source in SOURCES for state in (await store.load(source)).values()]
        finally:
            await store.close()
        self._result.wrong += [f"{n} {state.value} for {name}" for (name, state), n in unfinished.items() if n]
        for name in HOOKS:
            told = mailbox.last[name]
            for state in states:
                key = (state.key.source, state.key.id)
                if key not in mailbox.bothered and key in told and told[key] != state.sequence:
                    self._result.wrong.append(f"{name}: told of {key} up to {told[key]} of {state.sequence}")


def _changed(document: dict[str, Any]) -> dict[str, Any]:
    """Another configuration of the same watcher: whatever is built anew for it is there only for a while."""
    prod, lab = document["sources"]
    single, *others = document["receivers"]
    return {
        **document,
        "sources": [
            {**prod, "instances": [{"id": each, "labels": {"day": "odd"}} for each in prod["instances"]]},
            {**lab, "poll": {"timeout": "9s"}},
            {**lab, "name": "spare", "discover": [{"name": "nobody"}]},
        ],
        "receivers": [{**single, "timeout": "9s"}, *others, {"name": "spare", "type": "console"}],
        "runbooks": {"error": "https://wiki.example.com/error"},
        "heartbeat": {**document["heartbeat"], "interval": "3m"},
    }
