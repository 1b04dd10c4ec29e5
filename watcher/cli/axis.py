"""A time axis: where its marks stand, and what is written there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_STEPS_S = (
    *(_MINUTE * count for count in (1, 2, 5, 10, 15, 30)),
    *(_HOUR * count for count in (1, 2, 3, 6, 12)),
    *(_DAY * count for count in (1, 2, 7, 14, 28, 91, 182, 364)),
)


def ticks(begins_at: datetime, ends_at: datetime, *, at_most: int, zone: tzinfo | None) -> list[tuple[datetime, str]]:
    """Round times from the first to the last, at most so many, with their labels; `zone` None is this machine's."""
    length_s = (ends_at - begins_at).total_seconds()
    step_s = next((step for step in _STEPS_S if length_s <= step * at_most), _STEPS_S[-1])
    while length_s > step_s * at_most:
        step_s *= 2
    # Counted in the zone's own clock time, so that marks stay on the hour, and days at midnight, through clock changes.
    first = begins_at.astimezone(zone)
    midnight = first.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    step = timedelta(seconds=step_s)
    found: list[tuple[datetime, str]] = []
    at = midnight
    while len(found) <= at_most:
        moment = (at.replace(tzinfo=zone) if zone is not None else at).astimezone(UTC)
        if moment > ends_at:
            break
        if moment >= begins_at:
            found.append((moment, at.strftime("%b %d" if step_s >= _DAY or at.time() == midnight.time() else "%H:%M")))
        at += step
    return found
