import pytest

from watcher.core.lifecycle import is_changing, passed_unseen


@pytest.mark.parametrize(
    ("before", "after", "passed"),
    [
        ("CREATING", "ACTIVE", ()),
        ("CREATING", "BUILDING", ("ACTIVE",)),
        ("CREATING", "BUILT", ("ACTIVE", "BUILDING")),
        ("ACTIVE", "BUILT", ("BUILDING",)),
        ("BUILDING", "BUILT", ()),
        ("BUILT", "BUILDING", ()),
        ("BUILT", "BUILT", ("BUILDING",)),
        ("BUILT", "ACTIVE", ()),
        ("CREATING", "ERROR", ()),
        ("CREATING", "DELETING", ()),
        ("ERROR", "BUILT", ()),
        ("NULL", "BUILT", ()),
        ("CREATING", "FROBNICATING", ()),
        ("FROBNICATING", "BUILT", ()),
    ],
)
def test_what_must_have_been_passed(before: str, after: str, passed: tuple[str, ...]) -> None:
    assert passed_unseen(before, after) == passed


@pytest.mark.parametrize("status", ["CREATING", "BUILDING", "DELETING"])
def test_changing(status: str) -> None:
    assert is_changing(status)


@pytest.mark.parametrize("status", ["ACTIVE", "BUILT", "ERROR", "NULL", "FROBNICATING", None])
def test_at_rest(status: str | None) -> None:
    assert not is_changing(status)
