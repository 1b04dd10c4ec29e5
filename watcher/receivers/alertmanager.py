"""Alertmanager: alerts are posted to its API and kept firing there."""

from __future__ import annotations

from typing import Literal

from watcher.core.ports import Receiver
from watcher.fields import HttpUrl
from watcher.receivers.base import ReceiverSettings, ReceiverTools
from watcher.receivers.planned import PlannedReceiver


class AlertmanagerSettings(ReceiverSettings):
    """An Alertmanager."""

    type: Literal["alertmanager"] = "alertmanager"
    url: HttpUrl
    """The Alertmanager's address, without `/api/v2`."""

    def build(self, tools: ReceiverTools) -> Receiver:  # noqa: ARG002 - the same for every receiver
        """A receiver that keeps dead letters until this type is served."""
        return PlannedReceiver(name=self.name, type=self.type, feature="a receiver of type alertmanager")
