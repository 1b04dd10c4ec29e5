"""How a source is reached: the part of the configuration that this room understands."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr
from yarl import URL

from watcher.cloud.auth import AuthSettings
from watcher.cloud.auth.auto import AutoSettings
from watcher.fields import HttpUrl, SecretOwner, Section


def _check_base_url(url: HttpUrl) -> HttpUrl:
    if url.username or url.password:
        raise ValueError("credentials do not belong in this URL: see auth")
    if url.query or url.fragment:
        raise ValueError("a base URL has no query and no fragment")
    return url


def _check_proxy_url(url: SecretStr) -> SecretStr:
    try:
        parsed = URL(url.get_secret_value())
    except ValueError:
        raise ValueError("not a URL") from None
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise ValueError("not an http:// or https:// URL")
    return url


BaseUrl = Annotated[HttpUrl, AfterValidator(_check_base_url)]


class TlsSettings(Section):
    """How it is made sure that the other side is the cloud."""

    ca_file: Path | None = None
    """A PEM file of the authorities to trust, instead of the machine's own."""
    insecure_skip_verify: bool = False
    """Do not check the certificate at all: anyone on the way can read and change everything."""


class ConnectionSettings(SecretOwner):
    """One cloud project in one region, and the credential to reach it with."""

    region: str = ""
    """The region, such as ap-southeast-3; needed unless `endpoint` and `project_id` are given."""
    project_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$", max_length=64)] | None = None
    """The project; default: the one that comes with the credential, else the only one IAM names for the region."""
    endpoint: BaseUrl | None = None
    """The service's base URL; default: from the region."""
    iam_endpoint: BaseUrl | None = None
    """IAM's base URL; default: from the credential, else from the region."""
    tls: TlsSettings = TlsSettings()
    """How the cloud's certificate is checked."""
    proxy_url: Annotated[SecretStr, AfterValidator(_check_proxy_url)] | None = None
    """An HTTP proxy on the way to the cloud; may carry a user and a password."""
    proxy_url_file: Path | None = None
    """A file that holds the proxy's URL."""
    auth: AuthSettings = AutoSettings()
    """How to prove to the cloud who we are."""

    @classmethod
    def pair_problems(cls, given: Collection[str]) -> Iterator[tuple[str, str]]:
        """Nothing that tells where the service is."""
        yield from super().pair_problems(given)
        if "region" not in given and "endpoint" not in given:
            yield "", "missing required key 'region' (or 'endpoint')"
