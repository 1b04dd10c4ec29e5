"""The console: one line on standard output for each event."""

from __future__ import annotations

from typing import Literal, TextIO

from watcher.core.model import Notification
from watcher.core.ports import Receiver
from watcher.receivers.base import ReceiverSettings, ReceiverTools
from watcher.receivers.message import Message, describe


class ConsoleSettings(ReceiverSettings):
    """A receiver that prints."""

    type: Literal["console"] = "console"

    def build(self, tools: ReceiverTools) -> Receiver:
        """A receiver that prints to `tools.output`."""
        return ConsoleReceiver(name=self.name, output=tools.output, external_url=tools.external_url)


class ConsoleReceiver:
    """Prints one line for each event."""

    type = "console"
    digest_bytes = None

    def __init__(self, *, name: str, output: TextIO, external_url: str | None = None) -> None:
        self.name = name
        self._output = output
        self._external_url = external_url

    async def send(self, notification: Notification) -> str:
        """Print the event; raises OSError when standard output is gone."""
        self._output.write(_line(describe(notification, external_url=self._external_url)) + "\n")
        self._output.flush()
        return "printed"

    async def reach(self) -> None:
        """The screen is always here."""

    async def close(self) -> None:
        """Nothing to close: the output is not ours."""


def _line(message: Message) -> str:
    facts = dict(message.fields)
    seen = facts.pop("Seen")
    details = "; ".join(f"{label.lower()}: {value}" for label, value in facts.items())
    return _printable(f"{seen} {message.emoji} {message.title}: {message.summary} ({details})")


def _printable(text: str) -> str:
    # A name from the cloud must not move the cursor, colour the terminal or forge a second line.
    return "".join(char if char.isprintable() or char == "\N{VARIATION SELECTOR-16}" else "\ufffd" for char in text)
