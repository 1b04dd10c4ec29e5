"""The console: one line on standard output for each event, and one for each group of a digest below its headline."""

from __future__ import annotations

from typing import Literal, TextIO

from watcher.core.model import Notification
from watcher.core.ports import Receiver
from watcher.receivers.base import Describer, ReceiverSettings, ReceiverTools
from watcher.receivers.message import Message


class ConsoleSettings(ReceiverSettings):
    """A receiver that prints."""

    type: Literal["console"] = "console"

    def build(self, tools: ReceiverTools) -> Receiver:
        """A receiver that prints to `tools.output`."""
        return ConsoleReceiver(name=self.name, output=tools.output, describe=self.describer(tools))


class ConsoleReceiver:
    """Prints one line for each event, and a digest as a headline with a line for each group."""

    type = "console"
    digest_bytes = None

    def __init__(self, *, name: str, output: TextIO, describe: Describer) -> None:
        self.name = name
        self._output = output
        self._describe = describe

    async def send(self, notification: Notification) -> str:
        """Print it; raises OSError when standard output is gone."""
        message = self._describe(notification)
        self._output.write("".join(f"{line}\n" for line in _lines(message)))
        self._output.flush()
        return "printed"

    async def reach(self) -> None:
        """The screen is always here."""

    async def close(self) -> None:
        """Nothing to close: the output is not ours."""


def _lines(message: Message) -> list[str]:
    if message.body is not None:
        return [f"{message.seen} {message.emoji} {message.title}", *(f"  {line}" for line in message.body)]
    details = "; ".join(f"{label.lower()}: {value}" for label, value in message.fields)
    headline = f"{message.seen} {message.emoji} {message.title}: {message.summary} ({details})"
    return [headline, *(f"  {label}  {whom}" for label, whom in message.groups)]
