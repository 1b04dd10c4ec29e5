from __future__ import annotations

from typing import Any

from tests.fakes.values import KEY, at, history, instance
from watcher.core.model import Reason, SubJob
from watcher.core.reasons import CREATE_SERVER, CREATE_SERVER_IMAGE, find_reason, job_type_for

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


def test_a_step_that_names_the_server_is_exact() -> None:
    named = step(job_type=CREATE_SERVER, resource_id=KEY.id, error_message="no capacity")
    assert find_reason([step(), named], state=None, instance=FAILED, now=at(610)) == Reason(
        code="WKS.0017", message="no capacity", exact=True
    )


def test_a_failed_build_in_the_time_window_is_likely() -> None:
    found = find_reason([step()], state=BUILDING, instance=FAILED, now=at(610))
    assert found == Reason(code="WKS.0017", message="sysprep failed", exact=False)


def test_the_newest_of_several() -> None:
    older = step(end_at=at(300), error_message="older")
    found = find_reason([older, step()], state=BUILDING, instance=FAILED, now=at(610))
    assert found is not None
    assert found.message == "sysprep failed"


def test_what_is_not_the_reason() -> None:
    others = [
        step(status="SUCCESS"),
        step(error_code="", error_message=""),
        step(resource_name="another"),
        step(end_at=at(-3600), begin_at=at(-4000)),
        step(end_at=None, begin_at=None),
    ]
    assert find_reason(others, state=BUILDING, instance=FAILED, now=at(610)) is None
