"""Times as commands take and print them: ages for people, exact times for programs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

import typer

from watcher.fields import parse_duration

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_YEAR = 365 * _DAY
_LARGEST = 1e10  # in seconds, three centuries


@dataclass(frozen=True, slots=True)
class Moment:
    """A time, or so long ago."""

    given: datetime | timedelta

    def at(self, now: datetime) -> datetime:
        """The time meant, in UTC; raises BadParameter when there is no such time."""
        try:
            return (now - self.given if isinstance(self.given, timedelta) else self.given).astimezone(UTC)
        except OverflowError:
            raise typer.BadParameter("that is too long ago") from None


def parse_time(text: str, *, otherwise: str = "") -> datetime:
    """`2026-01-01T22:00` (local) or `2026-01-01T22:00:00Z`; `otherwise` is what else could have been written."""
    try:
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError):
        raise typer.BadParameter(
            f"not a time: write {otherwise}2026-01-01T22:00 (local) or 2026-01-01T22:00:00Z"
        ) from None


def parse_moment(text: str) -> Moment:
    """`2h` (so long ago), `2026-01-01T22:00` (local) or `2026-01-01T22:00:00Z`."""
    try:
        return Moment(parse_duration(text))
    except ValueError:
        return Moment(parse_time(text, otherwise="2h (ago), "))


def read_time(value: object) -> datetime | None:
    """The time that an answer holds, in UTC; None for anything else."""
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else None
        return at.astimezone(UTC) if at is not None and at.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


def read_number(value: object) -> float | None:
    """The number that an answer holds, such as of seconds; None for anything else, and for what no time takes."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value < _LARGEST else None


def how_long(seconds: float) -> str:
    """A length of time as `kubectl` writes ages: `45s`, `5m12s`, `24m`, `3h5m`, `2d4h`, `12d`, `2y10d`."""
    whole = max(0, int(seconds))
    for below, large, small in (
        (2 * _MINUTE, "s", ""),
        (10 * _MINUTE, "m", "s"),
        (3 * _HOUR, "m", ""),
        (8 * _HOUR, "h", "m"),
        (2 * _DAY, "h", ""),
        (8 * _DAY, "d", "h"),
        (2 * _YEAR, "d", ""),
    ):
        if whole < below:
            return _in_units(whole, large, small)
    return _in_units(whole, "y", "d")


_UNIT_S = {"s": 1, "m": _MINUTE, "h": _HOUR, "d": _DAY, "y": _YEAR}


def _in_units(seconds: int, large: str, small: str) -> str:
    count, rest = divmod(seconds, _UNIT_S[large])
    more = rest // _UNIT_S[small] if small else 0
    return f"{count}{large}" + (f"{more}{small}" if more else "")


def age(value: object, now: datetime) -> str:
    """How long ago a time was, or `in 5m` when it is still to come; what is no time is left as it is."""
    at = read_time(value)
    if at is None:
        return str(value)
    seconds = (now - at).total_seconds()
    return how_long(seconds) if seconds > -1 else f"in {how_long(-seconds)}"


def local_time(at: datetime, zone: tzinfo | None = None) -> str:
    """A time for people, in this machine's zone: `Nov 23 20:38:08`."""
    return at.astimezone(zone).strftime("%b %d %H:%M:%S")
