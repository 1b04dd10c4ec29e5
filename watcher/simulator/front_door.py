"""What happens to every request before and after its handler: numbering, faults, admission, throttling, the log."""

import hashlib
from email.utils import format_datetime

from aiohttp import web
from aiohttp.typedefs import Handler

from watcher.simulator.access import Now, Throttle
from watcher.simulator.errors import ApiError, no_such_api, throttled
from watcher.simulator.fault_effects import Pause, answer_with_faults
from watcher.simulator.faults import FaultBoard
from watcher.simulator.gatekeeper import Attempt, Gatekeeper
from watcher.simulator.request_log import LoggedRequest, RequestLog
from watcher.simulator.world import World

# What a throttle fault says while no real limit is set: the published one.
PUBLISHED_LIMIT = 200
NO_ANSWER = 0
CONTROL_PREFIX = "/_sim/"


class FrontDoor:
    """The one middleware of the server; the control endpoints pass it by. `now` is *real* time."""

    def __init__(
        self,
        *,
        now: Now,
        pause: Pause,
        project_id: str,
        world: World,
        faults: FaultBoard,
        gatekeeper: Gatekeeper,
        throttle: Throttle,
        log: RequestLog,
    ) -> None:
        self._now = now
        self._pause = pause
        self._project_id = project_id
        self._world = world
        self._faults = faults
        self._gatekeeper = gatekeeper
        self._throttle = throttle
        self._log = log
        self._numbered = 0

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Stands between aiohttp and every handler."""
        if request.path.startswith(CONTROL_PREFIX):
            return await handler(request)
        return await self._answer(request, handler, request.match_info.route.name or "unknown")

    async def _answer(self, request: web.Request, handler: Handler, operation: str) -> web.StreamResponse:
        self._numbered += 1
        request_id = hashlib.md5(str(self._numbered).encode(), usedforsecurity=False).hexdigest()
        self._world.advance()
        named = request.match_info.get("server_id") or request.query.get("server_id")
        hits = self._faults.strike(operation=operation, instance_id=named)
        code = NO_ANSWER
        try:
            response = await answer_with_faults(
                request,
                hits,
                lambda: self._serve(request, handler, request_id),
                limit=self._throttle.requests_per_minute or PUBLISHED_LIMIT,
                pause=self._pause,
                headers=self._headers(request_id),
            )
            code = response.status
        except ApiError as error:
            code = error.status
            response = web.json_response(error.body(request_id), status=error.status, headers=error.headers)
        finally:
            self._log.add(
                LoggedRequest(
                    at=self._now(),
                    operation=operation,
                    method=request.method,
                    path=request.path,
                    query=request.query_string,
                    code=code,
                    request_id=request_id,
                    faults=tuple(hit.id for hit in hits),
                )
            )
        response.headers.update(self._headers(request_id))
        return response

    async def _serve(self, request: web.Request, handler: Handler, request_id: str) -> web.StreamResponse:
        """The answer without faults; errors are answers, too, so that a fault can spoil them."""
        try:
            return await self._admitted(request, handler)
        except ApiError as error:
            return web.json_response(error.body(request_id), status=error.status, headers=error.headers)

    async def _admitted(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        match request.match_info.http_exception:
            case None:
                pass
            case web.HTTPMethodNotAllowed():
                raise ApiError(405, "WKS.00000405", "Method Not Allowed")
            case _:
                raise no_such_api()
        if request.path.startswith("/v1/"):
            await self._pass_gateway(request)
        elif request.path == "/v3/projects":
            await self._pass_iam(request)
        return await handler(request)

    async def _pass_gateway(self, request: web.Request) -> None:
        project_id = request.match_info["project_id"]
        self._gatekeeper.admit(await _attempt(request), project_id=project_id)
        if project_id != self._project_id:
            raise ApiError(403, "WKS.00081102", "You do not have permission to access this project.")
        wait_s = self._throttle.spend()
        if wait_s is not None:
            limit = self._throttle.requests_per_minute or PUBLISHED_LIMIT
            raise throttled(limit, retry_after=wait_s if self._throttle.retry_after else None)

    async def _pass_iam(self, request: web.Request) -> None:
        try:
            self._gatekeeper.admit(await _attempt(request))
        except ApiError as refusal:
            raise ApiError(401, "IAM", refusal.message) from None

    def _headers(self, request_id: str) -> dict[str, str]:
        return {"X-Request-Id": request_id, "Date": format_datetime(self._now(), usegmt=True)}


async def _attempt(request: web.Request) -> Attempt:
    headers = {name.lower(): value for name, value in request.headers.items()}
    return Attempt(request.method, request.raw_path, headers, await request.read())
