"""`method: password`: an IAM token got with a user's password, and renewed before it expires."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from watcher.cloud import iam, regions
from watcher.cloud.auth.base import JSON, AuthContext, Credential, SecretText, TokenCredential
from watcher.cloud.exchange import Answer, Endpoint
from watcher.cloud.failures import failure
from watcher.cloud.flight import SingleFlight
from watcher.cloud.transport import Transport
from watcher.core.clock import Clock
from watcher.core.errors import CloudAuthError, CloudError, CloudPermissionError
from watcher.fields import Secret, SecretOwner

RENEW_BEFORE_S = 30 * 60.0
"""A token is renewed this long before it expires, or at half its life if that is shorter."""

REFUSAL_PAUSE_S = 6 * 60.0
"""A refused password is not tried again for this long: the cloud locks accounts, for 5 minutes or more."""

_FAILURE_PAUSE_S = 60.0
_LIFE_UNKNOWN_S = 3600.0
_LIFE_MIN_S = 60.0


class PasswordSettings(SecretOwner):
    """An IAM user's password. A file is read at each use, so that a changed password is picked up."""

    required_secrets: ClassVar[tuple[str, ...]] = ("password",)

    method: Literal["password"] = "password"
    """Obtain IAM tokens with a user's password."""
    user: Annotated[str, Field(min_length=1)]
    """The IAM user's name."""
    domain: Annotated[str, Field(min_length=1)]
    """The name of the account (domain) the user belongs to."""
    password: SecretText | None = None
    """The IAM user's password."""
    password_file: Path | None = None
    """A file that holds the password."""

    def authenticator(self, context: AuthContext) -> PasswordAuthenticator:
        """Build what logs in; raises ConfigurationError when it is not known where IAM is."""
        url = context.iam_endpoint or regions.iam_endpoint(context.region, context.environment)
        return PasswordAuthenticator(
            transport=context.transport,
            clock=context.clock,
            endpoint=Endpoint.parse(url),
            user=self.user,
            domain=self.domain,
            password=self.required_secret("password"),
            scope={"id": context.project_id} if context.project_id else {"name": context.region},
        )


@dataclass(frozen=True, slots=True)
class _Held:
    """A token in use; the times are monotonic seconds."""

    credential: TokenCredential
    password: str = field(repr=False)
    renew_at: float
    expires_at: float


@dataclass(frozen=True, slots=True)
class _Refusal:
    """That IAM refused this password, and until when (monotonic seconds) it is not tried again."""

    password: str = field(repr=False)
    until: float
    error: CloudError


class PasswordAuthenticator:
    """Holds one token. One login is under way at a time; the old token stays in use until the new one is there.

    A token's life is taken from IAM's own two times and counted on the monotonic clock, so that a wrong wall clock
    neither keeps a dead token nor asks for a new one at every request.
    """

    iam_endpoint = ""

    def __init__(
        self,
        *,
        transport: Transport,
        clock: Clock,
        endpoint: Endpoint,
        user: str,
        domain: str,
        password: Secret,
        scope: dict[str, str],
    ) -> None:
        self._transport = transport
        self._clock = clock
        self._endpoint = endpoint
        self._user = user
        self._domain = domain
        self._password = password
        self._scope = scope
        self._login = SingleFlight(self._log_in)
        self._held: _Held | None = None
        self._refusal: _Refusal | None = None
        self._pause_until = 0.0
        self._project_id = ""

    @property
    def project_id(self) -> str:
        return self._project_id

    async def credential(self) -> TokenCredential:
        held = self._held
        now = self._clock.monotonic()
        if held is None or now >= held.expires_at:
            return (await self._login.run()).credential
        if now >= held.renew_at and now >= self._pause_until:
            self._login.start()
        return held.credential

    async def look_again(self) -> TokenCredential | None:
        password = self._password.reveal()
        if self._refusal is not None and self._refusal.password == password:
            return None
        if self._clock.monotonic() < self._pause_until:
            return None  # IAM is unwell
        if self._held is not None and self._held.password != password:
            self._held = None  # it was refused, and what it was got with is no longer what is configured
        return await self.credential()

    async def replace(self, refused: Credential) -> TokenCredential | None:
        if self._held is not None and self._held.credential == refused:
            self._held = None  # a token may die early: its user's password or permissions were changed
        present = await self.credential()
        return None if present == refused else present

    async def close(self) -> None:
        await self._login.close()

    async def _log_in(self) -> _Held:
        password = self._password.reveal()
        self._respect_refusal(password)
        try:
            token = await self._create_token(password)
        except (CloudAuthError, CloudPermissionError) as error:
            self._refusal = _Refusal(password, self._clock.monotonic() + REFUSAL_PAUSE_S, error)
            raise
        except CloudError:
            self._pause_until = self._clock.monotonic() + _FAILURE_PAUSE_S
            raise
        self._refusal = None
        self._project_id = token.project_id
        self._held = self._hold(token, password)
        return self._held

    async def _create_token(self, password: str) -> iam.IamToken:
        def read(answer: Answer) -> iam.IamToken:
            if answer.status not in range(200, 300):
                raise failure(answer, now=self._clock.now(), secrets=(password,))
            return iam.parse_token(answer)

        request = iam.create_token(
            endpoint=self._endpoint, user=self._user, domain=self._domain, password=password, scope=self._scope
        )
        headers = {"Content-Type": JSON, "Host": self._endpoint.host}
        return await self._transport.exchange(request, headers, read, operation=iam.CREATE_TOKEN)

    def _hold(self, token: iam.IamToken, password: str) -> _Held:
        life_s = _LIFE_UNKNOWN_S
        if token.expires_at is not None:
            life_s = (token.expires_at - (token.issued_at or self._clock.now())).total_seconds()
        life_s = max(life_s, _LIFE_MIN_S)
        now = self._clock.monotonic()
        return _Held(
            TokenCredential(token.value), password, now + max(life_s - RENEW_BEFORE_S, life_s / 2), now + life_s
        )

    def _respect_refusal(self, password: str) -> None:
        """Raise again what IAM said to this very password, until the pause is over."""
        refusal = self._refusal
        if refusal is None or refusal.password != password:
            return
        left_s = refusal.until - self._clock.monotonic()
        if left_s > 0:
            error = refusal.error
            raise type(error)(
                f"{error.args[0]}; the same password is not tried again for "
                f"{timedelta(seconds=round(left_s))} (h:mm:ss)",
                http_status=error.http_status,
                code=error.code,
                request_id=error.request_id,
                retry_after_s=left_s,
            ) from error
