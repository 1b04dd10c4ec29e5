"""`method: aksk`: every request is signed with an access key, permanent or temporary."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from watcher.cloud.auth.base import AuthContext, Credential, KeyCredential, SecretText
from watcher.fields import Secret, SecretOwner


class AkskSettings(SecretOwner):
    """An access key. Files are read at each use, so that a rotated key is picked up."""

    required_secrets: ClassVar[tuple[str, ...]] = ("access_key", "secret_key")

    method: Literal["aksk"] = "aksk"
    """Sign every request with an access key."""
    access_key: SecretText | None = None
    """The access key's id (AK)."""
    access_key_file: Path | None = None
    """A file that holds the access key's id."""
    secret_key: SecretText | None = None
    """The secret access key (SK)."""
    secret_key_file: Path | None = None
    """A file that holds the secret access key."""
    security_token: SecretText | None = None
    """The security token that belongs to a temporary access key."""
    security_token_file: Path | None = None
    """A file that holds the security token of a temporary access key."""

    def authenticator(self, context: AuthContext) -> AkskAuthenticator:  # noqa: ARG002 - the key is all there is to know
        """Build what gives the key."""
        return AkskAuthenticator(
            access_key=self.required_secret("access_key"),
            secret_key=self.required_secret("secret_key"),
            security_token=self.optional_secret("security_token"),
        )


class AkskAuthenticator:
    """Gives the configured key as it is at the moment."""

    iam_endpoint = ""

    def __init__(
        self, *, access_key: Secret, secret_key: Secret, security_token: Secret | None, project_id: str = ""
    ) -> None:
        self.project_id = project_id
        self._access_key = access_key
        self._secret_key = secret_key
        self._security_token = security_token
        self._present: KeyCredential | None = None

    async def credential(self) -> KeyCredential:
        access_key, secret_key = self._access_key.reveal(), self._secret_key.reveal()
        security_token = self._security_token.reveal() if self._security_token else ""
        present = self._present
        if present is None or (access_key, secret_key, security_token) != (
            present.access_key,
            present.secret_key,
            present.security_token,
        ):
            present = self._present = KeyCredential(access_key, secret_key, security_token)
        return present

    async def look_again(self) -> KeyCredential:
        return await self.credential()

    async def replace(self, refused: Credential) -> KeyCredential | None:
        present = await self.credential()
        return None if present == refused else present

    async def close(self) -> None:
        pass
