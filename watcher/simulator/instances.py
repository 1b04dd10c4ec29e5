"""The record of one instance."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any, TypedDict

from watcher.simulator.lifecycle import Status


@cache  # one for a hundred thousand instances
def default_image_ref() -> Mapping[str, Any]:
    """The source image of an instance nobody gave one."""
    return {
        "id": "b1e2c7d0-3f6a-4d15-9c41-5a0f2f6f9e11",
        "image_type": "gold",
        "spce_code": "78b3e72878a81a9b3bfd2b3c912c0f58",
        "product_id": "00301-1238008-0--0",
    }


@cache
def default_accounts() -> tuple[Mapping[str, Any], ...]:
    """The authorized accounts of an instance nobody gave any."""
    return ({"account": "li.wei@corp.example.com", "account_type": "USER", "domain": "corp.example.com"},)


@cache
def no_fields() -> Mapping[str, Any]:
    """The overrides of an instance that has none."""
    return {}


class Attributes(TypedDict, total=False):
    """The parts of a record that the life cycle does not touch."""

    description: str
    enterprise_project_id: str
    image_ref: Mapping[str, Any]
    authorize_accounts: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Instance:
    """One image instance at one moment of simulated time.

    `status` may be any word, or None for JSON null. `image_id` is the product image, "" until there is one. `job_id`
    names the last job started for it. `generation` grows with every change: what was planned for an earlier
    generation no longer applies. `fields` are put over the record as they are, to imitate odd answers.
    """

    id: str
    name: str
    status: str | None
    created_at: datetime
    updated_at: datetime
    image_id: str = ""
    description: str = ""
    enterprise_project_id: str = "0"
    image_ref: Mapping[str, Any] = field(default_factory=default_image_ref)
    authorize_accounts: tuple[Mapping[str, Any], ...] = field(default_factory=default_accounts)
    job_id: str = ""
    generation: int = 0
    fields: Mapping[str, Any] = field(default_factory=no_fields)

    def related_ids(self) -> dict[str, str]:
        """server_group_id, app_group_id, server_id and instance_id: "" while CREATING, then fixed by the id.

        Derived at each reading rather than kept: a hundred thousand instances stay small.
        """
        if self.status == Status.CREATING:
            return {"server_group_id": "", "app_group_id": "", "server_id": "", "instance_id": ""}
        digest = hashlib.blake2b(self.id.encode()).hexdigest()
        return {
            "server_group_id": digest[:32],
            "app_group_id": digest[32:64],
            "server_id": as_uuid(digest[64:96]),
            "instance_id": as_uuid(digest[96:]),
        }


def as_uuid(digits: str) -> str:
    """Writes 32 hexadecimal digits the way a UUID is written."""
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:32]}"
