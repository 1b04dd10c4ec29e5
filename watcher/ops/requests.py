"""What may be asked of the API: bodies and query parameters."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StringConstraints,
    model_validator,
)

from watcher.core.model import DeliveryState
from watcher.core.quiet import Silence
from watcher.core.routing import Matcher
from watcher.fields import PositiveDuration
from watcher.matching import MatchSettings
from watcher.ops.reading import PARAMETER, invalid

_MAX_ID = 2**63 - 1  # the database knows no greater one


def _parse_time(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError("must be a time such as 2026-01-01T22:00:00Z")  # noqa: TRY004 - pydantic wants a ValueError
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        raise ValueError("not a time: write 2026-01-01T22:00:00Z") from None
    if at.tzinfo is None:
        raise ValueError("needs a timezone: write 2026-01-01T22:00:00Z or 2026-01-01T22:00:00+08:00")
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise ValueError("is too far away") from None


def _parse_cursor(value: object) -> object:
    try:
        parts = json.loads(base64.urlsafe_b64decode(str(value).encode("ascii") + b"=="))
    except (ValueError, RecursionError):
        parts = None
    if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
        raise ValueError("not a cursor: take what is 'next' in an earlier answer")
    return tuple(parts)


def cursor_of(parts: Sequence[str]) -> str:
    """What says where the next page begins: behind the item with this key."""
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


Time = Annotated[datetime, BeforeValidator(_parse_time)]
Cursor = Annotated[tuple[str, ...], BeforeValidator(_parse_cursor)]
Text = Annotated[str, Field(min_length=1)]
Person = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Comment = Annotated[str, StringConstraints(strip_whitespace=True, max_length=2000)]


class _Given(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SilenceBody(_Given):
    """A silence to make."""

    match: MatchSettings = MatchSettings()
    everything: StrictBool = Field(default=False, alias="all")
    starts_at: Time | None = None
    ends_at: Time | None = None
    duration: PositiveDuration | None = None
    author: Person
    comment: Annotated[Comment, Field(min_length=1)]

    @model_validator(mode="after")
    def _check_keys(self) -> Self:
        is_empty = self.match.matcher() == Matcher()
        if is_empty and not self.everything:
            raise ValueError("give 'match' at least one key, or '\"all\": true' to silence everything")
        if self.everything and not is_empty:
            raise ValueError("give 'match' or 'all', not both")
        if (self.ends_at is None) is (self.duration is None):
            raise ValueError("give 'ends_at' or 'duration', one of the two")
        return self

    def silence(self, *, id: str, now: datetime) -> Silence:  # noqa: A002 - its name
        """The silence; one that would have begun begins now. Raises a Problem when it would be over before."""
        starts_at = max(self.starts_at or now, now)
        try:
            ends_at = self.ends_at if self.duration is None else starts_at + self.duration
        except OverflowError:
            raise invalid([(("duration",), "is too long")]) from None
        if ends_at is None or ends_at <= starts_at:
            behind = "'starts_at'" if starts_at > now else "the present time"
            raise invalid([(("ends_at",), f"must be after {behind}")])
        return Silence(
            id=id,
            match=self.match.matcher(),
            starts_at=starts_at,
            ends_at=ends_at,
            author=self.author,
            comment=self.comment,
            created_at=now,
        )


class AckBody(_Given):
    """Who takes on an alert."""

    author: Person = "anonymous"
    comment: Comment = ""


class NoBody(_Given):
    """Nothing needs to be said."""


class PageQuery(_Given):
    """Which part of a list."""

    limit: int = Field(100, ge=1, le=1000)
    after: Cursor | None = None


class InstancesQuery(PageQuery):
    """Which instances; a key given twice: either."""

    source: tuple[str, ...] = ()
    status: tuple[str, ...] = ()


class SilencesQuery(PageQuery):
    """Which silences; a key given twice: either."""

    state: tuple[Literal["pending", "active", "expired"], ...] = ()


class DeliveriesQuery(PageQuery):
    """Which deliveries."""

    state: DeliveryState | None = None
    receiver: str | None = None

    @property
    def before(self) -> int | None:
        """The id that the deliveries of this page are below; raises a Problem."""
        if self.after is None:
            return None
        [text, *more] = self.after or ("",)
        if more or not (text.isascii() and text.isdigit()) or int(text[:20]) > _MAX_ID:
            raise invalid([(("after",), "is a cursor of another list")], at=PARAMETER)
        return int(text)
