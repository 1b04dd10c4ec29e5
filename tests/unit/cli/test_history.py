"""Events from the network as values: what is none does no harm."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes.stories import stories
from tests.fakes.values import event
from watcher.cli.history import alerts_in, event_of, image_source_of, known_of
from watcher.core.event_json import to_json

GOOD = to_json(event())


def test_every_sort_of_event_comes_out_as_it_went_in() -> None:
    for told in stories().values():
        read = event_of(json.loads(json.dumps(to_json(told))))
        assert read is not None
        shown = {**to_json(read), "instance": None}
        assert shown == {**to_json(told), "instance": None}


@pytest.mark.parametrize(
    "changes",
    [
        {"id": None},
        {"kind": "frobbed"},
        {"kind": ["transition"]},
        {"severity": "worse"},
        {"observed_at": 7},
        {"observed_at": "1767225600"},
        {"observed_at": "2026-01-01T00:00:00"},
        {"previous_observed_at": "0001-01-01T00:00:00+05:00"},
        {"duration_s": -1},
        {"duration_s": "7"},
        {"duration_s": True},
        {"duration_s": float("nan")},
        {"duration_s": 1e300},
        {"alerts": {"a": 1}},
        {"alerts": [{"name": "error"}]},
        {"inferred": [7]},
        {"labels": {"a": {}}},
        {"reason": "sysprep failed"},
        {"expected": {"median_s": 1}},
    ],
)
def test_what_is_no_event(changes: dict[str, Any]) -> None:
    assert event_of({**GOOD, **changes}) is None


def test_what_is_lacking_or_unknown_in_an_event_of_another_version_does_no_harm() -> None:
    for key in ("inferred", "labels", "reason", "alerts", "expected", "flapping", "changes", "instance"):
        assert event_of({name: value for name, value in GOOD.items() if name != key}) is not None
    assert (
        event_of({**GOOD, "frob": [1], "reason": {"code": "1", "message": "x", "exact": True, "more": 1}}) is not None
    )


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None)
@given(key=st.sampled_from(sorted(GOOD)), value=_JSON)
def test_whatever_is_in_an_event_it_is_one_or_none(key: str, value: object) -> None:
    read = event_of({**GOOD, key: value})
    if read is not None:
        assert read.observed_at.tzinfo is not None
        assert isinstance(image_source_of(read), str)


@pytest.mark.parametrize(
    ("record", "made_from"),
    [
        ({"image_ref": {"id": "img-1", "image_type": "gold", "more": 1}}, "gold:img-1"),
        ({"image_ref": {"id": "img-1", "image_type": 7}}, "img-1"),
        ({"image_ref": ["img-1"]}, ""),
        ({}, ""),
        ("x", ""),
        (None, ""),
    ],
)
def test_what_an_instance_is_made_from(record: object, made_from: str) -> None:
    read = event_of({**GOOD, "instance": record})
    assert read is not None
    assert image_source_of(read) == made_from


def test_instances_and_alerts_that_are_none_are_left_out() -> None:
    good = {
        "source": "prod",
        "id": "1",
        "name": "a",
        "status": "BUILT",
        "presence": "present",
        "since": "2026-01-01T00:00Z",
    }
    odd: list[dict[str, Any]] = [
        {},
        {**good, "id": 7},
        {**good, "since": None},
        {**good, "status": 7},
        {**good, "presence": "deleted"},
    ]
    missing = {**good, "id": "2", "presence": "missing", "name": None}
    assert [(each.key.id, each.name, each.status) for each in known_of([*odd, good, missing])] == [
        ("1", "a", "BUILT"),
        ("2", "", None),
    ]
    alert = {
        "name": "error",
        "fingerprint": "f",
        "status": "firing",
        "severity": "critical",
        "starts_at": good["since"],
    }
    assert [each.name for each in alerts_in([{}, {**alert, "severity": 7}, {**alert, "acknowledged": None}])] == [
        "error"
    ]
