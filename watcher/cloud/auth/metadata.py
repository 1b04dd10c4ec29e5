"""`method: metadata`: temporary keys of the agency of the ECS this runs on."""

from __future__ import annotations

from http import HTTPStatus
from typing import Literal

import aiohttp

from watcher.cloud.auth.base import AuthContext
from watcher.cloud.auth.temporary import TemporaryKey, TemporaryKeys, parse_temporary_key
from watcher.cloud.exchange import Answer, Endpoint, Request
from watcher.cloud.text import one_line
from watcher.cloud.transport import Transport
from watcher.core.errors import CloudAuthError, CloudUnavailableError
from watcher.fields import HttpUrl, Section

DEFAULT_METADATA_URL = HttpUrl("http://169.254.169.254")
LOCAL_TIMEOUT = aiohttp.ClientTimeout(total=3.0)
"""For services on this very machine, as in the vendor's SDK."""

_TOKEN_PATH = "/meta-data/latest/api/token"  # noqa: S105 - a path
_KEY_PATH = "/openstack/latest/securitykey"
_TOKEN_TTL_S = 21600
_NO_TOKENS = (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.SERVICE_UNAVAILABLE)


class MetadataSettings(Section):
    """The agency of the ECS the watcher runs on."""

    method: Literal["metadata"] = "metadata"
    """Use the agency of the ECS the watcher runs on."""
    metadata_url: HttpUrl = DEFAULT_METADATA_URL
    """The ECS metadata service's base URL."""

    def authenticator(self, context: AuthContext) -> TemporaryKeys:
        """Build what asks the metadata service."""
        service = MetadataService(transport=context.transport, endpoint=Endpoint.parse(str(self.metadata_url)))
        return TemporaryKeys(fetch=service.fetch, clock=context.clock)


class MetadataService:
    """Asks the ECS metadata service for a temporary key, with a session token where the service has them (IMDSv2)."""

    def __init__(
        self, *, transport: Transport, endpoint: Endpoint, timeout: aiohttp.ClientTimeout = LOCAL_TIMEOUT
    ) -> None:
        self._transport = transport
        self._timeout = timeout
        self._endpoint = endpoint

    async def fetch(self) -> TemporaryKey:
        """A key; raises CloudAuthError when the ECS has no agency, CloudUnavailableError when nobody answers."""
        headers = {"Host": self._endpoint.host}
        token = await self._ask("PUT", _TOKEN_PATH, {**headers, "X-Metadata-Token-Ttl-Seconds": str(_TOKEN_TTL_S)})
        if token.status == HTTPStatus.OK:
            headers["X-Metadata-Token"] = one_line(token.body.decode("ascii", "replace"), limit=1000)
        elif token.status not in _NO_TOKENS:
            raise CloudUnavailableError("the ECS metadata service gives no token", http_status=token.status)
        answer = await self._ask("GET", _KEY_PATH, headers)
        if answer.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.NOT_FOUND):
            raise CloudAuthError(
                "the ECS metadata service gives no key: has this ECS an agency?", http_status=answer.status
            )
        if answer.status != HTTPStatus.OK:
            raise CloudUnavailableError("the ECS metadata service gives no key", http_status=answer.status)
        return parse_temporary_key(answer)

    async def _ask(self, method: str, path: str, headers: dict[str, str]) -> Answer:
        request = Request(endpoint=self._endpoint, method=method, path=path)
        return await self._transport.exchange(request, headers, _whole, timeout=self._timeout, direct=True)


def _whole(answer: Answer) -> Answer:
    return answer
