"""Which events go where and when it is quiet: `routes` and `maintenance`."""

from __future__ import annotations

import re
from datetime import time, timedelta
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, WithJsonSchema

from watcher.fields import Name, OneOrMany, PositiveDuration, Section
from watcher.matching import MatchSettings, Text

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_CLOCK = re.compile(r"([01]?[0-9]|2[0-3]):[0-5][0-9]")


def _parse_clock(value: object) -> object:
    if not isinstance(value, str):
        return value
    if not _CLOCK.fullmatch(value):
        raise ValueError("not a time of day: write 22:00")
    hour, _, minute = value.partition(":")
    return time(int(hour), int(minute))


def _check_timezone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (OSError, ValueError, KeyError):
        raise ValueError("no such timezone: write its name in the tz database, such as Asia/Singapore") from None
    return value


ClockTime = Annotated[
    time,
    BeforeValidator(_parse_clock),
    PlainSerializer(lambda value: f"{value:%H:%M}", return_type=str),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": f"^{_CLOCK.pattern}$"},
                {"type": "integer", "minimum": 0, "maximum": 1439, "description": "YAML 1.1 reads 22:00 as 1320."},
            ],
            "examples": ["22:00"],
        }
    ),
]
Timezone = Annotated[str, AfterValidator(_check_timezone)]


class RouteSettings(Section):
    """Where the events that match go; read top down, the first that matches wins."""

    match: MatchSettings = MatchSettings()
    """Which events; not given: every event."""
    receivers: OneOrMany[Text] = Field(min_length=1)
    """The names of the receivers."""
    goes_on: bool = Field(default=False, alias="continue")
    """Let the routes below match, too."""


class MaintenanceSettings(Section):
    """A quiet window that comes again every week or day."""

    name: Name
    """Unique among the windows."""
    days: OneOrMany[Day] = Field(DAYS, min_length=1)
    """On which days it begins."""
    start: ClockTime
    """When it begins, in `timezone`."""
    duration: PositiveDuration = Field(timedelta(hours=1), le=timedelta(days=7))
    """How long it lasts, a week at most."""
    timezone: Timezone = "UTC"
    """The timezone of `start`, as in the tz database."""
    match: MatchSettings = MatchSettings()
    """Which events are quiet; not given: every event."""
