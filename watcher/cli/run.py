"""`watcher run`: the daemon."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys

import structlog

from watcher import __version__
from watcher.app import ConfigurationFile, Daemon
from watcher.cli.options import ConfigOption
from watcher.core.clock import SystemClock
from watcher.core.errors import WatcherError
from watcher.logging import configure_logging
from watcher.settings import Finding, Settings


def run(config: ConfigOption) -> int:
    """Watch until SIGTERM or SIGINT, then finish what is under way and exit 0. SIGHUP reads FILE again."""
    file = ConfigurationFile(config, os.environ, clock=SystemClock())
    settings, findings = file.load()
    configure_logging(level=settings.log.level, style=settings.log.format)
    try:
        return asyncio.run(_run(file, settings, findings))
    except ExceptionGroup as group:
        known, unknown = group.split(WatcherError)
        if unknown is not None or known is None:
            structlog.get_logger("watcher").critical("watcher ended by a fault of its own", exc_info=group)
            return 1
        raise known.exceptions[0] from group


async def _run(file: ConfigurationFile, settings: Settings, findings: tuple[Finding, ...]) -> int:
    log = structlog.stdlib.get_logger("watcher")
    for finding in findings:
        log.warning("configuration", finding=str(finding))
    stop = asyncio.Event()
    daemon = Daemon(
        settings=settings,
        environment=os.environ,
        clock=SystemClock(),
        rng=random.Random(),  # noqa: S311 - jitter, not secrets
        output=sys.stdout,
        file=file,
    )
    _on_signals(stop, daemon, log)

    def started(url: str) -> None:
        instances = sum(len(source.instances) for source in settings.sources)
        log.info("started", version=__version__, url=url, sources=len(settings.sources), instances=instances)

    await daemon.run(stop, on_started=started)
    log.info("stopped")
    return 0


def _on_signals(stop: asyncio.Event, daemon: Daemon, log: structlog.stdlib.BoundLogger) -> None:
    def drain(name: str) -> None:
        log.info("draining", signal=name)
        stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, drain, number.name)
    loop.add_signal_handler(signal.SIGHUP, daemon.ask_to_reload)
