"""The control endpoints under `/_sim/`: what a test does to the cloud, and what it wants to know. Loopback only."""

import ipaddress
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Annotated, Any, TypeVar

from aiohttp import web
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from watcher.simulator.access import Throttle
from watcher.simulator.clock import SimulatedClock
from watcher.simulator.faults import ActiveFault, Fault, FaultBoard
from watcher.simulator.instances import Attributes
from watcher.simulator.lifecycle import Build, Seconds, SimulatorModel
from watcher.simulator.request_log import RequestLog
from watcher.simulator.wire import instance_json, stamp
from watcher.simulator.world import UNSET, NotAllowedError, UnknownInstanceError, World

Body = TypeVar("Body", bound=BaseModel)
Handler = Callable[[web.Request], Awaitable[web.Response]]


class PutBody(SimulatorModel):
    """Body of `POST /_sim/instances`; see World.put. Without `status` it stays as it is, null is JSON null."""

    id: Annotated[str, Field(min_length=1)] | None = None
    name: str | None = None
    status: str | None = None
    image_id: str | None = None
    description: str | None = None
    enterprise_project_id: str | None = None
    fields: dict[str, Any] | None = None
    lives: bool = False
    build: Build | None = None

    def put_into(self, world: World) -> str:
        """Puts the instance into the world and returns its id."""
        attributes = Attributes()
        if self.description is not None:
            attributes["description"] = self.description
        if self.enterprise_project_id is not None:
            attributes["enterprise_project_id"] = self.enterprise_project_id
        return world.put(
            id=self.id,
            name=self.name,
            status=self.status if "status" in self.model_fields_set else UNSET,
            image_id=self.image_id,
            fields=self.fields,
            lives=self.lives,
            build=self.build,
            **attributes,
        )


class AdvanceBody(SimulatorModel):
    """Body of `POST /_sim/advance`: simulated time to let pass, in seconds or as `5m`."""

    seconds: Seconds


class ThrottleBody(SimulatorModel):
    """Body of `POST /_sim/throttle`; null lifts the limit."""

    requests_per_minute: Annotated[int, Field(ge=0)] | None
    retry_after: bool = False


