from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watcher.settings.interpolation import InterpolationError, interpolate

ENVIRONMENT = {"A": "one", "EMPTY": "", "TRICKY": "${A} $$ }"}


@pytest.mark.parametrize(
    ("text", "expected", "from_environment"),
    [
        ("plain", "plain", False),
        ("${A}", "one", True),
        ("<${A}${A}>", "<oneone>", True),
        ("${NONE:-other}", "other", False),
        ("${NONE:-}", "", False),
        ("${EMPTY:-other}", "other", False),
        ("${EMPTY}", "", True),
        ("${A:-other}", "one", True),
        ("${NONE:-http://h:1/a-b?c:-d}", "http://h:1/a-b?c:-d", False),
        ("$$", "$", False),
        ("$${A}", "${A}", False),
        ("$$$${A}", "$${A}", False),
        ("$$${A}", "$one", True),
        ("costs 5$ or $A", "costs 5$ or $A", False),
        ("${TRICKY}", "${A} $$ }", True),
    ],
)
def test_references_are_followed_once(text: str, expected: str, from_environment: bool) -> None:
    assert interpolate(text, ENVIRONMENT) == (expected, from_environment)


@pytest.mark.parametrize("text", ["${", "${}", "${A", "${1A}", "${A-b}", "${A:default}", "${ A }", "${ü}"])
def test_a_broken_reference_is_told(text: str) -> None:
    with pytest.raises(InterpolationError, match="not a reference"):
        interpolate(text, ENVIRONMENT)


def test_an_unset_variable_is_named() -> None:
    with pytest.raises(InterpolationError, match="the environment variable NONE is not set"):
        interpolate("${NONE}", ENVIRONMENT)


@given(st.text())
def test_doubling_every_dollar_sign_keeps_any_text(text: str) -> None:
    assert interpolate(text.replace("$", "$$"), {}) == (text, False)


@given(st.text())
def test_a_value_goes_in_as_it_is(value: str) -> None:
    assert interpolate("<${A}>", {"A": value}).text == f"<{value}>"
