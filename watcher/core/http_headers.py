"""What a peer's headers ask of us, the same for the cloud and for receivers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

RETRY_AFTER_MAX_S = 3600.0
"""A longer `Retry-After` is cut to this: nobody may blind or silence the watcher for a day."""


def retry_after_s(headers: Mapping[str, str], *, now: datetime) -> float | None:
    """What `Retry-After` asks for (RFC 9110 section 10.2.3), at most RETRY_AFTER_MAX_S; None without a readable one.

    A date is counted on the peer's own clock (`Date`), else on ours. `headers` must not care for case.
    """
    text = headers.get("Retry-After", "").strip()
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        at = parse_http_date(text)
        seconds = (at - (parse_http_date(headers.get("Date", "")) or now)).total_seconds() if at else math.nan
    return min(max(seconds, 0.0), RETRY_AFTER_MAX_S) if math.isfinite(seconds) else None


def parse_http_date(text: str) -> datetime | None:
    """A date as HTTP writes it, in UTC; None if unreadable."""
    try:
        at = parsedate_to_datetime(text)
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
