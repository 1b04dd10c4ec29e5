"""What operators and machines look at from the side, and what they ask for: metrics, health and the API over HTTP."""

from watcher.ops.api import Api
from watcher.ops.health import StoreHealth
from watcher.ops.heartbeat import Heartbeat
from watcher.ops.progress import Progress
from watcher.ops.server import OpsServer

__all__ = ["Api", "Heartbeat", "OpsServer", "Progress", "StoreHealth"]
