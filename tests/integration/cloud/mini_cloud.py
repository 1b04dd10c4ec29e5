"""A cloud in miniature: which credentials are good, and what it answers, is the test's to say."""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import timedelta
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from tests.fakes.clock import FakeClock
from watcher.cloud.client import CloudClient
from watcher.cloud.settings import ConnectionSettings
from watcher.cloud.signer import Signer, canonical_request

PROJECT = "0123456789abcdef0123456789abcdef"
REGION = "ap-southeast-3"
SERVER_ID = "697612196993040384"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class MiniCloud:
    """Serves one image server, IAM, ECS metadata and a CCE pod endpoint.

    `keys` are the good ones by access key: (secret, security token). `tokens` and `passwords` are the good ones.
    `temporary` is the key that metadata and pod give. `asked` counts requests by path and status; `answer` replaces
    what the service says to authorized requests; `gate` holds back logins and keys while it is clear.
    """

    def __init__(self, clock: FakeClock | None = None, *, tls: ssl.SSLContext | None = None) -> None:
        self.clock = clock or FakeClock()
        self.keys: dict[str, tuple[str, str]] = {}
        self.tokens: set[str] = set()
        self.passwords: set[str] = set()
        self.temporary: dict[str, Any] = {}
        self.pod_tokens: set[str] = set()
        self.projects: list[dict[str, str]] = [{"id": PROJECT, "name": REGION}]
        self.token_life = timedelta(hours=24)
        self.iam_is_ahead = timedelta(0)
        self.login_status: int | None = None
        self.accepts_nothing = False
        self.asked: Counter[str] = Counter()
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.login_bodies: list[Any] = []
        self.answer: Handler | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self._tls = tls
        self._runner: web.AppRunner | None = None
        self.url = ""

    async def __aenter__(self) -> Self:
        app = web.Application(middlewares=[self._count])
        app.router.add_post("/v3/auth/tokens", self._log_in)
        app.router.add_get("/v3/projects", self._list_projects)
        app.router.add_put("/meta-data/latest/api/token", self._metadata_token)
        app.router.add_get("/openstack/latest/securitykey", self._metadata_key)
        app.router.add_post("/pod", self._pod_key)
        app.router.add_route("*", "/v1/{rest:.*}", self._service)
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._tls)
        await site.start()
        self.url = f"{'https' if self._tls else 'http'}://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    def client(
        self,
        auth: dict[str, Any],
        *,
        environment: dict[str, str] | None = None,
        seen: list[tuple[str, str]] | None = None,
        timeout_s: float = 5.0,
        **settings: Any,
    ) -> CloudClient:
        """A client of this cloud; `seen` takes (operation, code) of its requests."""
        given = {"region": REGION, "project_id": PROJECT, "endpoint": self.url, "iam_endpoint": self.url} | settings
        return CloudClient(
            settings=ConnectionSettings.model_validate(
                {key: value for key, value in given.items() if value is not None} | {"auth": auth}
            ),
            clock=self.clock,
            environment=environment or {},
            on_request=lambda operation, code, _: seen.append((operation, code)) if seen is not None else None,
            timeout_s=timeout_s,
        )

    def give_temporary_key(self, name: str, *, life: timedelta = timedelta(hours=6), good: bool = True) -> None:
        """From now on metadata and pod give this key; the former one is no longer good."""
        for former in [key for key, (_, token) in self.keys.items() if token]:
            del self.keys[former]
        expires_at = (self.clock.now() + life).strftime("%Y-%m-%dT%H:%M:%SZ")
        self.temporary = {
            "access": name,
            "secret": f"secret-of-{name}",
            "securitytoken": f"token-of-{name}",
            "expires_at": expires_at,
        }
        if good:
            self.keys[name] = (f"secret-of-{name}", f"token-of-{name}")

    @web.middleware
    async def _count(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self.requests.append((request.path_qs, dict(request.headers)))
        response = await handler(request)
        path = "service" if request.path.startswith("/v1/") else request.path
        self.asked[f"{path} {response.status}"] += 1
        return response

    def _is_good(self, request: web.Request) -> bool:
        if self.accepts_nothing:
            return False
        token = request.headers.get("X-Auth-Token")
        if token is not None:
            return token in self.tokens
        authorization = request.headers.get("Authorization", "")
        access_key = authorization.partition("Access=")[2].partition(",")[0]
        secret, security_token = self.keys.get(access_key, ("", ""))
        names = authorization.partition("SignedHeaders=")[2].partition(",")[0].split(";")
        headers = {name: request.headers.get(name, "") for name in names if name != "x-sdk-date"}
        path, _, query = request.raw_path.partition("?")
        signer, date = Signer(access_key, secret), request.headers.get("X-Sdk-Date", "")
        signed = canonical_request(request.method, path, query)
        expected = signer.authorization(signed, signer.signed_headers(headers), date, b"")
        return (
            bool(secret)
            and {"host", "x-sdk-date"} <= set(names)
            and security_token == request.headers.get("X-Security-Token", "")
            and expected == authorization
        )

    def _refused(self) -> web.Response:
        body = {"error_code": "APIGW.0301", "error_msg": "Incorrect IAM authentication information", "request_id": "r"}
        return web.json_response(body, status=401)

    async def _service(self, request: web.Request) -> web.StreamResponse:
        if not self._is_good(request):
            return self._refused()
        if self.answer is not None:
            return await self.answer(request)
        return web.json_response({"id": SERVER_ID, "name": "office", "status": "BUILT", "image_id": "img"})

    async def _list_projects(self, request: web.Request) -> web.Response:
        if not self._is_good(request):
            return self._refused()
        named = [project for project in self.projects if project["name"] == request.query["name"]]
        return web.json_response({"projects": named})

    async def _log_in(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.login_bodies.append(body)
        await self.gate.wait()
        if self.login_status is not None:
            return web.json_response({}, status=self.login_status)
        user = body["auth"]["identity"]["password"]["user"]
        if user["password"] not in self.passwords:
            said = f"The username or password is wrong: {user['password']}"
            return web.json_response({"error": {"code": 401, "message": said, "title": "Unauthorized"}}, status=401)
        token = f"iam-token-{len(self.login_bodies)}"
        self.tokens.add(token)
        now = self.clock.now() + self.iam_is_ahead
        issued = {
            "issued_at": now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "expires_at": (now + self.token_life).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "project": {"id": PROJECT, "name": REGION},
        }
        return web.json_response({"token": issued}, status=201, headers={"X-Subject-Token": token})

    async def _metadata_token(self, request: web.Request) -> web.Response:
        assert request.headers["X-Metadata-Token-Ttl-Seconds"] == "21600"
        return web.Response(text="metadata-token")

    async def _metadata_key(self, request: web.Request) -> web.Response:
        await self.gate.wait()
        if request.headers.get("X-Metadata-Token") != "metadata-token" or not self.temporary:
            return web.Response(status=401)
        return web.json_response({"credential": self.temporary})

    async def _pod_key(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") not in self.pod_tokens or await request.json() != {}:
            return web.Response(status=401)
        return web.json_response({"credential": self.temporary})
