"""What operators and machines look at from the side, and what they ask for: metrics, health, API and page over HTTP."""

from watcher.ops.access import Access
from watcher.ops.api import Api, Configured, SourceInfo, SourceLog
from watcher.ops.guard import Guard
from watcher.ops.health import StoreHealth, Wellness
from watcher.ops.heartbeat import Heartbeat
from watcher.ops.progress import Progress
from watcher.ops.reload import ReloadLog, ReloadRoute
from watcher.ops.server import OpsServer
from watcher.ops.stream import EventStream
from watcher.ops.tls import Tls

__all__ = [
    "Access",
    "Api",
    "Configured",
    "EventStream",
    "Guard",
    "Heartbeat",
    "OpsServer",
    "Progress",
    "ReloadLog",
    "ReloadRoute",
    "SourceInfo",
    "SourceLog",
    "StoreHealth",
    "Tls",
    "Wellness",
]
