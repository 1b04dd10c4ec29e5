"""PagerDuty: alerts become incidents (Events API v2)."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, SecretStr

from watcher.core.ports import Receiver
from watcher.fields import HttpUrl
from watcher.receivers.base import ReceiverSettings, ReceiverTools
from watcher.receivers.planned import PlannedReceiver


class PagerDutySettings(ReceiverSettings):
    """A PagerDuty service."""

    required_secrets: ClassVar[tuple[str, ...]] = ("routing_key",)

    type: Literal["pagerduty"] = "pagerduty"
    routing_key: SecretStr | None = Field(None, min_length=1)
    """The integration key of the service."""
    routing_key_file: Path | None = None
    """A file that holds `routing_key`."""
    url: HttpUrl = HttpUrl("https://events.pagerduty.com")
    """Where the Events API is."""

    def build(self, tools: ReceiverTools) -> Receiver:  # noqa: ARG002 - the same for every receiver
        """A receiver that keeps dead letters until this type is served."""
        return PlannedReceiver(name=self.name, type=self.type, feature="a receiver of type pagerduty")
