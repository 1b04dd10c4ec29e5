"""What may be asked of the API: bodies and query parameters."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic.config import JsonDict

from watcher.core.model import DeliveryState, EventKind, Presence, Severity
from watcher.core.ports import Entry, Wanted
from watcher.core.quiet import Silence
from watcher.core.routing import Matcher
from watcher.fields import PositiveDuration
from watcher.matching import MatchSettings
from watcher.ops.api.reading import conflict

_EARLIEST, _LATEST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


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
    except OverflowError:  # a few hours beyond what UTC can say: as near as it comes
        return _EARLIEST if at.year == 1 else _LATEST


_CURSOR = re.compile(r"([0-9a-f]{2})*(\.([0-9a-f]{2})*)*")
_ID_DIGITS = 18  # the database knows no greater ids
_EVENT_ID = r"^evt_[0-9a-f]{32}$"


def _parse_cursor(value: object) -> object:
    if not _CURSOR.fullmatch(str(value)):
        raise ValueError("not a cursor: take what is 'next' in an earlier answer")
    return tuple(bytes.fromhex(part).decode(errors="replace") for part in str(value).split("."))


def cursor_of(parts: Sequence[str]) -> str:
    """What says where the next page begins: behind the item with this key."""
    return ".".join(part.encode(errors="replace").hex() for part in parts)


_BLANKS = " \t\n\r\f\v"


def _strip(text: str) -> str:
    return text.strip(_BLANKS)


def _check_not_blank(text: str) -> str:
    if not text:
        raise ValueError("must not be empty")
    return text


def _check_bare(value: str) -> str:
    if "\0" in value:
        raise ValueError("must not hold a NUL")
    return value


Time = Annotated[datetime, BeforeValidator(_parse_time), WithJsonSchema({"type": "string", "format": "date-time"})]
Cursor = Annotated[
    tuple[str, ...],
    BeforeValidator(_parse_cursor),
    WithJsonSchema({"type": "string", "pattern": f"^{_CURSOR.pattern}$", "description": "`next` of an earlier answer"}),
]
EventCursor = Annotated[str, Field(pattern=_EVENT_ID, description="the id of an event: what comes behind it")]
Text = Annotated[
    str, AfterValidator(_check_bare), Field(min_length=1, max_length=255, json_schema_extra={"pattern": r"^[^\x00]*$"})
]
_Item = TypeVar("_Item")
Several = Annotated[tuple[_Item, ...], Field(max_length=20)]
# How long a text may be is said of it as it is sent, blanks and all; a constraint that strips would count after that.
# Blanks are those of ASCII: regular expressions are not of one mind about others.
_Stripped = AfterValidator(_strip)
_NotBlank = AfterValidator(_check_not_blank)
_SOMETHING: JsonDict = {"pattern": r"[^ \t\n\r\f\v]"}
Person = Annotated[str, Field(min_length=1, max_length=200, json_schema_extra=_SOMETHING), _Stripped, _NotBlank]
Comment = Annotated[str, Field(max_length=2000), _Stripped]
Needed = Annotated[str, Field(min_length=1, max_length=2000, json_schema_extra=_SOMETHING), _Stripped, _NotBlank]
Length = Annotated[
    PositiveDuration,
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": r"^([1-9]\d{0,6}(\.\d{1,3})?|0\.\d{0,2}[1-9])\s*(ms|s|m|h|d)?$"},
                {"type": "number", "minimum": 0.001, "maximum": 1e9},
            ],
            "examples": ["30m", "2h", "7d"],
        }
    ),
]
"""A length of time, more than zero; what is longer than any silence could be is not a question of how it is written."""


class _Given(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _tell_pairs(schema: dict[str, Any]) -> None:
    """What `SilenceBody` checks of two keys at once."""
    given = [
        {"required": [key], "properties": {key: {"anyOf": [{"type": "string"}, {"type": "array", "minItems": 1}]}}}
        for key in ("kind", "from", "to", "source", "instance_id", "name", "severity")
    ]
    given.append({"required": ["labels"], "properties": {"labels": {"minProperties": 1}}})
    schema["anyOf"] = [
        {"required": ["match"], "properties": {"match": {"anyOf": given}, "all": {"const": False}}},
        {"required": ["all"], "properties": {"match": {"maxProperties": 0}, "all": {"const": True}}},
    ]
    schema["oneOf"] = [
        {"required": [key], "properties": {key: {"not": {"type": "null"}}, other: {"type": "null"}}}
        for key, other in (("duration", "ends_at"), ("ends_at", "duration"))
    ]
    schema["properties"]["match"].pop("default")


class SilenceBody(_Given):
    """A silence to make."""

    model_config = ConfigDict(json_schema_extra=_tell_pairs)

    match: MatchSettings = MatchSettings()
    everything: StrictBool = Field(default=False, alias="all")
    starts_at: Time | None = None
    ends_at: Time | None = None
    duration: Length | None = None
    author: Person
    comment: Needed

    @field_validator("match", mode="before")
    @classmethod
    def _check_nulls(cls, match: object) -> object:
        # In the configuration a key without a value is one that is not given; in JSON it is a mistake of a program.
        nulls = [key for key, value in match.items() if value is None] if isinstance(match, dict) else []
        if nulls:
            raise ValueError(f"{', '.join(map(repr, nulls))} must not be null: leave out what is not meant")
        return match

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
            raise conflict([(("duration",), "is too long")]) from None
        if ends_at is None or ends_at <= starts_at:
            behind = "'starts_at'" if starts_at > now else "the present time"
            raise conflict([(("ends_at",), f"must be after {behind}")])
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


class InstancePath(_Given):
    """Which instance."""

    source: Text
    id: Text


class AlertPath(_Given):
    """Which alert."""

    fingerprint: Text


class SilencePath(_Given):
    """Which silence."""

    id: Text


class DeliveryPath(_Given):
    """Which delivery."""

    id: int = Field(ge=1, lt=10**_ID_DIGITS)


class LimitQuery(_Given):
    """How much of a list."""

    limit: int = Field(100, ge=1, le=1000)


class PageQuery(LimitQuery):
    """Which part of a list."""

    after: Cursor | None = None


class InstancesQuery(PageQuery):
    """Which instances; a key given twice: either. `q`: words that are all in name, id or labels (`label=value`)."""

    source: Several[Text] = ()
    status: Several[Text] = ()
    presence: Several[Presence] = ()
    alerting: bool = False
    q: Annotated[str, Field(max_length=255)] = ""
    order: Literal["id", "problems"] = "id"


class AlertsQuery(PageQuery):
    """Which alerts; a key given twice: either."""

    source: Several[Text] = ()
    instance_id: Several[Text] = ()
    severity: Several[Severity] = ()
    order: Literal["id", "problems"] = "id"


class SilencesQuery(PageQuery):
    """Which silences; a key given twice: either."""

    state: Several[Literal["pending", "active", "expired"]] = ()


class _EventsQuery(_Given):
    kind: Several[EventKind] = ()
    source: Several[Text] = ()
    instance_id: Several[Text] = ()


class EventsQuery(LimitQuery, _EventsQuery):
    """Which events; a key given twice: either. `since` and `until` are of `observed_at`."""

    after: EventCursor | None = None
    order: Literal["oldest", "newest"] = "oldest"
    since: Time | None = None
    until: Time | None = None

    def wanted(self) -> Wanted:
        """The same for the store."""
        return Wanted(
            kinds=self.kind, sources=self.source, instance_ids=self.instance_id, since=self.since, until=self.until
        )


class StreamQuery(_EventsQuery):
    """Which events, and from behind which one on; empty: from the oldest that is kept."""

    after: Annotated[str, Field(pattern=r"^(evt_[0-9a-f]{32})?$")] | None = None

    def wants(self, entry: Entry) -> bool:
        """Whether this event is meant."""
        return (
            (not self.kind or entry.kind in self.kind)
            and (not self.source or entry.source in self.source)
            and (not self.instance_id or entry.instance_id in self.instance_id)
        )


class TimelineQuery(_Given):
    """How many of the latest events to tell it from."""

    limit: int = Field(200, ge=1, le=1000)


class DeliveriesQuery(LimitQuery):
    """Which deliveries."""

    after: Annotated[int, Field(ge=0, lt=10**_ID_DIGITS, description="`next` of an earlier answer")] | None = None
    state: DeliveryState | None = None
    receiver: Text | None = None
    source: Text | None = None
    instance_id: Text | None = None
    event_id: Text | None = None
