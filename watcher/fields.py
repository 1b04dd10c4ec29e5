"""The types that configuration is written in: durations, secrets, rates, and the frozen base of every section.

One floor above `core` and below the rooms that bring their own section (receivers, authentication methods) and
`settings`, which joins the sections into one document.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, ClassVar, NamedTuple, Self, TypeVar
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    AnyHttpUrl,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainSerializer,
    SecretStr,
    WithJsonSchema,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from watcher.core.destinations import check_host
from watcher.core.errors import ConfigurationError

_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?", re.ASCII)
_RATE = re.compile(r"(\d+)\s*/\s*(.+)", re.ASCII)
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_NAME_LENGTH = 63
_SECRET_BYTES = 256 * 1024  # a list of Apprise addresses, too
_URL = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*://)(?P<userinfo>[^/?#]*@)?(?P<place>[^?#]*)(?P<rest>.+)?", re.DOTALL)
DURATION_PATTERN = r"^\d+(\.\d+)?\s*(ms|s|m|h|d)?$"
PAIR_ERROR = "watcher_pair"
"""The type of the pydantic error for keys that do not go together."""


class Section(BaseModel):
    """The base of every configuration section: frozen, an unknown key is an error, a key without a value is not there.

    A subclass overrides `pair_problems` for what is wrong with the *keys* given, whatever their values: the loader
    asks it even where a value is wrong, so that all findings come at once.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", populate_by_name=True, hide_input_in_errors=True, use_attribute_docstrings=True
    )

    @classmethod
    def pair_problems(cls, given: Collection[str]) -> Iterator[tuple[str, str]]:
        """Pairs of (key, message) for keys that do not go together; the key is "" when one is lacking."""
        del given
        yield from ()

    @model_validator(mode="before")
    @classmethod
    def _drop_empty_keys(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        known = {*cls.model_fields, *(field.alias for field in cls.model_fields.values())}
        return {key: value for key, value in data.items() if value is not None or key not in known}

    @model_validator(mode="after")
    def _check_pairs(self) -> Self:
        for _, message in self.pair_problems(self.model_fields_set):
            raise PydanticCustomError(PAIR_ERROR, "{message}", {"message": message})
        return self


def parse_duration(value: object) -> timedelta:
    """Turn `500ms`, `15s`, `5m`, `2h`, `7d` or a number of seconds into a timedelta; raises ValueError."""
    if isinstance(value, timedelta):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value)
    match = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError("not a duration: write 500ms, 15s, 5m, 2h, 7d or a number of seconds")
    try:
        return timedelta(seconds=float(match[1]) * _UNITS_S[match[2] or "s"])
    except OverflowError:
        raise ValueError("the duration is too long") from None


def format_duration(value: timedelta) -> str:
    """Write a duration as the configuration takes it: `90s`, `5m`, `2h`; the largest unit that is exact."""
    seconds = value.total_seconds()
    for unit in ("d", "h", "m", "s"):
        if seconds >= _UNITS_S[unit] and seconds % _UNITS_S[unit] == 0:
            return f"{int(seconds / _UNITS_S[unit])}{unit}"
    return f"{round(seconds * 1000)}ms" if seconds else "0s"


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema(
        {
            "anyOf": [{"type": "string", "pattern": DURATION_PATTERN}, {"type": "number", "minimum": 0}],
            "examples": ["500ms", "15s", "5m", "2h", "7d"],
        }
    ),
]
"""A length of time, zero or more."""


def _check_positive(value: timedelta) -> timedelta:
    if not value:
        raise ValueError("must be more than 0")
    return value


PositiveDuration = Annotated[Duration, AfterValidator(_check_positive)]
"""A length of time, more than zero."""


class Rate(NamedTuple):
    """At most `requests` in every `per_s` seconds."""

    requests: int
    per_s: float

    def __str__(self) -> str:
        return f"{self.requests}/{format_duration(timedelta(seconds=self.per_s))}"


def _parse_rate(value: object) -> object:
    if isinstance(value, Rate):
        return value
    match = _RATE.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError("not a rate: write a number, a slash and a duration, such as 180/1m")
    rate = Rate(int(match[1]), parse_duration(match[2]).total_seconds())
    if rate.requests < 1 or rate.per_s <= 0:
        raise ValueError("a rate needs a count and a duration above zero")
    return rate


RateLimit = Annotated[
    Rate,
    BeforeValidator(_parse_rate),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^\d+\s*/\s*\d+(\.\d+)?\s*(ms|s|m|h|d)?$", "examples": ["180/1m"]}),
]
"""Requests allowed in a length of time, such as `180/1m`."""


def hide_credentials(url: str) -> str:
    """The URL without what could be secret in it: userinfo, query and fragment."""
    match = _URL.match(url)
    if match is None:
        return "**********"
    return match["scheme"] + ("***@" if match["userinfo"] else "") + match["place"] + ("?***" if match["rest"] else "")


