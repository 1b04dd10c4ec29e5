"""What the API shows of the configuration."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from watcher.ops.api.views import Pages
from watcher.ops.guard import Guard


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceInfo:
    """What is configured of a source, as far as everybody may see it; times in seconds."""

    name: str
    region: str | None
    project_id: str | None
    interval_s: float
    steady_interval_s: float
    mode: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Configured:
    """The sources, the types of the receivers by name, where people go on reading, and who may do what."""

    sources: Sequence[SourceInfo]
    receivers: Mapping[str, str]
    pages: Pages
    guard: Guard
    external_url: str | None = None


Present = Callable[[], Configured]
"""What is configured at present: a reload makes it another."""
