"""The configuration: one frozen document of all sections, loaded from YAML with findings that say where.

`load` never raises for what a person wrote: everything wrong is a `Finding` with line and column. This room joins the
sections that the rooms below bring along and knows nothing of what is done with them.
"""

from __future__ import annotations

from watcher.settings.alerts import AlertsSettings
from watcher.settings.findings import Finding, InvalidConfiguration
from watcher.settings.loader import Loaded, load, load_or_raise, load_text
from watcher.settings.model import Settings
from watcher.settings.polling import PollSettings
from watcher.settings.redaction import redacted
from watcher.settings.routing import DAYS, MaintenanceSettings, RouteSettings
from watcher.settings.schema import json_schema
from watcher.settings.service import Listen, WebAuthSettings
from watcher.settings.sources import InstanceSettings, SourceSettings

__all__ = [
    "DAYS",
    "AlertsSettings",
    "Finding",
    "InstanceSettings",
    "InvalidConfiguration",
    "Listen",
    "Loaded",
    "MaintenanceSettings",
    "PollSettings",
    "RouteSettings",
    "Settings",
    "SourceSettings",
    "WebAuthSettings",
    "json_schema",
    "load",
    "load_or_raise",
    "load_text",
    "redacted",
]
