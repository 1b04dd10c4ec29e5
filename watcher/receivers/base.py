"""What every receiver's section of the configuration has."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated, TextIO

from pydantic import AfterValidator, Field

from watcher.core.clock import Clock
from watcher.core.facts import Fact, Observer, TemplateFailed
from watcher.core.model import Notification, Severity
from watcher.core.ports import Notebook, Receiver
from watcher.fields import Duration, Name, PositiveDuration, RateLimit, SecretOwner, Section
from watcher.receivers.links import Links
from watcher.receivers.message import Message, describe
from watcher.receivers.notebook import MemoryNotebook
from watcher.receivers.templates import TemplateError, TextTemplates, check_template


def _nobody(_fact: Fact) -> None:
    """Told of facts where nobody cares."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiverTools:
    """What a receiver is built with. `output` is for the console, `notebook` for what has to outlast the process."""

    clock: Clock
    output: TextIO
    links: Links = field(default_factory=Links)
    notebook: Notebook = field(default_factory=MemoryNotebook)
    observer: Observer = _nobody


def _check_template(source: str) -> str:
    try:
        return check_template(source)
    except TemplateError as failure:
        raise ValueError(str(failure)) from failure


TemplateText = Annotated[str, AfterValidator(_check_template)]


class TemplateSettings(Section):
    """Texts of a receiver's own, in place of the product's: Jinja2, tried on events of every kind when loaded."""

    title: TemplateText | None = None
    """The first line or subject."""
    body: TemplateText | None = None
    """The text below the title."""


class Describer:
    """Puts notifications into the words of one receiver."""

    def __init__(self, *, receiver: str, template: TemplateSettings | None, tools: ReceiverTools) -> None:
        self._receiver = receiver
        self._links = tools.links
        self._observer = tools.observer
        self._templates = TextTemplates(title=template.title, body=template.body) if template is not None else None

    def __call__(self, notification: Notification) -> Message:
        """The message; where a template fails, the product's own."""
        message = describe(notification, links=self._links)
        if self._templates is None:
            return message
        try:
            return self._templates.fill(notification, message)
        except TemplateError as failure:
            self._observer(TemplateFailed(self._receiver, str(failure)))
            return message


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

    @property
    def alerts_only(self) -> bool:
        """Whether it takes nothing but the beginning and the end of alerts."""
        return False

    @property
    def updates(self) -> bool:
        """Whether what is sent again with the same id takes the place of what was sent before."""
        return False

    def describer(self, tools: ReceiverTools) -> Describer:
        """What puts notifications into the words of this receiver."""
        return Describer(receiver=self.name, template=self.template, tools=tools)

    def build(self, tools: ReceiverTools) -> Receiver:
        """The receiver this section describes; called inside the running event loop."""
        raise NotImplementedError
