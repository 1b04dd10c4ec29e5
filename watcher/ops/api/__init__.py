"""The API under `/api/v1`: what is so now, what was, and what people may ask for. One file for each resource."""

from watcher.ops.api.api import Api
from watcher.ops.api.configured import Configured, SourceInfo
from watcher.ops.api.sources import SourceLog

__all__ = ["Api", "Configured", "SourceInfo", "SourceLog"]
