"""How instances and jobs look in the API's answers, key for key as in the vendor's examples."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from watcher.simulator.instances import Instance
from watcher.simulator.jobs import Job, SubJob

Shown = Callable[[datetime], datetime]


def stamp(moment: datetime) -> str:
    """ISO 8601 in UTC with up to three fraction digits; trailing zeros are dropped, as the service does (`…49.61Z`)."""
    # The 23 characters before the offset always end in a fraction of three digits.
    text = moment.astimezone(UTC).isoformat(timespec="milliseconds")[:23]
    return text.rstrip("0").rstrip(".") + "Z"


def instance_json(instance: Instance, shown: Shown) -> dict[str, Any]:
    """The record of ShowImageServer, and an item of ListImageServers. `shown` maps simulated times to those told."""
    return {
        "id": instance.id,
        "name": instance.name,
        "description": instance.description,
        "image_ref": instance.image_ref,
        **instance.related_ids(),
        "image_id": instance.image_id,
        "status": instance.status,
        "authorize_accounts": instance.authorize_accounts,
        "create_time": stamp(shown(instance.created_at)),
        "update_time": stamp(shown(instance.updated_at)),
        "enterprise_project_id": instance.enterprise_project_id,
        **instance.fields,
    }


def job_json(job: Job, shown: Shown) -> dict[str, Any]:
    """An item of ListImageJobs. `end_time` is null until the job has ended."""
    return {
        "id": job.id,
        "job_type": job.type,
        "begin_time": stamp(shown(job.begin)),
        "end_time": None if job.end is None else stamp(shown(job.end)),
        "status": job.status,
        "sub_jobs_total": len(job.subs),
    }


def sub_job_json(sub: SubJob, shown: Shown, *, project_id: str) -> dict[str, Any]:
    """An item of ListImageSubJobs. `job_execute_info` holds "" twice unless the sub job failed."""
    return {
        "id": sub.id,
        "job_type": sub.type,
        "job_resource_info": {"resource_id": sub.resource_id, "resource_name": sub.resource_name},
        "begin_time": stamp(shown(sub.begin)),
        "end_time": None if sub.end is None else stamp(shown(sub.end)),
        "status": sub.status,
        "job_execute_info": {
            "error_code": "" if sub.reason is None else sub.reason.code,
            "error_message": "" if sub.reason is None else sub.reason.message,
        },
        "project_id": project_id,
        "job_id": sub.job_id,
    }
