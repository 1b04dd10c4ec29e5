"""What is remembered: states, events and deliveries, written together in one transaction."""

from watcher.store.opening import open_store, reach_store
from watcher.store.store import Store
from watcher.store.tidying import keep_tidy

__all__ = ["Store", "keep_tidy", "open_store", "reach_store"]
