"""Prometheus metrics: counters fed by facts, and the present state collected when scraped."""

from watcher.metrics.counters import Metrics
from watcher.metrics.present import Measured, StateCollector

__all__ = ["Measured", "Metrics", "StateCollector"]
