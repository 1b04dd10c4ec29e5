"""One request to the cloud and its answer, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from yarl import URL

from watcher.cloud.signer import canonical_request, encode_path
from watcher.cloud.text import one_line

_REQUEST_ID_LIMIT = 80


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a service lives. `origin` is `scheme://host[:port]`, `host` the `Host` header, `prefix` a path or ""."""

    origin: str
    host: str
    prefix: str = ""

    @classmethod
    def parse(cls, url: str) -> Endpoint:
        """From a base URL; a path in it goes before every operation's own."""
        parsed = URL(url)
        return cls(str(parsed.origin()), parsed.host_port_subcomponent or "", encode_path(parsed.path.rstrip("/")))

    def __str__(self) -> str:
        return self.origin + self.prefix


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is asked. `path` and `query` are already encoded: what is signed is exactly what is sent."""

    endpoint: Endpoint
    path: str
    method: str = "GET"
    query: str = ""
    body: bytes = field(default=b"", repr=False)
    project_id: str = ""
    canonical: str = field(init=False, repr=False, compare=False)
    """The beginning of what is signed of it."""
    url: URL = field(init=False, compare=False)
    """Where to send it, encoded as given."""

    def __post_init__(self) -> None:
        full_path = self.endpoint.prefix + self.path
        query = f"?{self.query}" if self.query else ""
        object.__setattr__(self, "canonical", canonical_request(self.method, full_path, self.query))
        object.__setattr__(self, "url", URL(f"{self.endpoint.origin}{full_path}{query}", encoded=True))


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, whole and decompressed; `headers` looks names up without regard to case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    @property
    def request_id(self) -> str:
        """The `X-Request-Id` header, or ""."""
        return one_line(self.headers.get("X-Request-Id", ""), limit=_REQUEST_ID_LIMIT)
