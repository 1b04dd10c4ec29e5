"""Why an instance failed: finding its failed step among the cloud's sub jobs.

A CREATE_SERVER step names the image server itself: an exact match. A CREATE_SERVER_IMAGE step names the *produced
image*, so a failed build is matched by name and by the time window of the build: a likely reason, and told as such.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from watcher.core.model import Instance, InstanceState, Reason, Status, SubJob

CREATE_SERVER = "CREATE_SERVER"
CREATE_SERVER_IMAGE = "CREATE_SERVER_IMAGE"
_ENDED_BADLY = frozenset({"FAILED", "ABNORMAL", "ROLLBACK", "ABORTING"})
_SLACK = timedelta(minutes=5)  # between the cloud's record of a step and our sight of the status


def job_type_for(state: InstanceState | None) -> str:
    """The type of job that was under way when an instance in this state failed."""
    if state is None or state.status in (None, Status.CREATING):
        return CREATE_SERVER
    return CREATE_SERVER_IMAGE


def find_reason(
    sub_jobs: Iterable[SubJob], *, state: InstanceState | None, instance: Instance, now: datetime
) -> Reason | None:
    """The newest failed step that is this instance's, or None when none can be told to be."""
    failed = sorted(
        (job for job in sub_jobs if job.status in _ENDED_BADLY and (job.error_code or job.error_message)),
        key=lambda job: job.end_at or job.begin_at or datetime.min.replace(tzinfo=now.tzinfo),
        reverse=True,
    )
    began = state.since if state is not None else now
    for job in failed:
        if job.resource_id == instance.id:
            return Reason(code=job.error_code, message=job.error_message, exact=True)
    for job in failed:
        if job.job_type == CREATE_SERVER_IMAGE and job.resource_name == instance.name and _since(job, began):
            return Reason(code=job.error_code, message=job.error_message, exact=False)
    return None


def _since(job: SubJob, began: datetime) -> bool:
    ended = job.end_at or job.begin_at
    return ended is not None and ended >= began - _SLACK
