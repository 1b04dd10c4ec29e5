"""`watcher test-receiver`: does a receiver take what we send, seen by sending one marked notification."""

from __future__ import annotations

import asyncio
import sys
import uuid
from typing import Annotated

import typer

from watcher.cli.options import ConfigOption, read_settings
from watcher.core.clock import SystemClock
from watcher.core.errors import ConfigurationError, DeliveryError
from watcher.core.ports import Receiver
from watcher.logging import configure_logging
from watcher.policies import links
from watcher.receivers import AnyReceiverSettings
from watcher.receivers.base import ReceiverTools
from watcher.receivers.samples import trial_notification
from watcher.settings import Settings


def test_receiver(
    config: ConfigOption, name: Annotated[str, typer.Argument(help="The receiver's name.", metavar="NAME")]
) -> int:
    """Send one clearly marked test notification and say what came back. Exit code 1 if it was not accepted."""
    settings, _ = read_settings(config)
    configure_logging(level="warning", style="console")
    section = next((section for section in settings.receivers if section.name == name), None)
    if section is None:
        known = ", ".join(receiver.name for receiver in settings.receivers) or "none"
        raise ConfigurationError(f"{config}: no receiver is called {name!r}; configured: {known}")
    answer = asyncio.run(_send(section, settings))
    typer.echo(f"receiver {name} ({section.type}) accepted the test notification: {answer}")
    return 0


def open_receiver(section: AnyReceiverSettings, settings: Settings) -> Receiver:
    """The receiver of one section; call it inside the event loop, and close it."""
    return section.build(ReceiverTools(clock=SystemClock(), output=sys.stdout, links=links(settings)))


async def _send(section: AnyReceiverSettings, settings: Settings) -> str:
    receiver = open_receiver(section, settings)
    try:
        async with asyncio.timeout(section.timeout.total_seconds()):
            now = SystemClock().now()
            return await receiver.send(trial_notification(id=f"evt_test_{uuid.uuid4().hex}", now=now))
    except DeliveryError as error:
        kind = "it would not be tried again" if error.permanent else "it would be tried again"
        raise DeliveryError(
            f"receiver {section.name} ({section.type}) did not accept the test notification: {error} ({kind})",
            reason=error.reason,
            permanent=error.permanent,
        ) from error
    finally:
        await receiver.close()
