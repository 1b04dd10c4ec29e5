"""The store: all that is remembered, in one database."""

from __future__ import annotations

from watcher.store.calm import Calm
from watcher.store.history import History
from watcher.store.notes import Notes
from watcher.store.queue import Queue
from watcher.store.retention import Retention
from watcher.store.roster import RosterKeeper
from watcher.store.source_reports import SourceReports
from watcher.store.standing import StandingAlerts
from watcher.store.states import States


class Store(States, History, Queue, Calm, StandingAlerts, Notes, Retention, RosterKeeper, SourceReports):
    """States, events, deliveries, silences, acknowledgements, notes and replicas; `open_store` makes one."""
