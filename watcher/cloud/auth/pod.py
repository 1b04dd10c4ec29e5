"""The endpoint inside a CCE pod that gives temporary keys of the pod's identity."""

from __future__ import annotations

from http import HTTPStatus

from yarl import URL

from watcher.cloud.auth.base import JSON, require_header_text
from watcher.cloud.auth.metadata import LOCAL_TIMEOUT
from watcher.cloud.auth.temporary import TemporaryKey, parse_temporary_key
from watcher.cloud.exchange import Answer, Endpoint, Request
from watcher.cloud.failures import failure
from watcher.cloud.transport import Transport
from watcher.core.clock import Clock
from watcher.fields import Secret

URI_VARIABLE = "HC_CONTAINER_CREDENTIALS_FULL_URI"
TOKEN_FILE_VARIABLE = "HC_CONTAINER_AUTHORIZATION_TOKEN_FILE"  # noqa: S105 - a variable's name


class PodIdentity:
    """Asks for a key with the pod's own token, read at each use because Kubernetes rotates it."""

    def __init__(self, *, transport: Transport, clock: Clock, uri: str, token: Secret) -> None:
        self._transport = transport
        self._clock = clock
        self._uri = URL(uri)
        self._token = token

    async def fetch(self) -> TemporaryKey:
        """A key; raises a CloudError of the kind the endpoint's answer means."""
        token = self._token.reveal()
        require_header_text("the pod's token", token)

        def read(answer: Answer) -> TemporaryKey:
            if answer.status != HTTPStatus.OK:
                raise failure(answer, now=self._clock.now(), secrets=(token,))
            return parse_temporary_key(answer)

        endpoint = Endpoint.parse(str(self._uri.origin()))
        request = Request(
            endpoint=endpoint,
            method="POST",
            path=self._uri.raw_path,
            query=self._uri.raw_query_string,
            body=b"{}",
        )
        headers = {"Content-Type": JSON, "Host": endpoint.host, "Authorization": token}
        return await self._transport.exchange(request, headers, read, timeout=LOCAL_TIMEOUT, direct=True)
