"""`method: auto`: finds a credential where the vendor's SDK does, in its order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal

from watcher.cloud.auth.aksk import AkskAuthenticator
from watcher.cloud.auth.base import AuthContext, Authenticator, Credential
from watcher.cloud.auth.metadata import DEFAULT_METADATA_URL, MetadataSettings
from watcher.cloud.auth.pod import TOKEN_FILE_VARIABLE, URI_VARIABLE, PodIdentity
from watcher.cloud.auth.profile import ProfileAuthenticator, profile_path
from watcher.cloud.auth.temporary import TemporaryKeys
from watcher.cloud.flight import SingleFlight
from watcher.core.errors import CloudAuthError, CloudError, ConfigurationError
from watcher.fields import HttpUrl, Secret, Section

AK_VARIABLE = "HUAWEICLOUD_SDK_AK"
SK_VARIABLE = "HUAWEICLOUD_SDK_SK"
SECURITY_TOKEN_VARIABLE = "HUAWEICLOUD_SDK_SECURITY_TOKEN"  # noqa: S105 - a variable's name
PROJECT_ID_VARIABLE = "HUAWEICLOUD_SDK_PROJECT_ID"

Link = tuple[str, Callable[[], Authenticator | str]]
"""A place to look in: its name, and what gives an authenticator or says why there is none."""


class AutoSettings(Section):
    """Look for a credential where the vendor's SDK does: environment, profile, CCE pod, ECS metadata."""

    method: Literal["auto"] = "auto"
    """Look for a credential where the vendor's SDK does."""
    credentials_file: Path | None = None
    """The profile to read; default: HUAWEICLOUD_SDK_CREDENTIALS_FILE, else ~/.huaweicloud/credentials."""
    metadata_url: HttpUrl = DEFAULT_METADATA_URL
    """The ECS metadata service's base URL; it is asked only when nothing else gave a credential."""

    def authenticator(self, context: AuthContext) -> AutoAuthenticator:
        """Build what looks."""
        environment = context.environment
        path = self.credentials_file or profile_path(environment)
        links: list[Link] = [
            ("environment", lambda: _environment_key(environment)),
            ("profile", lambda: ProfileAuthenticator(path) if path else "there is no home directory"),
            ("CCE pod", lambda: _pod_identity(context)),
            ("ECS metadata", lambda: MetadataSettings(metadata_url=self.metadata_url).authenticator(context)),
        ]
        return AutoAuthenticator(links, project_id=environment.get(PROJECT_ID_VARIABLE, ""))


class AutoAuthenticator:
    """Takes the first place that gives a credential and stays with it; looks again at the next use if none does.

    HUAWEICLOUD_SDK_DOMAIN_ID is not read: it belongs to the SDK's credentials for global services.
    """

    def __init__(self, links: Sequence[Link], *, project_id: str) -> None:
        self._links = links
        self._project_id = project_id
        self._search = SingleFlight(self._find)
        self._found: Authenticator | None = None

    @property
    def project_id(self) -> str:
        return (self._found.project_id if self._found else "") or self._project_id

    @property
    def iam_endpoint(self) -> str:
        return self._found.iam_endpoint if self._found else ""

    async def credential(self) -> Credential:
        found = self._found or await self._search.run()
        return await found.credential()

    async def look_again(self) -> Credential | None:
        found = self._found or await self._search.run()
        return await found.look_again()

    async def replace(self, refused: Credential) -> Credential | None:
        return await self._found.replace(refused) if self._found else None

    async def close(self) -> None:
        await self._search.close()
        if self._found is not None:
            await self._found.close()

    async def _find(self) -> Authenticator:
        tried: list[str] = []
        for name, build in self._links:
            candidate = build()
            if isinstance(candidate, str):
                tried.append(f"{name} ({candidate})")
                continue
            try:
                await candidate.credential()
            except (CloudError, ConfigurationError) as error:
                tried.append(f"{name} ({error})")
            else:
                self._found = candidate
                return candidate
        raise CloudAuthError(
            f"no credential was found; tried {', '.join(tried)}. Set {AK_VARIABLE} and {SK_VARIABLE}, "
            "or choose another auth.method"
        )


def _environment_key(environment: Mapping[str, str]) -> Authenticator | str:
    missing = [name for name in (AK_VARIABLE, SK_VARIABLE) if not environment.get(name)]
    if missing:
        return f"{' and '.join(missing)} not set"
    security_token = environment.get(SECURITY_TOKEN_VARIABLE)
    return AkskAuthenticator(
        access_key=Secret(value=environment[AK_VARIABLE]),
        secret_key=Secret(value=environment[SK_VARIABLE]),
        security_token=Secret(value=security_token) if security_token else None,
    )


def _pod_identity(context: AuthContext) -> Authenticator | str:
    missing = [name for name in (URI_VARIABLE, TOKEN_FILE_VARIABLE) if not context.environment.get(name)]
    if missing:
        return f"{' and '.join(missing)} not set"
    token = Secret(path=Path(context.environment[TOKEN_FILE_VARIABLE]))
    uri = context.environment[URI_VARIABLE]
    if not uri.startswith(("http://", "https://")):
        return f"{URI_VARIABLE} is not a URL"
    pod = PodIdentity(transport=context.transport, clock=context.clock, uri=uri, token=token)
    return TemporaryKeys(fetch=pod.fetch, clock=context.clock)
