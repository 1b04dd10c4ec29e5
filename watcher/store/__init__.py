"""What is remembered: states, events and deliveries, written together in one transaction."""

from watcher.store.engine import open_store
from watcher.store.store import Store

__all__ = ["Store", "open_store"]
