"""Builds the daemon from its settings, keeps it running, and applies other settings while it runs: the only place that
knows everybody. `Sources` and `Receivers` each keep what runs for what is configured; `Daemon` joins them.
"""

from watcher.app.configuration import ConfigurationFile
from watcher.app.daemon import Daemon

__all__ = ["ConfigurationFile", "Daemon"]
