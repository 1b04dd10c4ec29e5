"""When it is quiet: windows that come again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from watcher.core.routing import Matcher

_BACK_DAYS = 8  # a week, and a day more: clocks may jump by a whole day, so that yesterday's is yet to begin
_AHEAD_DAYS = 400  # more than from one autumn to the next: a chain that clocks going back do not break has no end


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A quiet window that comes again: on `days` (0 Monday … 6 Sunday) at `start` in `timezone`, for `duration`.

    It begins once on each of its days, as cron's users expect: a start that clocks skip is taken with the offset
    before the jump (02:30 is 03:30 then), of one that comes twice it is the first (RFC 5545, 3.3.5; PEP 495, fold=0).
    `duration` is time that really passes: Alertmanager's intervals end by the wall clock, an hour off on such a day.
    """

    name: str
    days: frozenset[int]
    start: time
    duration: timedelta
    timezone: ZoneInfo
    match: Matcher

    def ends_at(self, now: datetime) -> datetime | None:
        """When it is over, in UTC; None while it is not quiet at `now`: the begin is quiet, the end is not.

        Occurrences that overlap or touch are one. They are followed for 400 days: of a window that is always on,
        the answer is an end more than a year ahead, to be asked again then.
        """
        today = now.astimezone(self.timezone).date()
        end = now
        for days in range(-_BACK_DAYS, _AHEAD_DAYS):
            day = today + timedelta(days=days)
            if day.weekday() not in self.days:
                continue
            begin = datetime.combine(day, self.start, self.timezone).astimezone(UTC)
            if begin > end:
                break
            end = max(end, begin + self.duration)
        return end if end > now else None
