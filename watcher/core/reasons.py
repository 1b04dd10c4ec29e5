"""Why an instance failed: finding its step among the cloud's sub jobs.

A CREATE_SERVER step names the image server itself: an exact match. A CREATE_SERVER_IMAGE step names the *produced
image*: unless that is the image which the instance has now, the step is matched by name and by the time window of the
build: a likely reason, and told as such.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from watcher.core.model import Instance, InstanceState, Reason, Search, Status, SubJob

CREATE_SERVER = "CREATE_SERVER"
CREATE_SERVER_IMAGE = "CREATE_SERVER_IMAGE"
_SUCCESS = "SUCCESS"
_ENDED_BADLY = frozenset({"FAILED", "ABNORMAL", "ROLLBACK", "ABORTING"})
_SLACK = timedelta(minutes=5)  # between the cloud's record of a step and our sight of the status
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What the cloud's jobs say: `reason`, when the job failed, or that it `succeeded`; neither: nothing is known."""

    reason: Reason | None = None
    succeeded: bool = False


NOTHING_FOUND = Finding()


def job_type_for(state: InstanceState | None) -> str:
    """The type of job that was under way when an instance in this state failed."""
    if state is None or state.status in (None, Status.CREATING):
        return CREATE_SERVER
    return CREATE_SERVER_IMAGE


def find(sub_jobs: Iterable[SubJob], *, search: Search, instance: Instance, image_before: str | None = None) -> Finding:
    """What the steps say of an instance that is in ERROR or BUILT; `image_before` is the image of before its build."""
    if instance.status == Status.ERROR:
        return Finding(reason=_find_reason(sub_jobs, search=search, instance=instance))
    steps = _since_image(sub_jobs, image_before)
    exact = [job for job in steps if job.resource_id and job.resource_id in (instance.id, instance.image_id)]
    steps = exact or [job for job in steps if _is_likely(job, search=search, instance=instance)]
    failed = [job for job in steps if job.status in _ENDED_BADLY]
    # Names are not unique, and a step may not be written down yet: only when all agree is it known what they say.
    if not steps or len(failed) not in (0, len(steps)):
        return NOTHING_FOUND
    if failed:
        return Finding(reason=_reason(max(failed, key=_ended_at), exact=bool(exact)))
    return Finding(succeeded=all(job.status == _SUCCESS for job in steps))


def reaches_back(sub_jobs: Iterable[SubJob], *, since: datetime) -> bool:
    """Whether some of the steps are older than what began then, so that still older ones are of no interest."""
    return any(at < since - _SLACK for job in sub_jobs if (at := job.begin_at or job.end_at) is not None)


def _since_image(sub_jobs: Iterable[SubJob], image_before: str | None) -> list[SubJob]:
    """The steps without that which made the image of before, and those before it: they are of earlier builds."""
    jobs = list(sub_jobs)
    ends = [_ended_at(job) for job in jobs if job.resource_id and job.resource_id == image_before]
    return [job for job in jobs if _ended_at(job) > max(ends)] if ends else jobs


def _find_reason(sub_jobs: Iterable[SubJob], *, search: Search, instance: Instance) -> Reason | None:
    """That of the newest failed step that says anything and is this instance's."""
    told = (job for job in sub_jobs if job.status in _ENDED_BADLY and (job.error_code or job.error_message))
    failed = sorted(told, key=_ended_at, reverse=True)
    for job in failed:
        if job.resource_id == instance.id:
            return _reason(job, exact=True)
    for job in failed:
        if _is_likely(job, search=search, instance=instance):
            return _reason(job, exact=False)
    return None


def _reason(job: SubJob, *, exact: bool) -> Reason:
    is_silent = not (job.error_code or job.error_message)
    message = f"the job ended as {job.status} and does not say why" if is_silent else job.error_message
    return Reason(code=job.error_code, message=message, exact=exact)


def _is_likely(job: SubJob, *, search: Search, instance: Instance) -> bool:
    if job.job_type != CREATE_SERVER_IMAGE or job.resource_name != instance.name:
        return False
    ended = job.end_at or job.begin_at
    return ended is not None and ended >= search.since - _SLACK


def _ended_at(job: SubJob) -> datetime:
    return job.end_at or job.begin_at or _LONG_AGO
