"""Apprise: more than a hundred services by one address each."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, SecretStr

from watcher.core.ports import Receiver
from watcher.receivers.base import ReceiverSettings, ReceiverTools
from watcher.receivers.planned import PlannedReceiver


class AppriseSettings(ReceiverSettings):
    """Services that Apprise knows, one address each."""

    required_secrets: ClassVar[tuple[str, ...]] = ("urls",)

    type: Literal["apprise"] = "apprise"
    urls: tuple[SecretStr, ...] = Field((), min_length=1)
    """Apprise addresses; they hold passwords, so they are secrets."""
    urls_file: Path | None = None
    """A file that holds `urls`, one a line."""

    def build(self, tools: ReceiverTools) -> Receiver:  # noqa: ARG002 - the same for every receiver
        """A receiver that keeps dead letters until this type is served."""
        return PlannedReceiver(name=self.name, type=self.type, feature="a receiver of type apprise")
