"""The jobs behind create, build and delete, with one sub job for each resource."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from watcher.simulator.lifecycle import Reason

JobType = Literal["CREATE_SERVER", "CREATE_SERVER_IMAGE", "DELETE_SERVER"]


@dataclass(slots=True)
class SubJob:
    """The part of a job that concerns one resource; times are simulated."""

    id: str
    job_id: str
    type: JobType
    resource_id: str
    resource_name: str
    begin: datetime
    end: datetime | None = None
    status: str = "RUNNING"
    reason: Reason | None = None


@dataclass(slots=True)
class Job:
    """RUNNING until its last sub job has ended, then SUCCESS, or FAILED if one of them failed; times are simulated."""

    id: str
    type: JobType
    begin: datetime
    end: datetime | None = None
    status: str = "RUNNING"
    subs: list[SubJob] = field(default_factory=list)


class JobBook:
    """The jobs in the order of their start: the last `keep`, and those that have not ended."""

    def __init__(self, *, keep: int = 1000) -> None:
        self.keep = keep
        self._started = self._parts = 0
        self._jobs: dict[str, Job] = {}
        self._subs: dict[str, SubJob] = {}

    def start(self, job_type: JobType, resources: Sequence[tuple[str, str]], *, at: datetime) -> Job:
        """Opens a job with a sub job for each `(resource_id, resource_name)`."""
        self._started += 1
        job = Job(id=f"ff8080828f{self._started:022x}", type=job_type, begin=at)
        for resource_id, resource_name in resources:
            self._parts += 1
            sub_id = f"ff8080829a{self._parts:022x}"
            sub = SubJob(sub_id, job.id, job_type, resource_id, resource_name, begin=at)
            self._subs[sub_id] = sub
            job.subs.append(sub)
        self._jobs[job.id] = job
        self._forget()
        return job

    def _forget(self) -> None:
        surplus = len(self._jobs) - self.keep
        if surplus <= 0:
            return
        for job in [job for job in list(self._jobs.values())[:surplus] if job.end is not None]:
            del self._jobs[job.id]
            for sub in job.subs:
                del self._subs[sub.id]

    def finish(self, sub: SubJob, *, at: datetime, reason: Reason | None = None) -> None:
        """Ends a sub job, with a `reason` as failed; the last one ends its job."""
        sub.end, sub.reason = at, reason
        sub.status = "SUCCESS" if reason is None else "FAILED"
        job = self._jobs[sub.job_id]
        if all(each.end is not None for each in job.subs):
            job.end = at
            job.status = "FAILED" if any(each.status == "FAILED" for each in job.subs) else "SUCCESS"

    def get(self, job_id: str) -> Job | None:
        """The job of that id, or None."""
        return self._jobs.get(job_id)

    def jobs(self, job_type: str, *, status: str | None = None) -> list[Job]:
        """The jobs of one type, newest first."""
        return [
            job for job in reversed(self._jobs.values()) if job.type == job_type and status in (None, "", job.status)
        ]

    def sub_jobs(self, job_type: str, *, status: str | None = None, job_id: str | None = None) -> list[SubJob]:
        """The sub jobs of one type, newest first."""
        return [
            sub
            for sub in reversed(self._subs.values())
            if sub.type == job_type and status in (None, "", sub.status) and job_id in (None, "", sub.job_id)
        ]
