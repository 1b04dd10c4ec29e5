"""What is asked of IAM: a token for a password, and which project belongs to a region."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from pydantic import BaseModel, ConfigDict, ValidationError

from watcher.cloud.decode import decode_json, malformed, parse_time
from watcher.cloud.exchange import Answer, Endpoint, Request
from watcher.cloud.signer import encode_query
from watcher.core.errors import CloudEndpointError

CREATE_TOKEN = "CreateToken"  # noqa: S105 - an operation's name
LIST_PROJECTS = "ListProjects"


@dataclass(frozen=True, slots=True, kw_only=True)
class IamToken:
    """A token as it was issued; the times are IAM's, None where it gave none; `project_id` is its scope or ""."""

    value: str = field(repr=False)
    issued_at: datetime | None
    expires_at: datetime | None
    project_id: str


class _Wire(BaseModel):
    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)


class _WireProject(_Wire):
    id: str
    name: str = ""


class _WireToken(_Wire):
    issued_at: str | None = None
    expires_at: str | None = None
    project: _WireProject | None = None


class _WireTokenBody(_Wire):
    token: _WireToken


class _WireProjects(_Wire):
    projects: list[_WireProject]


def create_token(*, endpoint: Endpoint, user: str, domain: str, password: str, scope: Mapping[str, str]) -> Request:
    """CreateToken by password; `scope` is `{"id": project}` or `{"name": region}`."""
    who = {"name": user, "password": password, "domain": {"name": domain}}
    identity = {"methods": ["password"], "password": {"user": who}}
    body = json.dumps({"auth": {"identity": identity, "scope": {"project": dict(scope)}}}).encode()
    return Request(endpoint=endpoint, method="POST", path="/v3/auth/tokens", query="nocatalog=true", body=body)


def parse_token(answer: Answer) -> IamToken:
    """The token of a successful CreateToken; raises CloudMalformedError."""
    value = answer.headers.get("X-Subject-Token", "").strip()
    if not value:
        raise malformed(answer, "IAM gave no X-Subject-Token")
    document = decode_json(answer)
    try:
        token = _WireTokenBody.model_validate(document).token
    except ValidationError as error:
        raise malformed(answer, f"IAM's token: {error.errors()[0]['msg']}") from None
    return IamToken(
        value=value,
        issued_at=parse_time(token.issued_at or ""),
        expires_at=parse_time(token.expires_at or ""),
        project_id=token.project.id if token.project else "",
    )


def list_projects(*, endpoint: Endpoint, region: str) -> Request:
    """ListProjects of one region; a region's project has its name."""
    return Request(endpoint=endpoint, path="/v3/projects", query=encode_query([("name", region)]))


def parse_only_project(answer: Answer) -> str:
    """The id of the one project IAM named; raises CloudEndpointError for none or several, or CloudMalformedError."""
    document = decode_json(answer)
    try:
        projects = _WireProjects.model_validate(document).projects
    except ValidationError as error:
        raise malformed(answer, f"IAM's projects: {error.errors()[0]['msg']}") from None
    if len(projects) != 1:
        ids = ", ".join(project.id for project in projects[:5]) or "none"
        raise CloudEndpointError(
            f"project_id is not given, and IAM names {len(projects)} projects for the region ({ids}): give project_id",
            http_status=answer.status,
            request_id=answer.request_id,
        )
    return projects[0].id
