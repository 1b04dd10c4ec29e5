"""Taking due deliveries from the store to their receivers, and writing down how it went."""

from watcher.delivery.quiet import QuietKeeper
from watcher.delivery.refresher import Refresher
from watcher.delivery.worker import DeliveryPolicy, DeliveryWorker

__all__ = ["DeliveryPolicy", "DeliveryWorker", "QuietKeeper", "Refresher"]
