"""The API under `/api/v1`: what is so now, what was, and what people may ask for. One file for each resource."""

from watcher.ops.api.api import Api
from watcher.ops.api.sources import SourceInfo, SourceLog

__all__ = ["Api", "SourceInfo", "SourceLog"]
