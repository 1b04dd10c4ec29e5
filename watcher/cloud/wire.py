"""What the cloud's answers mean: image servers, pages of them, jobs and their steps.

Lenient where nothing depends on it (unknown fields, numbers for strings, null for ""), strict where something does:
without an id, a readable status or image id, an item is malformed, because believing it could invent a change.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Callable, Mapping
from sys import intern
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import to_json

from watcher.cloud.decode import decode_json, malformed, parse_time
from watcher.cloud.exchange import Answer
from watcher.cloud.text import one_line
from watcher.core.model import Instance, Job, Status, SubJob
from watcher.core.ports import InstancePage

T = TypeVar("T")

_COUNT_MAX = 10**9
_ID_CHARACTERS = 255  # as many as the store keeps
# ASCII alone, because one character beyond it doubles what the text of a record takes in memory.
_encode = json.JSONEncoder(separators=(",", ":"), sort_keys=True, ensure_ascii=True, allow_nan=False).encode


def _text(value: object) -> object:
    """Null is "", an integer its digits; anything else is left to be refused unless it is a string."""
    if value is None:
        return ""
    return str(value) if type(value) is int else value


def _word(value: object) -> object:
    # A number is no status: taking it for an unknown word would tell of a change that did not happen.
    return "" if value is None else value


def _without_nul(value: str) -> str:
    return value.replace("\0", "")  # PostgreSQL cannot store it


def _status(value: str) -> str:
    return Status.NULL.value if value.upper() in ("", Status.NULL) else value


def _object_or_none(value: object) -> object:
    return value if isinstance(value, dict) else None


Text = Annotated[str, BeforeValidator(_text), AfterValidator(_without_nul)]
ShortText = Annotated[Text, AfterValidator(lambda value: value[:_ID_CHARACTERS])]  # what is searched for has an end
Id = Annotated[Text, Field(min_length=1, max_length=_ID_CHARACTERS)]
StatusWord = Annotated[
    str, BeforeValidator(_word), AfterValidator(_without_nul), AfterValidator(_status), Field(max_length=64)
]


class _Wire(BaseModel):
    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)


class _ImageRef(_Wire):
    id: ShortText = ""
    image_type: ShortText = ""


class _ImageServer(_Wire):
    id: Id
    name: Text = ""
    status: StatusWord = Status.NULL.value
    image_id: Text = ""
    update_time: Text = ""
    image_ref: Annotated[_ImageRef | None, BeforeValidator(_object_or_none)] = None


class _Resource(_Wire):
    resource_id: Text = ""
    resource_name: Text = ""


class _Outcome(_Wire):
    error_code: Text = ""
    error_message: Text = ""


class _SubJob(_Wire):
    id: Id
    job_id: Text = ""
    job_type: Text = ""
    status: Text = ""
    begin_time: Text = ""
    end_time: Text = ""
    job_resource_info: Annotated[_Resource | None, BeforeValidator(_object_or_none)] = None
    job_execute_info: Annotated[_Outcome | None, BeforeValidator(_object_or_none)] = None


class _Job(_Wire):
    id: Id
    job_type: Text = ""
    status: Text = ""
    begin_time: Text = ""
    end_time: Text = ""


def parse_instance(answer: Answer, *, asked: str) -> Instance:
    """The image server of a ShowImageServer; raises CloudMalformedError, also when it is another one than asked for."""
    instance = _one(answer, _instance)
    if instance.id != asked:
        raise malformed(answer, f"asked for {asked}, it is of {instance.id}")
    return instance


def parse_instance_page(
    answer: Answer, *, offset: int, known: Mapping[int, Instance]
) -> tuple[InstancePage, array[int]]:
    """A page of ListImageServers, and a mark for each of its items; an item that cannot be read goes to `malformed`.

    A mark is a hash of the item with this process's random key. `known` are instances by the marks of an earlier page:
    an item with such a mark is that one, and not read again.

    A `count` that is no sensible number is replaced by one more than this page proves to exist, so that whoever goes by
    it asks for the next page; an empty page ends that. Raises CloudMalformedError, also when none of several items can
    be read.
    """
    count, items = _page(answer)
    marks = array("q")

    def read(item: object) -> Instance:
        mark = hash(to_json(item))
        instance = known.get(mark) or _instance(item)
        marks.append(mark)
        return instance

    good, bad = _each(items, read)
    if len(bad) > 1 and not good:  # one bad item may be bad itself; where all are, it is the answer that is
        raise malformed(answer, f"none of its {len(bad)} items can be read, such as {bad[0]}")
    if count is None:
        count = offset + len(items) + bool(items)
    return InstancePage(count=count, items=tuple(good), malformed=tuple(bad)), marks


def parse_jobs(answer: Answer) -> list[Job]:
    """The jobs of a ListImageJobs that can be read; raises CloudMalformedError when the page cannot."""
    return _each(_page(answer)[1], _job)[0]


def parse_sub_jobs(answer: Answer) -> list[SubJob]:
    """The steps of a ListImageSubJobs that can be read; raises CloudMalformedError when the page cannot."""
    return _each(_page(answer)[1], _sub_job)[0]


def parse_job(answer: Answer, *, asked: str) -> Job:
    """The job of a ShowImageJob with its steps; raises CloudMalformedError, also when it is another one."""
    job = _one(answer, _job)
    if job.id != asked:
        raise malformed(answer, f"asked for job {asked}, it is of {job.id}")
    return job


def _one(answer: Answer, convert: Callable[[Any], T]) -> T:
    document = decode_json(answer)
    try:
        return convert(document)
    except (ValueError, RecursionError) as error:
        raise malformed(answer, _why(error)) from None


def _each(items: list[object], convert: Callable[[Any], T]) -> tuple[list[T], list[str]]:
    """The items that could be read, and for each other one a line that tells of it."""
    good: list[T] = []
    bad: list[str] = []
    for index, item in enumerate(items):
        try:
            good.append(convert(item))
        except (ValueError, RecursionError) as error:
            known = item.get("id") if isinstance(item, dict) else None
            name = f"id {one_line(str(known), limit=64)}" if isinstance(known, str | int) else "no id"
            bad.append(f"item {index} ({name}): {_why(error)}")
    return good, bad


def _page(answer: Answer) -> tuple[int | None, list[object]]:
    """Count (None: no sensible one) and items. Without items only a count of 0 is believed: `{}` is not "none"."""
    document = decode_json(answer)
    if not isinstance(document, dict):
        raise malformed(answer, "a page is a JSON object")
    count, items = document.get("count"), document.get("items")
    if isinstance(count, str) and count.isascii() and count.isdigit() and len(count) < len(str(_COUNT_MAX)):
        count = int(count)
    sensible = count if type(count) is int and 0 <= count <= _COUNT_MAX else None
    if items is None and sensible == 0:
        items = []
    if not isinstance(items, list):
        raise malformed(answer, "a page has a list of items")
    return sensible, items


def _why(error: ValueError | RecursionError) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        return one_line(f"{'.'.join(map(str, first['loc'])) or 'it'}: {first['msg']}")
    return "it is nested too deeply" if isinstance(error, RecursionError) else "it holds what JSON text cannot"


def _instance(item: object) -> Instance:
    server = _ImageServer.model_validate(item)
    record = _encode(item)
    if "\\ud" in record:  # half of a pair, a lone surrogate, could neither be stored nor sent
        json.dumps(item, ensure_ascii=False).encode()
    ref = server.image_ref
    return Instance(
        id=server.id,
        name=server.name,
        status=intern(server.status),
        image_id=server.image_id,
        updated_at=server.update_time,
        image_source=intern(f"{ref.image_type}:{ref.id}") if ref is not None and (ref.id or ref.image_type) else "",
        record=record,
    )


def _job(item: object) -> Job:
    job = _Job.model_validate(item)
    steps = item.get("sub_jobs") if isinstance(item, dict) else None
    sub_jobs = _each(steps, _sub_job)[0] if isinstance(steps, list) else []
    return Job(
        id=job.id,
        job_type=job.job_type,
        status=job.status,
        begin_at=parse_time(job.begin_time),
        end_at=parse_time(job.end_time),
        sub_jobs=tuple(sub_jobs),
    )


def _sub_job(item: object) -> SubJob:
    step = _SubJob.model_validate(item)
    resource = step.job_resource_info or _Resource()
    outcome = step.job_execute_info or _Outcome()
    return SubJob(
        id=step.id,
        job_id=step.job_id,
        job_type=step.job_type,
        status=step.status,
        resource_id=resource.resource_id,
        resource_name=resource.resource_name,
        begin_at=parse_time(step.begin_time),
        end_at=parse_time(step.end_time),
        error_code=outcome.error_code,
        error_message=outcome.error_message,
    )
