"""The whole configuration as one frozen document; the sections are in the files beside this one."""

from __future__ import annotations

from pydantic import Field

from watcher.fields import PublicUrl, Section
from watcher.receivers import AnyReceiverSettings
from watcher.settings.alerts import AlertName, AlertsSettings
from watcher.settings.polling import PollSettings
from watcher.settings.routing import MaintenanceSettings, RouteSettings
from watcher.settings.service import ClusterSettings, HeartbeatSettings, LogSettings, StoreSettings, WebSettings
from watcher.settings.sources import SourceSettings


class Settings(Section):
    """Configuration of the watcher."""

    sources: tuple[SourceSettings, ...] = Field(min_length=1)
    """What is watched."""
    poll: PollSettings = PollSettings()
    """How often and how fast the cloud is asked; a source may change any of it."""
    alerts: AlertsSettings = AlertsSettings()
    """Which problems raise an alert and how much each matters."""
    runbooks: dict[AlertName, PublicUrl] = Field(default_factory=dict)
    """What to do about an alert: a link by the alert's name, shown in its notifications."""
    receivers: tuple[AnyReceiverSettings, ...] = ()
    """Where notifications go."""
    routes: tuple[RouteSettings, ...] = ()
    """Which events go where; none: every event to every receiver."""
    maintenance: tuple[MaintenanceSettings, ...] = ()
    """Quiet windows that come again."""
    store: StoreSettings = StoreSettings()
    """Where states, events and deliveries are kept."""
    cluster: ClusterSettings = ClusterSettings()
    """Several replicas that share the work."""
    web: WebSettings = WebSettings()
    """The HTTP server."""
    log: LogSettings = LogSettings()
    """What is logged."""
    heartbeat: HeartbeatSettings | None = None
    """A dead man's switch."""

    def poll_for(self, source: SourceSettings) -> PollSettings:
        """How often and how fast this source is asked: `poll` with the source's own keys in its place."""
        return source.poll.over(self.poll)
