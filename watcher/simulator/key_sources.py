"""Where machines get temporary keys without a secret of their own: ECS metadata, and the CCE pod endpoint."""

import hmac
from datetime import UTC

from aiohttp import web

from watcher.simulator.access import Keyring
from watcher.simulator.credentials import Credentials

METADATA_TOKEN = "simulated-metadata-token"  # noqa: S105 - opens nothing but the simulator


class KeySources:
    """Handlers that hand out working temporary keys; `Keyring.ttl` says how long they work."""

    def __init__(self, *, keys: Keyring, credentials: Credentials) -> None:
        self._keys = keys
        self._credentials = credentials

    def routes(self) -> list[web.RouteDef]:
        """The routes, each named after its operation."""
        return [
            web.put("/meta-data/latest/api/token", self.metadata_token, name="MetadataToken"),
            web.get("/openstack/latest/securitykey", self.security_key, name="MetadataSecurityKey", allow_head=False),
            web.post("/pod-identity/credentials", self.pod_credentials, name="PodCredentials"),
        ]

    async def metadata_token(self, request: web.Request) -> web.Response:
        """The session token as plain text; 400 without X-Metadata-Token-Ttl-Seconds."""
        if not request.headers.get("X-Metadata-Token-Ttl-Seconds", "").isdecimal():
            return web.Response(status=400, text="Bad Request")
        return web.Response(text=METADATA_TOKEN)

    async def security_key(self, request: web.Request) -> web.Response:
        """Temporary keys; without a token, too, as older machines ask, but not with a wrong one."""
        if request.headers.get("X-Metadata-Token", METADATA_TOKEN) != METADATA_TOKEN:
            return web.Response(status=401, text="Unauthorized")
        return self._issue()

    async def pod_credentials(self, request: web.Request) -> web.Response:
        """Temporary keys for the right Authorization header."""
        presented = request.headers.get("Authorization", "").encode()
        if not hmac.compare_digest(presented, self._credentials.pod_token.encode()):
            return web.Response(status=401, text="Unauthorized")
        return self._issue()

    def _issue(self) -> web.Response:
        key = self._keys.issue()
        expires_at = "" if key.expires_at is None else key.expires_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        credential = {
            "access": key.access,
            "secret": key.secret,
            "securitytoken": key.security_token,
            "expires_at": expires_at,
        }
        return web.json_response({"credential": credential})
