from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, TypeAdapter, ValidationError

from watcher.core.errors import ConfigurationError
from watcher.fields import (
    HttpUrl,
    Name,
    OneOrMany,
    Rate,
    RateLimit,
    Secret,
    SecretOwner,
    Section,
    format_duration,
    hide_credentials,
    parse_duration,
)

CANARY = "canary-7f3a"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("500ms", 0.5),
        ("15s", 15),
        ("5m", 300),
        ("2h", 7200),
        ("7d", 604800),
        ("90", 90),
        ("1.5", 1.5),
        ("0", 0),
        (7, 7),
    ],
)
def test_durations_are_a_number_and_a_unit_or_seconds(text: object, seconds: float) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text", ["", "s", "-5s", "5 weeks", "1h30m", "inf", "nan", "9" * 400, "\u0665s", True, None, [1]]
)
def test_anything_else_is_no_duration(text: object) -> None:
    with pytest.raises(ValueError, match="duration"):
        parse_duration(text)


@given(st.integers(min_value=0, max_value=10**12))
def test_what_is_written_is_read_back(milliseconds: int) -> None:
    duration = timedelta(milliseconds=milliseconds)
    assert parse_duration(format_duration(duration)) == duration


@given(st.sampled_from(["ms", "s", "m", "h", "d"]), st.integers(min_value=0, max_value=10**6))
def test_writing_what_was_read_keeps_its_length(unit: str, count: int) -> None:
    once = format_duration(parse_duration(f"{count}{unit}"))
    assert format_duration(parse_duration(once)) == once


def test_a_duration_is_written_in_the_largest_unit_that_is_exact() -> None:
    written = [format_duration(timedelta(seconds=seconds)) for seconds in (0, 0.25, 59, 60, 90, 7200, 86400)]
    assert written == ["0s", "250ms", "59s", "1m", "90s", "2h", "1d"]


def test_rates() -> None:
    adapter: TypeAdapter[Rate] = TypeAdapter(RateLimit)
    rate = adapter.validate_python("180/1m")
    assert rate == Rate(180, 60.0)
    assert str(rate) == "180/1m"
    for wrong in ("180", "0/1m", "1/0s", "a/1m", "1/1y", 5, "9" * 5000 + "/1s"):
        with pytest.raises(ValidationError):
            adapter.validate_python(wrong)


@pytest.mark.parametrize("wrong", ["", "-a", "a-", "A", "a_b", "a.b", "a" * 64, "a\n"])
def test_names_are_lower_case_words(wrong: str) -> None:
    adapter: TypeAdapter[str] = TypeAdapter(Name)
    assert adapter.validate_python("a-1") == "a-1"
    with pytest.raises(ValidationError):
        adapter.validate_python(wrong)


def test_urls_show_neither_userinfo_nor_query() -> None:
    url = HttpUrl(f"https://{CANARY}:{CANARY}@host:8443/path?token={CANARY}#{CANARY}")
    assert CANARY in str(url)
    assert repr(url) == "HttpUrl('https://***@host:8443/path?***')"
    assert hide_credentials(f"sqlite:///a/b.db?{CANARY}") == "sqlite:///a/b.db?***"
    assert hide_credentials(CANARY) == "**********"


class _Many(Section):
    words: OneOrMany[str] = ()


def test_one_item_alone_is_a_list_of_it() -> None:
    assert _Many.model_validate({"words": "a"}).words == ("a",)
    assert _Many.model_validate({"words": ["a", "b"]}).words == ("a", "b")
    words = _Many.model_json_schema()["properties"]["words"]
    assert words["anyOf"] == [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]


def test_a_key_without_a_value_is_not_there_but_an_unknown_one_is_unknown() -> None:
    assert _Many.model_validate({"words": None}).words == ()
    with pytest.raises(ValidationError, match="Extra inputs"):
        _Many.model_validate({"wrods": None})


class _Owner(SecretOwner):
    required_secrets: ClassVar[tuple[str, ...]] = ("key",)

    key: SecretStr | None = None
    key_file: Path | None = None
    other: SecretStr | None = None
    other_file: Path | None = None


def test_a_secret_is_given_once_in_place_or_by_file(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(f"{CANARY}\n", encoding="utf-8")
    assert _Owner(key=SecretStr(CANARY)).required_secret("key").reveal() == CANARY
    assert _Owner(key_file=path).required_secret("key").reveal() == CANARY
    assert _Owner(key_file=path).optional_secret("other") is None
    with pytest.raises(ValidationError, match="give 'key' or 'key_file', not both"):
        _Owner(key=SecretStr(CANARY), key_file=path)
    with pytest.raises(ValidationError, match="missing required key 'key'"):
        _Owner(other=SecretStr(CANARY))


def test_a_secret_file_is_read_at_each_use(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("old", encoding="utf-8")
    secret = Secret(path=path)
    assert secret.reveal() == "old"
    path.write_text("new", encoding="utf-8")
    assert secret.reveal() == "new"


@pytest.mark.parametrize("content", [None, b"", b" \n", b"\xff"])
def test_a_secret_file_that_cannot_be_used_is_the_operators_to_mend(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "key"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError, match="secret file"):
        Secret(path=path).reveal()


def test_a_lacking_secret_names_both_keys() -> None:
    with pytest.raises(ConfigurationError, match="other or other_file is required"):
        _Owner(key=SecretStr(CANARY)).required_secret("other")


def test_secrets_do_not_show() -> None:
    shown = [repr(Secret(value=CANARY)), str(Secret(value=CANARY)), repr(_Owner(key=SecretStr(CANARY)))]
    assert not [text for text in shown if CANARY in text]
