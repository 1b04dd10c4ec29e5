"""Whether an instance is what is waited for, or never will be."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.fakes.values import at, context, history, observation
from watcher.core.alerts import AlertRules
from watcher.core.awaited import Awaited, Outcome, judge
from watcher.core.detector import detect
from watcher.core.model import InstanceState, Reason
from watcher.core.timers import ring

REACHED, FAILED = Outcome.REACHED, Outcome.FAILED


def seen(*steps: tuple[str | None, str]) -> tuple[InstanceState, InstanceState]:
    """The first and the last state of an instance seen with these statuses and images."""
    states, state = list[InstanceState](), None
    for turn, (status, image_id) in enumerate(steps):
        shown = observation(status, turn * 15, image_id=image_id) if status else observation(None, turn * 15)
        state, _ = detect(state, shown, context(configured=True))
        states.append(state)
    return states[0], states[-1]


@pytest.mark.parametrize(
    ("steps", "words", "outcome"),
    [
        ([("BUILT", "a")], "BUILT", REACHED),
        ([("BUILT", "")], "BUILT", FAILED),
        ([("BUILT", "")], "BUILDING", None),
        ([("BUILT", "a")], "BUILDING", None),
        ([("BUILDING", "")], "BUILT", None),
        ([("BUILDING", "")], "building", REACHED),
        ([("BUILDING", ""), ("BUILT", "a")], "BUILT", REACHED),
        ([("BUILDING", ""), ("BUILT", "")], "BUILT", None),  # in doubt: it may appear
        ([("BUILDING", ""), ("BUILT", ""), ("BUILT", "a")], "BUILT", REACHED),
        ([("BUILT", "a"), ("BUILDING", "a"), ("BUILT", "a")], "BUILT", None),
        ([("BUILT", "a"), ("BUILDING", "a"), ("BUILT", "b")], "BUILT", REACHED),
        ([("ERROR", "")], "BUILT", FAILED),
        ([("BUILDING", ""), ("ERROR", "")], "BUILT", FAILED),
        ([("ERROR", "")], "BUILT,ERROR", REACHED),
        ([("ERROR", "")], "deleted", None),
        ([("ERROR", "")], "DELETING,deleted", None),
        ([("ERROR", "")], "BUILT,deleted", FAILED),
        ([("BUILT", "a"), (None, "")], "deleted", None),  # one absence is not believed
        ([("BUILT", "a"), (None, "")], "BUILT", None),
        ([("BUILT", "a"), (None, ""), (None, "")], "deleted", REACHED),
        ([("BUILDING", ""), (None, ""), (None, "")], "BUILT", FAILED),
        ([("DELETING", ""), (None, "")], "Deleted", REACHED),
        ([(None, "")], "BUILT", None),
        ([(None, ""), (None, "")], "BUILT", FAILED),
        ([(None, ""), (None, "")], "deleted", REACHED),
        ([("NULL", "")], "BUILT", None),
        ([("HIBERNATED", "")], "hibernated", REACHED),
        ([("HIBERNATED", "")], "BUILT", None),
    ],
)
def test_what_is_made_of_it(steps: list[tuple[str | None, str]], words: str, outcome: Outcome | None) -> None:
    first, last = seen(*steps)
    verdict = judge(last, Awaited.of([words]), first=first)
    assert (verdict.outcome if verdict else None) == outcome
    assert verdict is None or bool(verdict.message) is (outcome is FAILED)


@pytest.mark.parametrize(
    ("steps", "outcome"),
    [
        ([("BUILT", "a")], None),
        ([("BUILT", "")], None),
        ([("BUILT", "a"), ("BUILT", "b")], REACHED),
        ([("BUILT", ""), ("BUILT", "b")], REACHED),
        ([("BUILT", "a"), ("BUILDING", "a"), ("BUILT", "b")], REACHED),
        ([("BUILDING", "a"), ("BUILT", "b")], REACHED),
        ([("BUILDING", "a"), ("BUILT", "a")], REACHED),  # the image may have been there before the status
        ([("ACTIVE", ""), ("BUILDING", ""), ("BUILT", "b")], REACHED),
        ([("BUILT", "a"), ("ERROR", "a")], FAILED),
    ],
)
def test_a_new_image(steps: list[tuple[str | None, str]], outcome: Outcome | None) -> None:
    first, last = seen(*steps)
    verdict = judge(last, Awaited.of(["BUILT"], new_image=True), first=first)
    assert (verdict.outcome if verdict else None) == outcome


def test_a_build_that_nothing_confirms_has_failed_after_a_while() -> None:
    first, last = seen(("BUILDING", ""), ("BUILT", ""))
    rules = AlertRules()
    last, _ = ring(last, now=at(30 + rules.build_failed_after_s), context=context())
    for words, outcome in (("BUILT", FAILED), ("BUILDING", FAILED), ("deleted", None)):
        verdict = judge(last, Awaited.of([words]), first=first)
        assert (verdict.outcome if verdict else None) == outcome
    verdict = judge(last, Awaited.of(["BUILT"]), first=first)
    assert verdict is not None
    assert verdict.message == "its build ended without a new product image"


def test_the_reason_is_told() -> None:
    state, _ = history("BUILDING", "ERROR")
    exact = replace(state, reason=Reason(code="WKS.1", message="sysprep failed", exact=True))
    for reason, said in (
        (exact.reason, "it went to ERROR: sysprep failed (WKS.1)"),
        (Reason(code="", message="x", exact=False), "it went to ERROR: likely x"),
        (None, "it went to ERROR"),
    ):
        verdict = judge(replace(state, reason=reason), Awaited.of(["BUILT"]), first=replace(state, status="BUILDING"))
        assert verdict is not None
        assert verdict.message == said
    verdict = judge(state, Awaited.of(["BUILT"]), first=state)
    assert verdict is not None
    assert verdict.message == "it is in ERROR"


def test_what_was_passed_unseen_was_reached() -> None:
    first, last = seen(("ACTIVE", ""), ("BUILT", "a"))
    assert judge(last, Awaited.of(["BUILDING"]), first=first) is None
    verdict = judge(last, Awaited.of(["BUILDING"]), first=first, passed={"BUILDING"})
    assert verdict is not None
    assert verdict.outcome is REACHED


def test_words() -> None:
    awaited = Awaited.of(["built, ERROR,", "Deleted", "Frob,error"])
    assert awaited.words == ("BUILT", "ERROR", "deleted", "Frob")
    assert str(awaited) == "BUILT, ERROR, deleted or Frob"
    assert str(Awaited.of(["built"], new_image=True)) == "BUILT with a new image"
    assert Awaited.of([" , "]).words == ()
