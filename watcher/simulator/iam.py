"""IAM: tokens for passwords, and the projects of the account."""

import hmac
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from aiohttp import web
from pydantic import BaseModel, ValidationError

from watcher.simulator.access import Lockout, Now, Tokens
from watcher.simulator.credentials import Credentials
from watcher.simulator.errors import ApiError


class _Domain(BaseModel):
    name: str


class _User(BaseModel):
    name: str
    password: str
    domain: _Domain


class _Password(BaseModel):
    user: _User


class _Identity(BaseModel):
    methods: list[Literal["password"]]
    password: _Password


class _Project(BaseModel):
    id: str | None = None
    name: str | None = None


class _Scope(BaseModel):
    project: _Project


class _Auth(BaseModel):
    identity: _Identity
    scope: _Scope


class TokenBody(BaseModel):
    """Body of KeystoneCreateUserTokenByPassword."""

    auth: _Auth


class Iam:
    """Handlers of the IAM operations. More than five wrong passwords lock the user for 15 minutes of *real* time."""

    def __init__(self, *, now: Now, tokens: Tokens, credentials: Credentials) -> None:
        self._now = now
        self._tokens = tokens
        self._credentials = credentials
        self._lockout = Lockout(now=now, window=timedelta(minutes=15))

    def routes(self) -> list[web.RouteDef]:
        """The routes, each named after its operation."""
        return [
            web.post("/v3/auth/tokens", self.create_token, name="KeystoneCreateUserTokenByPassword"),
            web.get("/v3/projects", self.list_projects, name="KeystoneListProjects", allow_head=False),
        ]

    async def create_token(self, request: web.Request) -> web.Response:
        """201 with the token in X-Subject-Token and its end in `token.expires_at`."""
        try:
            auth = TokenBody.model_validate_json(await request.read()).auth
        except ValidationError as problem:
            where = ".".join(str(part) for part in problem.errors()[0]["loc"]) or "body"
            raise ApiError(400, "IAM", f"Expecting to find valid {where} in the request body.") from None
        self._check_password(auth.identity.password.user)
        self._check_scope(auth.scope.project)
        token, expires_at = self._tokens.issue()
        return web.json_response(
            {"token": self._token_json(expires_at)}, status=201, headers={"X-Subject-Token": token}
        )

    async def list_projects(self, request: web.Request) -> web.Response:
        """The account's only project, unless `name` says another."""
        name = request.query.get("name")
        known = self._credentials
        project = {
            "id": known.project_id,
            "name": known.region,
            "domain_id": known.domain_id,
            "parent_id": known.domain_id,
            "is_domain": False,
            "enabled": True,
            "description": "",
        }
        return web.json_response({"projects": [project] if name in (None, known.region) else [], "links": {}})

    def _check_password(self, user: _User) -> None:
        known = self._credentials
        if self._lockout.locked(user.name):
            raise ApiError(401, "IAM", "The account is locked after too many failed logins.")
        right_password = hmac.compare_digest(user.password.encode(), known.password.encode())
        if (user.name, user.domain.name) != (known.user, known.domain) or not right_password:
            self._lockout.failed(user.name)
            raise ApiError(401, "IAM", "The username or password is wrong.")
        self._lockout.succeeded(user.name)

    def _check_scope(self, project: _Project) -> None:
        known = self._credentials
        named = known.project_id if project.id is not None else known.region
        if (project.id or project.name) != named:
            raise ApiError(401, "IAM", "The project of the scope does not exist or is not yours.")

    def _token_json(self, expires_at: datetime) -> dict[str, Any]:
        known = self._credentials
        domain = {"id": known.domain_id, "name": known.domain}
        return {
            "expires_at": expires_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "issued_at": self._now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "methods": ["password"],
            "project": {"id": known.project_id, "name": known.region, "domain": domain},
            "user": {"name": known.user, "domain": domain},
            "roles": [],
        }