class _PlainHttpUrl(AnyHttpUrl):
    """An http or https URL whose `repr` hides userinfo and query; `str` is the whole."""

    def __repr__(self) -> str:
        return f"HttpUrl({hide_credentials(str(self))!r})"


HttpUrl = _PlainHttpUrl


def _check_destination(value: HttpUrl) -> HttpUrl:
    check_host(value.host)
    return value


DestinationUrl = Annotated[HttpUrl, AfterValidator(_check_destination)]
"""An http or https URL that something is sent to: not at a link-local address."""


def _check_public(value: HttpUrl) -> HttpUrl:
    if value.username or value.password:
        raise ValueError("everybody sees this URL: leave the user and the password out")
    return value


PublicUrl = Annotated[HttpUrl, AfterValidator(_check_public)]
"""An http or https URL that is shown to people."""


def check_destination(url: str) -> None:
    """Raise ValueError unless the URL is one of http or https and leads to no link-local address."""
    if not url.startswith(("https://", "http://")):
        raise ValueError("must begin with https:// or http://")
    try:
        host = urlsplit(url).hostname
    except ValueError:
        raise ValueError("not a URL") from None
    check_host(host)


def _check_name(value: str) -> str:
    if len(value) > _NAME_LENGTH or not _NAME.fullmatch(value):
        raise ValueError(f"must be lower-case letters, digits and dashes, at most {_NAME_LENGTH}")
    return value


Name = Annotated[
    str,
    AfterValidator(_check_name),
    WithJsonSchema({"type": "string", "pattern": f"^{_NAME.pattern}$", "maxLength": _NAME_LENGTH}),
]
"""A name that is also a metric label and part of a path: lower-case letters, digits and dashes."""

_T = TypeVar("_T")


class _AcceptOne:
    """Lets a list be written as its only item."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self._listed, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        many = handler(schema)
        return {"anyOf": [many["items"], many]}

    @staticmethod
    def _listed(value: object) -> object:
        return value if isinstance(value, list | tuple) else (value,)


OneOrMany = Annotated[tuple[_T, ...], _AcceptOne()]
"""A list, or its only item alone."""


class Secret:
    """A secret given in place or by file; the file is read at each use, so that a rotated mount works.

    `repr` and `str` never show it.
    """

    __slots__ = ("_path", "_value")

    def __init__(self, *, value: str | None = None, path: Path | None = None) -> None:
        self._value = value
        self._path = path

    def reveal(self) -> str:
        """The secret itself; raises ConfigurationError when its file cannot be read or is empty."""
        if self._path is None:
            return self._value or ""
        try:
            with self._path.open("rb") as file:
                content = file.read(_SECRET_BYTES + 1)
            text = content.decode().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"cannot read the secret file {self._path}: {_why(error)}") from error
        if len(content) > _SECRET_BYTES:
            raise ConfigurationError(f"the secret file {self._path} is larger than {_SECRET_BYTES // 1024} KiB")
        if not text:
            raise ConfigurationError(f"the secret file {self._path} is empty")
        return text

    def __repr__(self) -> str:
        return "Secret('**********')"


def _why(error: OSError | UnicodeDecodeError) -> str:
    return error.strerror or type(error).__name__ if isinstance(error, OSError) else "it is not UTF-8 text"


class SecretOwner(Section):
    """A section with secrets: every field `x` of type `SecretStr` has a twin `x_file`.

    A subclass declares both fields, names in `required_secrets` those it cannot do without, and reads the pair with
    `required_secret("x")` or `optional_secret("x")`.
    """

    required_secrets: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def pair_problems(cls, given: Collection[str]) -> Iterator[tuple[str, str]]:
        """A secret given twice, or a required one not at all."""
        for name in secret_pairs(cls):
            if name in given and f"{name}_file" in given:
                yield f"{name}_file", f"give '{name}' or '{name}_file', not both"
        for name in cls.required_secrets:
            if name not in given and f"{name}_file" not in given:
                yield "", f"missing required key '{name}' (or '{name}_file')"

    def required_secret(self, name: str) -> Secret:
        """The secret called `name`, from its value or its file."""
        secret = self.optional_secret(name)
        if secret is None:
            raise ConfigurationError(f"{name} or {name}_file is required")
        return secret

    def optional_secret(self, name: str) -> Secret | None:
        """The secret called `name`, or None when neither it nor its file is given."""
        value: SecretStr | None = getattr(self, name)
        path: Path | None = getattr(self, f"{name}_file")
        if value is None and path is None:
            return None
        return Secret(value=value.get_secret_value() if value is not None else None, path=path)


def secret_pairs(section: type[BaseModel]) -> list[str]:
    """The names `x` of a section that may be given as `x` or as `x_file`."""
    fields: dict[str, Any] = dict(section.model_fields)
    return [name for name in fields if f"{name}_file" in fields]
