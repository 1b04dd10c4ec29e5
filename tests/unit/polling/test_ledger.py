"""What is known of a source's instances."""

from __future__ import annotations

from dataclasses import replace

from tests.fakes.values import at, history, instance
from watcher.core.model import InstanceKey, Search
from watcher.core.ports import InstancePage
from watcher.polling.ledger import _FORGOTTEN_KEPT, Ledger

PAGE = InstancePage(count=3, items=tuple(instance("BUILT", id=number) for number in "123"))


def known() -> Ledger:
    """The page was read in the first sweep."""
    ledger = Ledger()
    ledger.page(0, sweep=1).page = PAGE
    return ledger


def sought(ledger: Ledger, instance_id: str, *, search: Search | None) -> None:
    state, _ = history("BUILT", key=InstanceKey("prod", instance_id))
    ledger.keep(replace(state, search=search))


def test_of_a_page_that_is_as_it_was_nobody_is_in_question() -> None:
    assert known().in_question(0, PAGE) == ()


def test_but_those_whose_job_is_looked_for() -> None:
    ledger = known()
    sought(ledger, "2", search=Search(job_type="CREATE_SERVER_IMAGE", since=at(0)))
    assert [each.id for each in ledger.in_question(0, PAGE)] == ["2"]
    sought(ledger, "2", search=None)
    assert ledger.in_question(0, PAGE) == ()


def test_of_another_page_all_are() -> None:
    ledger = known()
    assert ledger.in_question(0, replace(PAGE)) == PAGE.items
    assert ledger.in_question(100, PAGE) == PAGE.items


def test_of_a_page_that_is_in_doubt_all_are() -> None:
    ledger = known()
    ledger.shown("1", ledger.page(0, sweep=2))
    ledger.doubt("1")
    assert ledger.in_question(0, PAGE) == PAGE.items


def test_of_those_that_are_gone_the_number_is_kept_and_of_very_many_the_last() -> None:
    ledger = Ledger()
    for number in range(_FORGOTTEN_KEPT + 2):
        state, _ = history("BUILT", key=InstanceKey("prod", str(number)))
        ledger.keep(state)
        if number:
            ledger.forget(str(number))
    assert len(ledger.states) == _FORGOTTEN_KEPT + 1
    assert "1" not in ledger.states
    assert ledger.states["0"].record != "{}"  # still watched
    assert (ledger.states["2"].record, ledger.states["2"].sequence) == ("{}", 1)
    ledger.keep(ledger.states["2"])  # it is back
    ledger.forget("0")
    assert "2" in ledger.states
    assert "3" in ledger.states
    ledger.keep(replace(ledger.states["0"], key=InstanceKey("prod", "new")))
    ledger.forget("new")
    assert "2" in ledger.states
    assert "3" not in ledger.states
