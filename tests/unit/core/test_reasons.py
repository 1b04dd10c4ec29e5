from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.fakes.values import KEY, at, history, instance
from watcher.core.model import Reason, Search, SubJob
from watcher.core.reasons import (
    CREATE_SERVER,
    CREATE_SERVER_IMAGE,
    NOTHING_FOUND,
    Finding,
    find,
    job_type_for,
    reaches_back,
)

FAILED = instance("ERROR")
BUILDING, _ = history("BUILDING")


def step(**changes: Any) -> SubJob:
    given: dict[str, Any] = {
        "id": "sub-1",
        "job_id": "job-1",
        "job_type": CREATE_SERVER_IMAGE,
        "status": "FAILED",
        "resource_id": "image-9",
        "resource_name": FAILED.name,
        "begin_at": at(0),
        "end_at": at(600),
        "error_code": "WKS.0017",
        "error_message": "sysprep failed",
    }
    return SubJob(**{**given, **changes})


def test_which_job_was_under_way() -> None:
    assert job_type_for(None) == CREATE_SERVER
    assert job_type_for(history("CREATING")[0]) == CREATE_SERVER
    assert job_type_for(BUILDING) == CREATE_SERVER_IMAGE


SEARCH = Search(job_type=CREATE_SERVER_IMAGE, since=at(0))


def reason_of(*steps: SubJob, status: str = "ERROR", image_id: str = "", before: str | None = None) -> Reason | None:
    seen = instance(status, image_id=image_id)
    return find(steps, search=SEARCH, instance=seen, image_before=before).reason


def test_a_step_that_names_the_server_is_exact() -> None:
    named = step(job_type=CREATE_SERVER, resource_id=KEY.id, error_message="no capacity")
    assert reason_of(step(), named) == Reason(code="WKS.0017", message="no capacity", exact=True)


def test_a_failed_build_in_the_time_window_is_likely() -> None:
    assert reason_of(step()) == LIKELY


def test_the_newest_of_several() -> None:
    older = step(end_at=at(300), error_message="older")
    for status in ("ERROR", "BUILT"):
        assert reason_of(older, step(), status=status) == LIKELY


def test_what_is_not_the_reason() -> None:
    others = [
        step(status="SUCCESS"),
        step(error_code="", error_message=""),
        step(resource_name="another"),
        step(end_at=at(-3600), begin_at=at(-4000)),
        step(end_at=None, begin_at=None),
    ]
    assert reason_of(*others) is None


LIKELY = Reason(code="WKS.0017", message="sysprep failed", exact=False)
SUCCEEDED = Finding(succeeded=True)
GOOD = {"status": "SUCCESS", "error_code": "", "error_message": ""}


@pytest.mark.parametrize(
    ("steps", "image_id", "found"),
    [
        ([], "", NOTHING_FOUND),
        ([step()], "", Finding(reason=LIKELY)),
        ([step()], "img-1", Finding(reason=LIKELY)),
        ([step(resource_id="")], "img-1", Finding(reason=LIKELY)),
        ([step(status="ABNORMAL"), step(status="ROLLBACK")], "img-1", Finding(reason=LIKELY)),
        ([step(**GOOD)], "", SUCCEEDED),
        ([step(status="RUNNING")], "", NOTHING_FOUND),
        ([step(status="A_WORD_OF_TOMORROW")], "", NOTHING_FOUND),
        # Names are not unique, and the step of the build before may be a little younger than it should be.
        ([step(), step(**GOOD)], "", NOTHING_FOUND),
        ([step(), step(status="RUNNING")], "", NOTHING_FOUND),
        ([step(**GOOD), step(status="WAITING")], "", NOTHING_FOUND),
        ([step(resource_id="img-1", end_at=at(300), **GOOD), step()], "img-1", Finding(reason=LIKELY)),
        ([step(resource_id="img-1", **GOOD), step(end_at=at(300))], "img-1", NOTHING_FOUND),
        ([step(resource_id="img-1", **GOOD), step(resource_id="img-0", end_at=at(300), **GOOD)], "", NOTHING_FOUND),
        ([step(resource_id="img-1", **GOOD)], "img-1", NOTHING_FOUND),  # that is the build before
        ([step(resource_id="img-1", **GOOD)], "", NOTHING_FOUND),
        # The image that it has now: exact, whatever others of its name say.
        ([step(resource_id="img-2", **GOOD), step()], "img-2", SUCCEEDED),
        ([step(resource_id="img-2"), step(**GOOD)], "img-2", Finding(reason=replace(LIKELY, exact=True))),
        ([step(resource_name="another")], "", NOTHING_FOUND),
        ([step(begin_at=at(-4000), end_at=at(-3600))], "", NOTHING_FOUND),
        ([step(begin_at=at(-4000), end_at=None)], "", NOTHING_FOUND),
    ],
)
def test_what_steps_say_of_a_build_that_ended_in_built(steps: list[SubJob], image_id: str, found: Finding) -> None:
    assert find(steps, search=SEARCH, instance=instance("BUILT", image_id=image_id), image_before="img-1") == found


def test_a_job_that_failed_without_a_word_failed_all_the_same() -> None:
    reason = reason_of(step(error_code="", error_message=""), status="BUILT")
    assert reason == Reason(code="", message="the job ended as FAILED and does not say why", exact=False)


def test_how_far_back_steps_reach() -> None:
    assert not reaches_back([step(begin_at=at(-200)), step(begin_at=None, end_at=None)], since=at(0))
    assert reaches_back([step(), step(begin_at=at(-301))], since=at(0))
