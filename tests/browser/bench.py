"""The real daemon on a simulated cloud, and a real browser that looks at its page."""

from __future__ import annotations

import asyncio
import io
import os
import random
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from playwright.async_api import Browser, ConsoleMessage, Dialog, Page, async_playwright

from tests.components import free_port, program
from tests.fakes.sink import Sink
from watcher.app import Daemon
from watcher.core.clock import SystemClock
from watcher.settings import Settings
from watcher.simulator import Fault, Scenario, Simulator


@dataclass
class Bench:
    """A cloud that stands still until a test changes it, a receiver, and the daemon between them, on one port."""

    cloud: Simulator
    sink: Sink
    folder: Path
    more: Mapping[str, Any] = field(default_factory=dict)
    url: str = ""
    _port: int = field(default_factory=free_port)
    _stop: asyncio.Event = field(default_factory=asyncio.Event)
    _running: asyncio.Task[None] | None = None

    def settings(self) -> dict[str, Any]:
        """The configuration: changes are seen within a tenth of a second."""
        credentials = self.cloud.credentials
        key = {"method": "aksk", "access_key": credentials.access_key, "secret_key": credentials.secret_key}
        source = {
            "name": "prod",
            "region": credentials.region,
            "project_id": credentials.project_id,
            "endpoint": self.cloud.url,
            "iam_endpoint": self.cloud.url,
            "auth": key,
            "discover": [{"labels": {"team": "vdi"}}],
        }
        return {
            "sources": [source],
            "poll": {"interval": "100ms", "steady_interval": "100ms", "rate_limit": "10000/1s"},
            "receivers": [{"name": "hooks", "type": "webhook", "url": f"{self.sink.url}/", "digest_over": 0}],
            "store": {"url": f"sqlite:///{self.folder / 'watcher.db'}"},
            "web": {"listen": f"127.0.0.1:{self._port}"},
            **self.more,
        }

    async def start(self) -> None:
        """Start the daemon and wait until it serves."""
        self._stop = asyncio.Event()
        serving = asyncio.get_running_loop().create_future()
        daemon = Daemon(
            settings=Settings.model_validate(self.settings()),
            environment={},
            clock=SystemClock(),
            rng=random.Random(1),
            output=io.StringIO(),
        )
        self._running = asyncio.create_task(daemon.run(self._stop, on_started=serving.set_result))
        await asyncio.wait([self._running, serving], return_when=asyncio.FIRST_COMPLETED)
        if self._running.done():
            await self._running
        self.url = serving.result()

    async def stop(self) -> None:
        """Have the daemon drain and end."""
        self._stop.set()
        if self._running is not None:
            await self._running

    async def ask(self, path: str, **query: str) -> dict[str, Any]:
        """What the daemon's API answers."""
        async with aiohttp.ClientSession() as session, session.get(f"{self.url}/api/v1/{path}", params=query) as answer:
            found: dict[str, Any] = await answer.json()
            return found

    async def until(self, name: str, status: str) -> None:
        """Wait until the daemon has seen an instance in a status."""
        async with asyncio.timeout(30):
            while not (await self.ask("instances", q=name, status=status))["items"]:
                pass

    async def until_dead(self, count: int) -> None:
        """Wait until so many deliveries are dead."""
        async with asyncio.timeout(30):
            while len((await self.ask("deliveries", state="dead"))["items"]) < count:
                pass

    async def fail(self) -> None:
        """Have the cloud refuse everything, and wait until the daemon has seen it."""
        self.cloud.faults.add(Fault(kind="error", status=503, message="<b>closed</b>"))
        async with asyncio.timeout(30):
            while (await self.ask("sources"))["items"][0]["state"] != "down":
                pass

    def put(self, name: str, status: str = "BUILT", **more: Any) -> str:
        """An instance of the cloud, as it is from now on; its id."""
        return self.cloud.world.put(name=name, status=status, **more)


@asynccontextmanager
async def bench(folder: Path, scenario: Scenario | None = None, **more: Any) -> AsyncIterator[Bench]:
    """A daemon that runs, on an empty cloud unless there is a `scenario`; `more` are sections of its configuration."""
    async with Sink() as sink, Simulator(scenario or Scenario(), speed=0) as cloud:
        made = Bench(cloud, sink, folder, more)
        await made.start()
        try:
            yield made
        finally:
            await made.stop()


@asynccontextmanager
async def proxied(url: str, prefix: str) -> AsyncIterator[str]:
    """Somebody else's server, with the watcher below a path of it; the URL of its page."""

    async def pass_on(request: web.Request) -> web.StreamResponse:
        async with session.get(f"{url}/{request.match_info['path']}", params=request.query) as answer:
            kept = ("Content-Type", "Content-Security-Policy", "ETag")
            response = web.StreamResponse(
                status=answer.status, headers={name: answer.headers[name] for name in kept if name in answer.headers}
            )
            await response.prepare(request)
            async for chunk in answer.content.iter_any():
                await response.write(chunk)
        return response

    app = web.Application()
    app.add_routes([web.get(f"{prefix}/{{path:.*}}", pass_on)])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        async with aiohttp.ClientSession() as session:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            yield f"http://127.0.0.1:{runner.addresses[0][1]}{prefix}/"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Debian's Chromium without a screen."""
    path = program("chromium", package="chromium")
    options = ["--no-sandbox"] if os.geteuid() == 0 else []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=options)
        try:
            yield browser
        finally:
            await browser.close()


class Visit:
    """One page in one window, and all that went wrong in it."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.faults: list[str] = []
        self.expected: str | None = None
        """What of the faults belongs to the test, as a pattern."""
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))
        page.on("dialog", self._asked)

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.faults.append(f"console: {message.text}")

    async def _asked(self, dialog: Dialog) -> None:
        self.faults.append(f"dialog: {dialog.message}")
        await dialog.dismiss()

    def check(self) -> None:
        """Fail with what went wrong."""
        faults = [fault for fault in self.faults if self.expected is None or not re.search(self.expected, fault)]
        assert not faults, faults


@asynccontextmanager
async def visit(browser: Browser, url: str, **options: Any) -> AsyncIterator[Visit]:
    """Open a page; fails at the end when anything went wrong in it.

    Without `options` it shares its context with others: what they keep is kept by port, and each daemon has its own.
    """
    shared = browser.contexts[0] if browser.contexts and not options else None
    context = shared or await browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
    page = await context.new_page()
    page.set_default_timeout(10_000)
    try:
        made = Visit(page)
        await page.goto(url)
        yield made
        made.check()
    finally:
        await (context.close() if options else page.close())
