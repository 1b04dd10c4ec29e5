"""What one observation costs in CPU, ours beside the least that aiohttp can do, in turns in one process.

The server is another process and answers the same bytes every time, so that only the client is measured.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import tempfile
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from time import process_time

import aiohttp

from watcher.cloud.client import CloudClient
from watcher.cloud.settings import ConnectionSettings
from watcher.core.alerts import AlertRules
from watcher.core.clock import SystemClock
from watcher.core.detector import Context, detect
from watcher.core.model import Instance, InstanceKey, Observation
from watcher.core.ports import Change
from watcher.store import open_store

PROJECT = "0123456789abcdef0123456789abcdef"
INSTANCE = "697612196993040384"
REQUESTS = 1500
CONCURRENCY = 16
ROUNDS = 5
CHANGES = 10_000

SERVER = f"""
import asyncio, json
from aiohttp import web
body = json.dumps({{"id": "{INSTANCE}", "name": "office", "status": "BUILT", "image_id": "img",
    "image_ref": {{"id": "1", "image_type": "private"}}, "update_time": "2026-01-01T00:00:00Z"}}).encode()
async def show(request): return web.Response(body=body, content_type="application/json")
async def main():
    app = web.Application()
    app.router.add_get("/{{path:.*}}", show)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""


async def cpu_us(ask: Callable[[], Awaitable[object]]) -> float:
    """CPU microseconds of this process for one request, of many under way at once."""

    async def worker(count: int) -> None:
        for _ in range(count):
            await ask()

    began = process_time()
    await asyncio.gather(*(worker(REQUESTS // CONCURRENCY) for _ in range(CONCURRENCY)))
    return (process_time() - began) / (REQUESTS // CONCURRENCY * CONCURRENCY) * 1e6


async def polling(url: str) -> None:
    settings = {"region": "cn-north-4", "project_id": PROJECT, "endpoint": url, "iam_endpoint": url}
    auths = {
        "ours, token": {"method": "token", "token": "t" * 100},
        "ours, signed": {"method": "aksk", "access_key": "AK", "secret_key": "SK"},
    }
    clients = {
        name: CloudClient(
            settings=ConnectionSettings.model_validate({**settings, "auth": auth}),
            clock=SystemClock(),
            environment={},
            on_request=lambda *_: None,
            concurrency=CONCURRENCY,
        )
        for name, auth in auths.items()
    }
    address = f"{url}/v1/{PROJECT}/image-servers/{INSTANCE}"
    async with aiohttp.ClientSession() as session:

        async def bare() -> None:
            async with session.get(address) as response:
                json.loads(await response.read())

        asks: dict[str, Callable[[], Awaitable[object]]] = {"bare aiohttp": bare}
        asks |= {name: partial(client.show, INSTANCE) for name, client in clients.items()}
        figures: dict[str, list[float]] = {name: [] for name in asks}
        for round_ in range(ROUNDS + 1):
            for name, ask in asks.items():
                figure = await cpu_us(ask)
                if round_:  # the first round warms up
                    figures[name].append(figure)
    for client in clients.values():
        await client.close()
    base = statistics.median(figures["bare aiohttp"])
    print(f"One GET, CPU of the client, median of {ROUNDS} rounds of {REQUESTS}:")
    for name, each in figures.items():
        median = statistics.median(each)
        print(f"  {name:14} {median:7.0f} µs  {base / median:5.0%} of the bare loop's throughput")


async def committing() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    changes = []
    for number in range(CHANGES):
        seen = Observation(
            key=InstanceKey("prod", str(number)),
            observed_at=now,
            instance=Instance(id=str(number), name="office", status="ERROR", record='{"status":"ERROR"}'),
        )
        state, events = detect(None, seen, Context(rules=AlertRules()))
        changes.append(Change(state=state, events=tuple((event, ("hooks",)) for event in events)))
    with tempfile.TemporaryDirectory() as folder:
        store = await open_store(f"sqlite:///{Path(folder) / 'watcher.db'}")
        began = asyncio.get_running_loop().time()
        await store.commit(changes, now=now)
        whole_s = asyncio.get_running_loop().time() - began
        await store.close()
    print(f"{CHANGES:,} changes at once, states, events and deliveries in one commit: {whole_s:.2f} s")


async def main() -> None:
    server = await asyncio.create_subprocess_exec(sys.executable, "-c", SERVER, stdout=asyncio.subprocess.PIPE)
    assert server.stdout is not None
    try:
        port = int(await server.stdout.readline())
        await polling(f"http://127.0.0.1:{port}")
        await committing()
    finally:
        server.kill()
        await server.wait()


asyncio.run(main())
