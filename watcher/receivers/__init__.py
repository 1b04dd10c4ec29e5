"""Where notifications go: one file a receiver, with its section, its rendering and one `send`.

A new receiver is its file and one line in `AnyReceiverSettings`; the schema and the builder follow from the union.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from watcher.receivers.alertmanager import AlertmanagerSettings
from watcher.receivers.apprise import AppriseSettings
from watcher.receivers.base import ReceiverSettings, TemplateSettings
from watcher.receivers.console import ConsoleSettings
from watcher.receivers.pagerduty import PagerDutySettings
from watcher.receivers.slack import SlackSettings
from watcher.receivers.webhook import WebhookSettings

AnyReceiverSettings = Annotated[
    WebhookSettings | SlackSettings | PagerDutySettings | AlertmanagerSettings | AppriseSettings | ConsoleSettings,
    Field(discriminator="type"),
]
"""The section of any receiver, told apart by `type`."""

__all__ = [
    "AlertmanagerSettings",
    "AnyReceiverSettings",
    "AppriseSettings",
    "ConsoleSettings",
    "PagerDutySettings",
    "ReceiverSettings",
    "SlackSettings",
    "TemplateSettings",
    "WebhookSettings",
]
