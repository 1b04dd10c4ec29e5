"""The report as one HTML page that needs nothing else: no script, no other file, no network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from importlib import resources

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from watcher.cli.history import MOST_EVENTS, History, Known
from watcher.cli.lives import lives_of
from watcher.cli.report import charts, figures
from watcher.cli.report.builds import builds_of
from watcher.cli.tables import plain_text
from watcher.core.model import Alert, Status
from watcher.receivers.words import about

_MOST_LIVES = 50
_SLOWEST = 10
_MOST_FAILURES = 20
_LEGEND = (Status.BUILT, Status.BUILDING, Status.CREATING, Status.ACTIVE, Status.ERROR, None, Status.DELETING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What a report is made of. `where` is the watcher it was read from, `zone` that of its times (None: here)."""

    history: History
    known: Sequence[Known]
    firing: Sequence[Alert]
    begins_at: datetime
    ends_at: datetime
    made_at: datetime
    where: str
    version: str
    zone: tzinfo | None = None


@dataclass(frozen=True, slots=True)
class Summary:
    """What is said of a report when it is there."""

    builds: int
    failed: int
    instances: int


def page_of(material: Material) -> tuple[str, Summary]:
    """The page, and what it is of."""
    events, begins_at, ends_at, zone = (
        material.history.events,
        material.begins_at,
        material.ends_at,
        material.zone,
    )
    builds = builds_of(events)
    lives = lives_of(events, material.known, begins_at=begins_at, ends_at=ends_at)
    alerts = figures.alerts_of(events, material.firing, begins_at=begins_at, ends_at=ends_at)
    headline = figures.headline(builds, lives, alerts)
    buckets = figures.per_day(builds, begins_at=begins_at, ends_at=ends_at, zone=zone)
    statuses = {span.status for life in lives[:_MOST_LIVES] for span in life.spans}
    text = _template(zone).render(
        material=material,
        notes=_notes(material),
        headline=headline,
        builds=builds,
        scatter=charts.scatter(builds, begins_at=begins_at, ends_at=ends_at, median_s=headline.median_s, zone=zone),
        buckets=buckets,
        bars=charts.bars(buckets),
        lives=[(life, charts.pieces(life, begins_at=begins_at, ends_at=ends_at)) for life in lives[:_MOST_LIVES]],
        lives_left_out=max(0, len(lives) - _MOST_LIVES),
        times=charts.time_marks(begins_at, ends_at, zone=zone, left=0.0),
        legend=[status for status in _LEGEND if status in statuses],
        other_statuses=sorted(status for status in statuses if status is not None and status not in _LEGEND),
        slowest=figures.slowest(builds, at_most=_SLOWEST),
        image_sources=figures.by_image_source(builds)[:_MOST_FAILURES],
        failures=figures.failures(builds)[:_MOST_FAILURES],
        alerts=alerts,
        zone_name=f"{ends_at.astimezone(zone):%Z}",
        charts=charts,
    )
    return text, Summary(builds=headline.builds, failed=headline.failed, instances=len(lives))


def _notes(material: Material) -> list[str]:
    history, notes = material.history, []
    if history.is_cut:
        since = f"{history.events[0].observed_at.astimezone(material.zone):%Y-%m-%d %H:%M}" if history.events else "?"
        notes.append(
            f"There were more than {MOST_EVENTS:,} events in this time: the figures are of those since {since} only. "
            "A shorter time has them all."
        )
    if history.unreadable:
        notes.append(f"{history.unreadable} events could not be read, and are left out.")
    return notes


def _template(zone: tzinfo | None) -> Template:
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_harmless,
    )
    environment.filters["lasted"] = lambda seconds: about(seconds) if seconds is not None else "-"
    environment.filters["moment"] = lambda at: f"{at.astimezone(zone):%Y-%m-%d %H:%M}"
    environment.filters["px"] = lambda number: f"{number:.1f}".removesuffix(".0")
    environment.filters["status_class"] = _status_class
    return environment.from_string(resources.files(__package__).joinpath("report.html.j2").read_text(encoding="utf-8"))


def _harmless(value: object) -> object:
    """Names and messages are anybody's text: no control characters, nothing that turns the direction of reading."""
    return plain_text(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _status_class(status: str | None) -> str:
    if status is None:
        return "missing"
    return status.lower() if status in _LEGEND else "other"
