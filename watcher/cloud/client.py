"""The operations of the image server API for one source: `CloudClient` is the product's `CloudApi`."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from watcher.cloud import iam, regions, wire
from watcher.cloud.auth.base import AuthContext
from watcher.cloud.caller import Caller
from watcher.cloud.exchange import Answer, Endpoint, Request
from watcher.cloud.flight import SingleFlight
from watcher.cloud.settings import ConnectionSettings
from watcher.cloud.signer import encode_query, encode_segment
from watcher.cloud.transport import OnRequest, Transport
from watcher.core.clock import Clock
from watcher.core.errors import CloudEndpointError, CloudMalformedError, ConfigurationError
from watcher.core.model import Instance, Job, SubJob
from watcher.core.ports import InstancePage
from watcher.core.sweep import PAGE_LIMIT, Sweep

T = TypeVar("T")

MAX_PAGES = 1000
"""A list longer than this is a server that never ends it."""

_REMEMBERED = 10_000
_REMEMBERED_BYTES = 16 * 1024

OPERATIONS = (
    "ShowImageServer",
    "ListImageServers",
    "ListImageJobs",
    "ListImageSubJobs",
    "ShowImageJob",
    iam.CREATE_TOKEN,
    iam.LIST_PROJECTS,
)
"""Every operation that `on_request` may be told of."""


class CloudClient:
    """One source's cloud, as `core.ports.CloudApi` describes it. Every method raises a CloudError.

    Build it where the event loop runs; the first connection is opened by the first request. Raises ConfigurationError
    when the region is unknown and no endpoint is given, or when `tls.ca_file` cannot be used.
    """

    def __init__(
        self,
        *,
        settings: ConnectionSettings,
        clock: Clock,
        environment: Mapping[str, str],
        on_request: OnRequest,
        timeout_s: float = 10.0,
        concurrency: int = 16,
        user_agent: str = "watcher",
    ) -> None:
        endpoint = settings.endpoint or regions.service_endpoint(settings.region, environment)
        self._endpoint = Endpoint.parse(str(endpoint))
        self._region = settings.region
        self._environment = environment
        self._iam_endpoint = str(settings.iam_endpoint or "")
        self._transport = Transport(
            clock=clock,
            on_request=on_request,
            timeout_s=timeout_s,
            concurrency=concurrency,
            user_agent=user_agent,
            ca_file=settings.tls.ca_file,
            insecure_skip_verify=settings.tls.insecure_skip_verify,
            proxy=settings.optional_secret("proxy_url"),
        )
        self._authenticator = settings.auth.authenticator(
            AuthContext(
                transport=self._transport,
                clock=clock,
                environment=environment,
                region=settings.region,
                project_id=settings.project_id or "",
                iam_endpoint=self._iam_endpoint,
            )
        )
        self._caller = Caller(transport=self._transport, authenticator=self._authenticator, clock=clock)
        self._project_id = settings.project_id or ""
        self._project = SingleFlight(self._find_project)
        self._asked: dict[str, _Asked] = {}
        self._pages: dict[str, _AskedPage] = {}

    async def project_id(self) -> str:
        """The project asked about: configured, that of the credential, or the only one IAM names for the region."""
        if not self._project_id:
            self._project_id = await self._project.run()
        return self._project_id

    async def show(self, instance_id: str) -> Instance:
        asked = self._asked.get(instance_id)
        if asked is None:
            if len(self._asked) >= _REMEMBERED:
                self._asked.clear()
            request = await self._request(f"image-servers/{encode_segment(instance_id)}")
            asked = self._asked[instance_id] = _Asked(instance_id, request)
        return await self._caller.call("ShowImageServer", asked.request, asked.read, names_one=True)

    async def list_page(
        self,
        *,
        offset: int,
        limit: int = PAGE_LIMIT,
        name: str | None = None,
        enterprise_project_id: str | None = None,
    ) -> InstancePage:
        query = encode_query(
            _given(
                {
                    "offset": str(offset),
                    "limit": str(limit),
                    "server_name": name,
                    "enterprise_project_id": enterprise_project_id,
                }.items()
            )
        )
        asked = self._pages.get(query)
        if asked is None:
            if len(self._pages) >= _REMEMBERED:
                self._pages.clear()
            asked = self._pages[query] = _AskedPage(offset, await self._request("image-servers", query))
        return await self._caller.call("ListImageServers", asked.request, asked.read)

    async def list_all(self, *, name: str | None = None, enterprise_project_id: str | None = None) -> list[Instance]:
        return list((await self.list_whole(name=name, enterprise_project_id=enterprise_project_id)).items)

    async def list_whole(self, *, name: str | None = None, enterprise_project_id: str | None = None) -> InstancePage:
        """All pages of ListImageServers as one: each id once, `malformed` of all pages, `count` as last claimed.

        Where it ends is for `Sweep` to say. An instance deleted meanwhile moves the later ones forward, so one of them
        may be missing here. Raises CloudMalformedError when the list has no end.
        """
        found: dict[str, Instance] = {}
        malformed: dict[str, None] = {}
        count, sweep = 0, Sweep()
        while (offset := sweep.take()) is not None:
            if sweep.pages >= MAX_PAGES:
                raise CloudMalformedError(f"the list of instances has no end: {MAX_PAGES} pages were read")
            page = await self.list_page(offset=offset, name=name, enterprise_project_id=enterprise_project_id)
            sweep.answered(offset, page)
            found |= {instance.id: instance for instance in page.items if instance.id not in found}
            malformed |= dict.fromkeys(page.malformed)
            count = page.count
        return InstancePage(count=count, items=tuple(found.values()), malformed=tuple(malformed))

    async def jobs(self, job_type: str, *, status: str | None = None) -> list[Job]:
        return await self._get(
            "ListImageJobs",
            "image-server-jobs",
            wire.parse_jobs,
            job_type=job_type,
            status=status,
            offset="0",
            limit=str(PAGE_LIMIT),
        )

    async def sub_jobs(
        self,
        job_type: str,
        *,
        job_id: str | None = None,
        status: str | None = None,
        offset: int = 0,
        limit: int = PAGE_LIMIT,
    ) -> list[SubJob]:
        return await self._get(
            "ListImageSubJobs",
            "image-server-sub-jobs",
            wire.parse_sub_jobs,
            job_type=job_type,
            job_id=job_id,
            status=status,
            offset=str(offset),
            limit=str(limit),
        )

    async def job(self, job_id: str) -> Job:
        return await self._get(
            "ShowImageJob",
            f"image-server-jobs/{encode_segment(job_id)}",
            lambda answer: wire.parse_job(answer, asked=job_id),
            names_one=True,
        )

    async def has_new_credential(self) -> bool:
        return await self._caller.has_new_credential()

    async def close(self) -> None:
        await self._project.close()
        await self._authenticator.close()
        await self._transport.close()

    async def _get(
        self,
        operation: str,
        path: str,
        parse: Callable[[Answer], T],
        *,
        names_one: bool = False,
        **query: str | None,
    ) -> T:
        request = await self._request(path, encode_query(_given(query.items())) if query else "")
        return await self._caller.call(operation, request, parse, names_one=names_one)

    async def _request(self, path: str, query: str = "") -> Request:
        project_id = self._project_id or await self.project_id()
        return Request(endpoint=self._endpoint, path=f"/v1/{project_id}/{path}", query=query, project_id=project_id)

    async def _find_project(self) -> str:
        project_id = await self._caller.project_id()
        if project_id:
            return encode_segment(project_id)
        try:
            url = self._iam_endpoint or self._authenticator.iam_endpoint
            endpoint = Endpoint.parse(url or regions.iam_endpoint(self._region, self._environment))
        except ConfigurationError as error:
            raise CloudEndpointError(f"project_id is not given and cannot be looked up: {error}") from error
        request = iam.list_projects(endpoint=endpoint, region=self._region)
        return encode_segment(await self._caller.call(iam.LIST_PROJECTS, request, iam.parse_only_project))


def _given(pairs: Iterable[tuple[str, str | None]]) -> list[tuple[str, str]]:
    return [(name, value) for name, value in pairs if value is not None]


class _Asked:
    """One instance as it is asked for again and again: the request is made once, and an answer that is byte for byte
    the one before, as most are, is not read again.
    """

    __slots__ = ("_body", "_id", "_instance", "request")

    def __init__(self, instance_id: str, request: Request) -> None:
        self.request = request
        self._id = instance_id
        self._body = b""
        self._instance: Instance | None = None

    def read(self, answer: Answer) -> Instance:
        """The instance in an answer; raises CloudMalformedError."""
        if self._instance is not None and answer.body == self._body:
            return self._instance
        instance = wire.parse_instance(answer, asked=self._id)
        if len(answer.body) <= _REMEMBERED_BYTES:
            self._body, self._instance = answer.body, instance
        return instance


class _AskedPage:
    """One page as it is asked for again and again: one that is byte for byte the one before is not read again, and of
    one that is not, only the items that differ.

    Of the bytes only a hash is kept (SipHash with this process's random key, and the length): a hundred thousand
    instances' worth of them would be most of the memory.
    """

    __slots__ = ("_items", "_offset", "_page", "_seen", "request")

    def __init__(self, offset: int, request: Request) -> None:
        self.request = request
        self._offset = offset
        self._seen: tuple[int, int] | None = None
        self._page: InstancePage | None = None
        self._items = array("q")

    def read(self, answer: Answer) -> InstancePage:
        """The page in an answer; raises CloudMalformedError."""
        seen = len(answer.body), hash(answer.body)
        if self._page is not None and seen == self._seen:
            return self._page
        known = dict(zip(self._items, self._page.items, strict=True)) if self._page is not None else {}
        page, items = wire.parse_instance_page(answer, offset=self._offset, known=known)
        self._seen, self._page, self._items = seen, page, items
        return page