class Control:
    """Handlers of the control endpoints. `problems` are the scenario steps that could not be carried out."""

    def __init__(
        self,
        *,
        clock: SimulatedClock,
        world: World,
        faults: FaultBoard,
        throttle: Throttle,
        log: RequestLog,
        problems: list[str],
    ) -> None:
        self._clock = clock
        self._world = world
        self._faults = faults
        self._throttle = throttle
        self._log = log
        self._problems = problems

    def routes(self) -> list[web.RouteDef]:
        """The routes, each of them open to loopback only."""
        handlers: list[tuple[str, str, Handler]] = [
            ("GET", "/_sim/state", self.state),
            ("GET", "/_sim/requests", self.requests),
            ("DELETE", "/_sim/requests", self.forget_requests),
            ("POST", "/_sim/faults", self.add_fault),
            ("DELETE", "/_sim/faults", self.clear_faults),
            ("DELETE", "/_sim/faults/{fault_id}", self.remove_fault),
            ("POST", "/_sim/throttle", self.set_throttle),
            ("POST", "/_sim/advance", self.advance),
            ("POST", "/_sim/instances", self.put),
            ("POST", "/_sim/instances/{instance_id}/recreate", self.recreate),
            ("DELETE", "/_sim/instances/{instance_id}", self.vanish),
        ]
        return [web.route(method, path, _for_loopback(handler)) for method, path, handler in handlers]

    async def state(self, _request: web.Request) -> web.Response:
        """Time, instances by status, faults, throttle and problems."""
        statuses = Counter(str(each.status) for each in self._world.instances())
        return web.json_response(
            {
                "now": stamp(self._clock()),
                "speed": self._clock.speed,
                "instances": {"count": len(self._world), "statuses": dict(statuses)},
                "faults": [_fault_json(active) for active in self._faults.active()],
                "throttle": {
                    "requests_per_minute": self._throttle.requests_per_minute,
                    "retry_after": self._throttle.retry_after,
                },
                "problems": self._problems,
            }
        )

    async def requests(self, request: web.Request) -> web.Response:
        """Counts by operation and code, and the last requests (`?last=50`), oldest first."""
        counts = [{"operation": o, "code": c, "count": n} for (o, c), n in sorted(self._log.counts.items())]
        last = request.query.get("last", "50")
        if not last.isdecimal():
            return _refused(400, "last: not a number")
        shown = [{**asdict(each), "at": stamp(each.at)} for each in self._log.last(int(last))]
        return web.json_response({"counts": counts, "last": shown})

    async def forget_requests(self, _request: web.Request) -> web.Response:
        """Sets all counts to nought."""
        self._log.clear()
        return web.json_response({})

    async def add_fault(self, request: web.Request) -> web.Response:
        """Switches a fault on; the answer names its id."""
        return web.json_response({"id": self._faults.add(await _body(request, Fault))})

    async def clear_faults(self, _request: web.Request) -> web.Response:
        """Switches all faults off."""
        self._faults.clear()
        return web.json_response({})

    async def remove_fault(self, request: web.Request) -> web.Response:
        """Switches one fault off."""
        try:
            self._faults.remove(request.match_info["fault_id"])
        except KeyError:
            return _refused(404, "no such fault")
        return web.json_response({})

    async def set_throttle(self, request: web.Request) -> web.Response:
        """Sets or lifts the number of requests a minute."""
        body = await _body(request, ThrottleBody)
        self._throttle.requests_per_minute = body.requests_per_minute
        self._throttle.retry_after = body.retry_after
        return web.json_response({})

    async def advance(self, request: web.Request) -> web.Response:
        """Lets simulated time pass at once."""
        self._clock.advance((await _body(request, AdvanceBody)).seconds)
        self._world.advance()
        return web.json_response({"now": stamp(self._clock())})

    async def put(self, request: web.Request) -> web.Response:
        """Creates or changes an instance; the answer is its record."""
        body = await _body(request, PutBody)
        instance = self._world.get(body.put_into(self._world))
        return web.json_response(instance_json(instance, self._clock.shown))

    async def recreate(self, request: web.Request) -> web.Response:
        """Starts a build that comes to what the body says (`outcome`, `reason`)."""
        build = await _body(request, Build)
        job_id = self._world.recreate(request.match_info["instance_id"], outcome=build.outcome, reason=build.reason)
        return web.json_response({"job_id": job_id})

    async def vanish(self, request: web.Request) -> web.Response:
        """Removes an instance at once."""
        self._world.vanish(request.match_info["instance_id"])
        return web.json_response({})


def is_loopback(peer: str | None) -> bool:
    """Whether the address of a peer, None if it is not known, is one of this machine's own."""
    return peer is not None and ipaddress.ip_address(peer).is_loopback


def _for_loopback(handler: Handler) -> Handler:
    """Lets loopback peers in, and words refusals as `{"errors": […]}`."""

    async def guarded(request: web.Request) -> web.Response:
        if not is_loopback(request.remote):
            return _refused(403, "the control endpoints answer to loopback only")
        try:
            return await handler(request)
        except UnknownInstanceError:
            return _refused(404, "no such instance")
        except NotAllowedError as refusal:
            return _refused(409, str(refusal))
        except ValidationError as problem:
            findings = [
                f"{'.'.join(str(part) for part in each['loc']) or 'body'}: {each['msg']}" for each in problem.errors()
            ]
            return _refused(400, *findings)

    return guarded


def _refused(status: int, *findings: str) -> web.Response:
    return web.json_response({"errors": findings}, status=status)


async def _body(request: web.Request, model: type[Body]) -> Body:
    return TypeAdapter(model).validate_json(await request.read() or b"{}")


def _fault_json(active: ActiveFault) -> dict[str, Any]:
    given = active.fault.model_dump(exclude_none=True, exclude={"count"})
    return {**given, "id": active.id, "remaining": active.remaining}
