"""`method: token`: an IAM token that somebody else obtains and renews."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from watcher.cloud.auth.base import AuthContext, Credential, SecretText, TokenCredential
from watcher.fields import Secret, SecretOwner


class TokenSettings(SecretOwner):
    """A ready-made IAM token. A file is read at each use, so that a renewed token is picked up."""

    required_secrets: ClassVar[tuple[str, ...]] = ("token",)

    method: Literal["token"] = "token"
    """Send a ready-made IAM token."""
    token: SecretText | None = None
    """The token; it is valid for at most 24 hours, so a file is the better place for it."""
    token_file: Path | None = None
    """A file that holds the token."""

    def authenticator(self, context: AuthContext) -> TokenAuthenticator:  # noqa: ARG002 - the token is all there is to know
        """Build what gives the token."""
        return TokenAuthenticator(self.required_secret("token"))


class TokenAuthenticator:
    """Gives the configured token as it is at the moment."""

    project_id = ""
    iam_endpoint = ""

    def __init__(self, token: Secret) -> None:
        self._token = token
        self._present: TokenCredential | None = None

    async def credential(self) -> TokenCredential:
        token = self._token.reveal()
        if self._present is None or self._present.token != token:
            self._present = TokenCredential(token)
        return self._present

    async def look_again(self) -> TokenCredential:
        return await self.credential()

    async def replace(self, refused: Credential) -> TokenCredential | None:
        present = await self.credential()
        return None if present == refused else present

    async def close(self) -> None:
        pass
