"""What operators and machines look at from the side: metrics, health and readiness over HTTP."""

from watcher.ops.heartbeat import Heartbeat
from watcher.ops.progress import Progress
from watcher.ops.server import OpsServer

__all__ = ["Heartbeat", "OpsServer", "Progress"]
