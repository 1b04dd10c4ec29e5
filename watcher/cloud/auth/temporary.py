"""Temporary access keys: what they look like on the wire, and when to get the next."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError

from watcher.cloud.auth.base import Credential, KeyCredential
from watcher.cloud.decode import decode_json, malformed, parse_time
from watcher.cloud.exchange import Answer
from watcher.cloud.flight import SingleFlight
from watcher.core.clock import Clock
from watcher.core.errors import CloudError

REFRESH_BEFORE_S = 40 * 60.0
"""A key is refreshed when less than this is left of it, as the vendor's SDK does."""

_REFRESH_PAUSE_S = 60.0


@dataclass(frozen=True, slots=True)
class TemporaryKey:
    """A key and when it expires; None when that is not known."""

    credential: KeyCredential
    expires_at: datetime | None


class _WireKey(BaseModel):
    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    access: str = Field(validation_alias=AliasChoices("access", "accessKeyId", "access_key_id"))
    secret: str = Field(validation_alias=AliasChoices("secret", "secretAccessKey", "secret_access_key"))
    security_token: str = Field(
        "", validation_alias=AliasChoices("securitytoken", "securityToken", "security_token", "sessionToken")
    )
    expires_at: str | None = Field(None, validation_alias=AliasChoices("expires_at", "expiration"))


def parse_temporary_key(answer: Answer) -> TemporaryKey:
    """The key in an answer of the ECS metadata service or the CCE pod endpoint; raises CloudMalformedError."""
    document = decode_json(answer)
    if isinstance(document, dict):
        document = document.get("credential") or document.get("credentials") or document
    try:
        key = _WireKey.model_validate(document)
    except ValidationError as error:
        raise malformed(answer, f"the temporary key: {error.errors()[0]['msg']}") from None
    credential = KeyCredential(key.access, key.secret, key.security_token)
    return TemporaryKey(credential, parse_time(key.expires_at or ""))


class TemporaryKeys:
    """Holds one key and refreshes it in time. One refresh is under way at a time; a key is used until it expires."""

    iam_endpoint = ""

    def __init__(self, *, fetch: Callable[[], Awaitable[TemporaryKey]], clock: Clock, project_id: str = "") -> None:
        self._fetch = fetch
        self._clock = clock
        self.project_id = project_id
        self._refresh = SingleFlight(self._get)
        self._held: TemporaryKey | None = None
        self._pause_until = 0.0

    async def credential(self) -> KeyCredential:
        held = self._held
        left_s = self._left_s(held)
        if held is None or left_s <= 0:
            return (await self._refresh.run()).credential
        if left_s < REFRESH_BEFORE_S and self._clock.monotonic() >= self._pause_until:
            self._refresh.start()
        return held.credential

    async def look_again(self) -> KeyCredential:
        return await self.credential()

    async def replace(self, refused: Credential) -> KeyCredential | None:
        if self._held is not None and self._held.credential == refused:
            self._held = None
        present = await self.credential()
        return None if present == refused else present

    async def close(self) -> None:
        await self._refresh.close()

    def _left_s(self, held: TemporaryKey | None) -> float:
        if held is None:
            return 0.0
        if held.expires_at is None:
            return REFRESH_BEFORE_S  # no more is known than that it works: `replace` tells when it does not
        return (held.expires_at - self._clock.now()).total_seconds()

    async def _get(self) -> TemporaryKey:
        try:
            self._held = await self._fetch()
        except CloudError:
            held = self._held
            if held is None or self._left_s(held) <= 0:
                raise
            return held
        finally:
            self._pause_until = self._clock.monotonic() + _REFRESH_PAUSE_S
        return self._held
