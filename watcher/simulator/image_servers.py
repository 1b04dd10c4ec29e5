"""The API of image servers and their jobs: requests in, the world's answers out."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypeVar, get_args

from aiohttp import web
from pydantic import BaseModel, Field, ValidationError

from watcher.simulator.errors import ApiError, bad_request, no_such_server
from watcher.simulator.instances import Attributes
from watcher.simulator.jobs import JobType
from watcher.simulator.wire import Shown, instance_json, job_json, sub_job_json
from watcher.simulator.world import NotAllowedError, UnknownInstanceError, World

MAX_LIMIT = 100

Body = TypeVar("Body", bound=BaseModel)
T = TypeVar("T")


class CreateBody(BaseModel):
    """Body of CreateImageServer, as far as it shows in the record; the rest of it is accepted and ignored."""

    name: Annotated[str, Field(pattern=r"^[\w-]{1,64}$")]
    description: str | None = None
    image_ref: dict[str, Any] | None = None
    authorize_accounts: list[dict[str, Any]] | None = None
    enterprise_project_id: str | None = None

    def attributes(self) -> Attributes:
        """What was given, as the world takes it."""
        given = Attributes()
        if self.description is not None:
            given["description"] = self.description
        if self.image_ref is not None:
            given["image_ref"] = self.image_ref
        if self.authorize_accounts is not None:
            given["authorize_accounts"] = tuple(self.authorize_accounts)
        if self.enterprise_project_id:
            given["enterprise_project_id"] = self.enterprise_project_id
        return given


class DeleteBody(BaseModel):
    """Body of BatchDeleteImageServer."""

    items: Annotated[list[str], Field(min_length=1, max_length=20)]
    recursive: bool = False


class ImageServers:
    """Handlers of the image-server operations. `shown` maps simulated times to those told to clients."""

    def __init__(self, *, world: World, shown: Shown, project_id: str) -> None:
        self._world = world
        self._shown = shown
        self._project_id = project_id

    def routes(self) -> list[web.RouteDef]:
        """The routes, each named after its operation."""
        servers = "/v1/{project_id}/image-servers"
        jobs = "/v1/{project_id}/image-server-jobs"
        sub_jobs = "/v1/{project_id}/image-server-sub-jobs"
        return [
            web.get(servers, self.list_servers, name="ListImageServers", allow_head=False),
            web.post(servers, self.create, name="CreateImageServer"),
            web.get(servers + "/{server_id}", self.show, name="ShowImageServer", allow_head=False),
            web.post(servers + "/{server_id}/actions/recreate-image", self.recreate, name="RecreateServerImage"),
            web.patch(servers + "/actions/batch-delete", self.batch_delete, name="BatchDeleteImageServer"),
            web.get(jobs, self.list_jobs, name="ListImageJobs", allow_head=False),
            web.get(jobs + "/{job_id}", self.show_job, name="ShowImageJob", allow_head=False),
            web.get(sub_jobs, self.list_sub_jobs, name="ListImageSubJobs", allow_head=False),
        ]

    async def show(self, request: web.Request) -> web.Response:
        """ShowImageServer."""
        return web.json_response(self._instance_json(request.match_info["server_id"]))

    async def list_servers(self, request: web.Request) -> web.Response:
        """ListImageServers; an unknown `server_id` is an empty list, not an error."""
        offset, limit = _window(request)
        name, server_id, project = (
            request.query.get(key, "") for key in ("server_name", "server_id", "enterprise_project_id")
        )
        if not (name or server_id or project):
            # The common case must not look at every one of a hundred thousand instances.
            count, page = len(self._world), self._world.page(offset, limit)
        else:
            matching = [
                each
                for each in self._world.instances()
                if name in each.name
                and server_id in ("", each.id)
                and (not project or project == (each.enterprise_project_id or "0"))
            ]
            count, page = len(matching), matching[offset : offset + limit]
        return web.json_response({"count": count, "items": [instance_json(each, self._shown) for each in page]})

    async def create(self, request: web.Request) -> web.Response:
        """CreateImageServer."""
        body = await _body(request, CreateBody)
        instance_id = self._world.create(name=body.name, **body.attributes())
        return web.json_response({"job_id": self._world.get(instance_id).job_id})

    async def recreate(self, request: web.Request) -> web.Response:
        """RecreateServerImage; the body (name and description of the image) is ignored."""
        server_id = request.match_info["server_id"]
        return web.json_response({"job_id": _asked(lambda: self._world.recreate(server_id))})

    async def batch_delete(self, request: web.Request) -> web.Response:
        """BatchDeleteImageServer: all of them or, if one cannot be deleted, none."""
        body = await _body(request, DeleteBody)
        return web.json_response({"job_id": _asked(lambda: self._world.delete(*body.items))})

    async def list_jobs(self, request: web.Request) -> web.Response:
        """ListImageJobs, newest first."""
        jobs = self._world.jobs.jobs(_job_type(request), status=request.query.get("status"))
        return _page(request, jobs, lambda job: job_json(job, self._shown))

    async def list_sub_jobs(self, request: web.Request) -> web.Response:
        """ListImageSubJobs, newest first."""
        subs = self._world.jobs.sub_jobs(
            _job_type(request), status=request.query.get("status"), job_id=request.query.get("job_id")
        )
        return _page(request, subs, lambda sub: sub_job_json(sub, self._shown, project_id=self._project_id))

    async def show_job(self, request: web.Request) -> web.Response:
        """ShowImageJob: the job and its sub jobs."""
        job = self._world.jobs.get(request.match_info["job_id"])
        if job is None:
            raise ApiError(404, "WKS.00211903", "The image job does not exist.")
        subs = [sub_job_json(sub, self._shown, project_id=self._project_id) for sub in job.subs]
        return web.json_response({**job_json(job, self._shown), "sub_jobs": subs})

    def _instance_json(self, server_id: str) -> dict[str, Any]:
        return _asked(lambda: instance_json(self._world.get(server_id), self._shown))


def _asked(ask: Callable[[], T]) -> T:
    """Asks the world and words its refusals as the service does."""
    try:
        return ask()
    except UnknownInstanceError:
        raise no_such_server() from None
    except NotAllowedError as refusal:
        raise ApiError(400, "WKS.00211105", f"Operation not allowed: {refusal}") from None


async def _body(request: web.Request, model: type[Body]) -> Body:
    try:
        return model.model_validate_json(await request.read())
    except ValidationError as problem:
        first = problem.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "body"
        raise bad_request(f"{where}: {first['msg']}") from None


def _window(request: web.Request) -> tuple[int, int]:
    offset, limit = _integer(request, "offset", 0), _integer(request, "limit", 10)
    if not (1 <= limit <= MAX_LIMIT and offset >= 0):
        raise bad_request(f"limit must be between 1 and {MAX_LIMIT}, offset must not be negative")
    return offset, limit


def _integer(request: web.Request, name: str, default: int) -> int:
    try:
        return int(request.query.get(name, default))
    except ValueError:
        raise bad_request(f"{name} is not a number") from None


def _job_type(request: web.Request) -> str:
    job_type = request.query.get("job_type", "")
    if job_type not in get_args(JobType):
        raise bad_request(f"job_type must be one of {', '.join(get_args(JobType))}")
    return job_type


def _page(request: web.Request, found: Sequence[T], as_json: Callable[[T], dict[str, Any]]) -> web.Response:
    offset, limit = _window(request)
    items = [as_json(each) for each in found[offset : offset + limit]]
    return web.json_response({"count": len(found), "items": items})
