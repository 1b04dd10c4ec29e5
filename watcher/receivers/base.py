"""What every receiver's section of the configuration has."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TextIO

from pydantic import Field

from watcher.core.clock import Clock
from watcher.core.model import Severity
from watcher.core.ports import Receiver
from watcher.fields import Duration, Name, PositiveDuration, RateLimit, SecretOwner, Section


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiverTools:
    """What a receiver is built with. `external_url` is where people reach this watcher; `output` is for the console."""

    clock: Clock
    output: TextIO
    external_url: str | None = None


class TemplateSettings(Section):
    """Texts of a receiver's own, in place of the product's."""

    title: str | None = None
    """The first line or subject."""
    body: str | None = None
    """The text below the title."""


class ReceiverSettings(SecretOwner):
    """One receiver: where notifications go, which of them, and how fast."""

    name: Name
    """Unique among the receivers; routes, metrics and the API call it so."""
    send_resolved: bool = True
    """Tell the end of an alert, too."""
    min_severity: Severity = Severity.INFO
    """The least severity it is told of."""
    digest_over: int = Field(10, ge=0)
    """With more than this many notifications waiting they are sent as one digest; 0: never."""
    max_age: Duration = timedelta(hours=24)
    """How long a notification is tried before it is dead."""
    rate_limit: RateLimit | None = None
    """The most notifications in a length of time; none: as fast as the receiver takes them."""
    timeout: PositiveDuration = timedelta(seconds=10)
    """How long one try may take."""
    template: TemplateSettings | None = None
    """Texts of its own, in place of the product's."""

    def build(self, tools: ReceiverTools) -> Receiver:
        """The receiver this section describes; called inside the running event loop."""
        raise NotImplementedError
