"""The vendor SDK's credentials file, an INI file with the section `[basic]`."""

from __future__ import annotations

import configparser
from collections.abc import Mapping
from pathlib import Path

from watcher.cloud.auth.base import Credential, KeyCredential
from watcher.core.errors import CloudAuthError

FILE_VARIABLE = "HUAWEICLOUD_SDK_CREDENTIALS_FILE"
_SECTION = "basic"


def profile_path(environment: Mapping[str, str]) -> Path | None:
    """Where the SDK looks for the file; None when there is no home directory to look in."""
    if given := environment.get(FILE_VARIABLE):
        return Path(given)
    home = environment.get("HOME") or environment.get("USERPROFILE")
    return Path(home, ".huaweicloud", "credentials") if home else None


class ProfileAuthenticator:
    """Gives the profile's key. The file is read at each use, and parsed when its text has changed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._text: str | None = None
        self._profile: Mapping[str, str] = {}

    @property
    def project_id(self) -> str:
        return self._profile.get("project_id", "")

    @property
    def iam_endpoint(self) -> str:
        return self._profile.get("iam_endpoint", "")

    async def credential(self) -> KeyCredential:
        self._read()
        access_key, secret_key = self._profile.get("ak", ""), self._profile.get("sk", "")
        if not (access_key and secret_key):
            raise CloudAuthError(f"{self._path} has no ak and sk in [{_SECTION}]")
        return KeyCredential(access_key, secret_key, self._profile.get("security_token", ""))

    async def look_again(self) -> KeyCredential:
        return await self.credential()

    async def replace(self, refused: Credential) -> KeyCredential | None:
        present = await self.credential()
        return None if present == refused else present

    async def close(self) -> None:
        pass

    def _read(self) -> None:
        try:
            text = self._path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            raise CloudAuthError(f"{self._path} cannot be read: {why}") from error
        if text == self._text:
            return
        parser = configparser.ConfigParser(interpolation=None)  # keys may contain a percent sign
        try:
            parser.read_string(text)
        except configparser.Error:
            # Without its cause: configparser quotes the offending line, which may be a secret.
            raise CloudAuthError(f"{self._path} is not an INI file") from None
        self._profile = dict(parser.items(_SECTION)) if parser.has_section(_SECTION) else {}
        self._text = text
