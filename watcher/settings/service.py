"""The daemon itself: `store`, `cluster`, `web`, `log`, `heartbeat`."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Annotated, ClassVar, Literal, NamedTuple

from pydantic import (
    BeforeValidator,
    Field,
    PlainSerializer,
    SecretStr,
    WithJsonSchema,
    field_serializer,
    field_validator,
)

from watcher.fields import PositiveDuration, PublicUrl, SecretOwner, Section, check_destination, hide_credentials

_SQLITE = "sqlite:///"
_POSTGRES = ("postgresql://", "postgres://")
_PORT_MAX = 65535
_LEASE_TTL_LEAST, _LEASE_TTL_MOST = timedelta(seconds=1), timedelta(minutes=10)


class Listen(NamedTuple):
    """Where the HTTP server listens; an empty host is every interface, port 0 any free port."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def _parse_listen(value: object) -> object:
    if isinstance(value, Listen):
        return value
    error = ValueError("not an address: write host:port, [::1]:9468 or :9468")
    if not isinstance(value, str):
        raise error
    host, colon, port = value.rpartition(":")
    if not colon or not (port.isascii() and port.isdigit()) or int(port[:6]) > _PORT_MAX or any(map(str.isspace, host)):
        raise error
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
        if ":" not in host:
            raise error
    elif ":" in host:
        raise error
    return Listen(host, int(port))


ListenAddress = Annotated[
    Listen,
    BeforeValidator(_parse_listen),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "pattern": r":\d{1,5}$", "examples": ["127.0.0.1:9468", "[::1]:9468", ":9468"]}),
]


def check_store_url(url: str) -> None:
    """Raise ValueError unless a store can be kept there."""
    if url in (_SQLITE, *_POSTGRES) or not url.startswith((_SQLITE, *_POSTGRES)):
        raise ValueError("not a store: use sqlite:///PATH or postgresql://user:password@host/database")


class StoreSettings(SecretOwner):
    """Where states, events and deliveries are kept."""

    url: SecretStr = SecretStr("sqlite:///watcher.db")
    """`sqlite:///PATH` (three slashes and a relative path, or four for an absolute one), or
    `postgresql://user:password@host/database`, which several replicas may share."""
    url_file: Path | None = None
    """A file that holds `url`."""
    retention: PositiveDuration = timedelta(days=90)
    """How long events are kept."""

    @field_validator("url")
    @classmethod
    def _check_url(cls, value: SecretStr) -> SecretStr:
        check_store_url(value.get_secret_value())
        return value

    @field_serializer("url")
    def _show_url(self, value: SecretStr) -> str:
        return hide_credentials(value.get_secret_value())


class ClusterSettings(Section):
    """Several replicas that share the work through PostgreSQL."""

    lease_ttl: PositiveDuration = timedelta(seconds=15)
    """How long it takes at most until others do the work of a replica that is heard of no more; 1s to 10m."""

    @field_validator("lease_ttl")
    @classmethod
    def _check_ttl(cls, value: timedelta) -> timedelta:
        if not _LEASE_TTL_LEAST <= value <= _LEASE_TTL_MOST:
            raise ValueError("must be 1s to 10m")
        return value


class WebAuthSettings(SecretOwner):
    """Who may use the HTTP server, by a token or a password; `/-/healthy` and `/-/ready` are open to all."""

    bearer_token: SecretStr | None = Field(None, min_length=1)
    """Requests must carry it: `Authorization: Bearer …`."""
    bearer_token_file: Path | None = None
    """A file that holds `bearer_token`."""
    username: Annotated[str, Field(min_length=1, pattern=r"^[^:\x00-\x1f\x7f]+$")] | None = None
    """The user of Basic, with `password`; has no colon in it (RFC 7617)."""
    password: SecretStr | None = Field(None, min_length=1)
    """The password of `username`."""
    password_file: Path | None = None
    """A file that holds `password`."""

    @classmethod
    def pair_problems(cls, given: Collection[str]) -> Iterator[tuple[str, str]]:
        """No way in, or half a one."""
        yield from super().pair_problems(given)
        password = next((key for key in ("password", "password_file") if key in given), None)
        if password is not None and "username" not in given:
            yield password, "a password needs 'username'"
        if "username" in given and password is None:
            yield "username", "a username needs 'password' (or 'password_file')"
        if not {"bearer_token", "bearer_token_file", "username", "password", "password_file"} & set(given):
            yield "", "missing required key 'bearer_token' (or its file), or 'username' and 'password'"


class WebTlsSettings(Section):
    """Serve HTTPS, TLS 1.2 or newer. Both files are read again when they change."""

    cert_file: Path
    """The certificate and its chain, PEM."""
    key_file: Path
    """The private key, PEM, without a password."""


class WebSettings(Section):
    """The HTTP server: status page, API, metrics, health."""

    listen: ListenAddress = Listen("127.0.0.1", 9468)
    """Where it listens: `host:port`, `[::1]:9468`, or `:9468` for every interface."""
    auth: WebAuthSettings | None = None
    """Who may use it; not given: all, but only to read unless `listen` is loopback."""
    tls: WebTlsSettings | None = None
    """Serve HTTPS; not given: plain HTTP."""
    external_url: PublicUrl | None = None
    """How people reach the status page from outside, for links in notifications."""
    metrics_instance_limit: int = Field(2000, ge=0)
    """Above so many instances the metrics by instance are left out."""


class LogSettings(Section):
    """What is logged, and how it looks."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least that is logged."""
    format: Literal["json", "console"] = "json"
    """One JSON object a line, or lines for people."""


class HeartbeatSettings(SecretOwner):
    """A dead man's switch: a GET while the watcher is well."""

    required_secrets: ClassVar[tuple[str, ...]] = ("url",)

    url: SecretStr | None = None
    """What to GET; often whoever knows it can use it, so it is a secret."""
    url_file: Path | None = None
    """A file that holds `url`."""
    interval: PositiveDuration = timedelta(minutes=1)
    """How often."""

    @field_validator("url")
    @classmethod
    def _check_url(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            check_destination(value.get_secret_value())
        return value
