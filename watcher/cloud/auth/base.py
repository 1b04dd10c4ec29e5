"""What an authentication method is: its settings, the authenticator they build, and the credentials that one gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Protocol

from pydantic import Field, SecretStr

from watcher.cloud.exchange import Request
from watcher.cloud.signer import SignedHeaders, Signer
from watcher.cloud.transport import Transport
from watcher.core.clock import Clock
from watcher.core.errors import CloudAuthError

JSON = "application/json"

SecretText = Annotated[SecretStr, Field(min_length=1)]
"""A secret written in the configuration itself."""


class Credential(Protocol):
    """Something to authorize requests with. Equal credentials are the same to the cloud; `repr` shows no secret."""

    def headers(self, request: Request, at: datetime) -> dict[str, str]:
        """All headers to send with a request made at this time (aware, UTC), those that were signed included."""
        ...

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must never be shown."""
        ...


@dataclass(frozen=True, slots=True)
class TokenCredential:
    """An IAM token, sent as `X-Auth-Token`."""

    token: str = field(repr=False)

    def __post_init__(self) -> None:
        require_header_text("the token", self.token)

    def headers(self, request: Request, at: datetime) -> dict[str, str]:  # noqa: ARG002 - a token is not dated
        return {"Content-Type": JSON, "Host": request.endpoint.host, "X-Auth-Token": self.token}

    @property
    def secrets(self) -> tuple[str, ...]:
        return (self.token,)


@dataclass(frozen=True, slots=True)
class KeyCredential:
    """An access key; `security_token` is "" unless the key is a temporary one."""

    access_key: str
    secret_key: str = field(repr=False)
    security_token: str = field(default="", repr=False)
    _signer: Signer = field(init=False, repr=False, compare=False)
    _prepared: dict[tuple[str, str], tuple[dict[str, str], SignedHeaders]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        require_header_text("the access key", self.access_key)
        if self.security_token:
            require_header_text("the security token", self.security_token)
        object.__setattr__(self, "_signer", Signer(self.access_key, self.secret_key))

    def headers(self, request: Request, at: datetime) -> dict[str, str]:
        place = request.endpoint.host, request.project_id
        prepared = self._prepared.get(place)
        if prepared is None:
            prepared = self._prepared[place] = self._prepare(*place)
        same, signed = prepared
        date = self._signer.date(at)
        authorization = self._signer.authorization(request.canonical, signed, date, request.body)
        return {**same, "X-Sdk-Date": date, "Authorization": authorization}

    def _prepare(self, host: str, project_id: str) -> tuple[dict[str, str], SignedHeaders]:
        """The headers that all requests to one place have in common, as they are sent and as they are signed."""
        headers = {"Content-Type": JSON, "Host": host}
        if project_id:
            headers["X-Project-Id"] = project_id
        if self.security_token:
            headers["X-Security-Token"] = self.security_token
        return headers, self._signer.signed_headers(headers)

    @property
    def secrets(self) -> tuple[str, ...]:
        return (self.secret_key, self.security_token) if self.security_token else (self.secret_key,)


class Authenticator(Protocol):
    """Gives the credential to use now. Raises a CloudError when there is none to be had.

    A secret's file that cannot be read is raised as the ConfigurationError it is; the caller turns it into a
    CloudAuthError.
    """

    @property
    def project_id(self) -> str:
        """The project the credential came with, or ""; known only after the first `credential`."""
        ...

    @property
    def iam_endpoint(self) -> str:
        """The IAM endpoint the credential came with, or ""; known only after the first `credential`."""
        ...

    async def credential(self) -> Credential:
        """The credential to use now; renewed beforehand where it is about to expire."""
        ...

    async def look_again(self) -> Credential | None:
        """As `credential`, after a refusal: what the secrets as they are now give, or None where finding that out would
        send a refused secret again.
        """
        ...

    async def replace(self, refused: Credential) -> Credential | None:
        """Another credential than the one the cloud has just refused (401), or None when there is no other."""
        ...

    async def close(self) -> None:
        """Stop what is under way."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthContext:
    """What an authenticator may need to know of its source; `project_id`, `iam_endpoint` are "" if not configured."""

    transport: Transport
    clock: Clock
    environment: Mapping[str, str]
    region: str
    project_id: str
    iam_endpoint: str


def require_header_text(what: str, value: str) -> None:
    """Raise CloudAuthError for what a header cannot carry: a line break in it would begin a second header."""
    if not (value and value.isascii() and value.isprintable()):
        raise CloudAuthError(f"{what} is empty or has characters that do not belong in one: is its source damaged?")
