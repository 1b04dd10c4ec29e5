"""`watcher demo`: a simulated cloud and the real daemon in one process, nothing to configure."""

from __future__ import annotations

import asyncio
import random
import signal
import sys
import tempfile
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from watcher.app import Daemon
from watcher.cli.once import table_of
from watcher.cli.options import parse_duration_option
from watcher.cli.tables import wide_console
from watcher.core.clock import SystemClock
from watcher.core.errors import ConfigurationError
from watcher.core.model import Event
from watcher.logging import configure_logging
from watcher.settings import Settings
from watcher.simulator import Simulator, builtin_scenario
from watcher.store import open_store

_PORT = 9468
_RATE_LIMIT = "100/1s"  # the simulated cloud lives faster than the real one, and must be asked as much more often


def demo(
    speed: Annotated[float, typer.Option(help="How many times faster than real time the cloud lives.", min=1)] = 60.0,
    length: Annotated[
        timedelta | None,
        typer.Option("--for", parser=parse_duration_option, metavar="DURATION", help="End by itself after this."),
    ] = None,
) -> int:
    """Show it all at work: a simulated cloud, the daemon, its status page, and notifications on this screen."""
    configure_logging(level="warning", style="console")
    with tempfile.TemporaryDirectory(prefix="watcher-demo-") as folder:
        asyncio.run(_demo(Path(folder), speed=speed, length=length))
    return 0


async def _demo(folder: Path, *, speed: float, length: timedelta | None) -> None:
    store_url = f"sqlite:///{folder / 'watcher.db'}"
    async with Simulator(builtin_scenario("demo"), speed=speed) as simulator:
        typer.echo(f"A simulated cloud on {simulator.url}, {speed:g} times faster than real time.")
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        if length is not None:
            loop.call_later(length.total_seconds(), stop.set)
        daemon = await _run_daemon(simulator, store_url, speed=speed, stop=stop)
        await _summarize(daemon, store_url)


async def _run_daemon(simulator: Simulator, store_url: str, *, speed: float, stop: asyncio.Event) -> Daemon:
    for port in (_PORT, 0):
        daemon = Daemon(
            settings=_settings(simulator, store_url, port=port, speed=speed),
            environment={},
            clock=SystemClock(),
            rng=random.Random(),  # noqa: S311 - jitter, not secrets
            output=sys.stdout,
        )
        try:
            await daemon.run(stop, on_started=_say_where)
        except ConfigurationError:
            if port == 0:
                raise
            continue  # the usual port is taken, perhaps by a real watcher: any other will do
        return daemon
    raise AssertionError("unreachable")


def _say_where(url: str) -> None:
    typer.echo(f"Status page {url}/   metrics {url}/metrics   health {url}/-/healthy   (Ctrl-C ends it)")
    typer.echo("Notifications as they come:")


def _settings(simulator: Simulator, store_url: str, *, port: int, speed: float) -> Settings:
    credentials = simulator.credentials
    fast_s = max(0.2, min(15.0, 60.0 / speed))
    return Settings.model_validate(
        {
            "sources": [
                {
                    "name": "demo",
                    "region": credentials.region,
                    "project_id": credentials.project_id,
                    "endpoint": simulator.url,
                    "iam_endpoint": simulator.url,
                    "auth": {
                        "method": "aksk",
                        "access_key": credentials.access_key,
                        "secret_key": credentials.secret_key,
                    },
                    "discover": [{}],
                }
            ],
            "poll": {"interval": fast_s, "steady_interval": fast_s * 2, "rate_limit": _RATE_LIMIT},
            "receivers": [{"name": "screen", "type": "console"}],
            "store": {"url": store_url},
            "web": {"listen": f"127.0.0.1:{port}"},
        }
    )


async def _summarize(daemon: Daemon, store_url: str) -> None:
    store = await open_store(store_url)
    try:
        events: list[Event] = [event for _, event in await store.history()]
    finally:
        await store.close()
    kinds = Counter(event.kind.value for event in events)
    typer.echo(f"\nSummary: {', '.join(f'{count} {kind}' for kind, count in sorted(kinds.items())) or 'no events'}.")
    wide_console().print(table_of([state for states in daemon.states().values() for state in states]))
