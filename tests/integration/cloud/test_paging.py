"""Lists of many pages, and clouds that count wrongly."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiohttp import web

from tests.integration.cloud.mini_cloud import PROJECT, MiniCloud
from watcher.cloud.client import MAX_PAGES, CloudClient
from watcher.core.errors import CloudMalformedError, CloudNotFoundError, CloudThrottledError

AUTH = {"method": "token", "token": "good"}


@pytest.fixture
async def cloud() -> AsyncIterator[MiniCloud]:
    async with MiniCloud() as cloud:
        cloud.tokens = {"good"}
        yield cloud


@pytest.fixture
async def client(cloud: MiniCloud) -> AsyncIterator[CloudClient]:
    client = cloud.client(AUTH)
    yield client
    await client.close()


def serve_list(
    cloud: MiniCloud,
    total: int,
    *,
    count: object = "true",
    page: int = 100,
    start_of: Callable[[int], int] = lambda offset: offset,
) -> None:
    """`count`: what is claimed ("true": the truth; None: left out); `page`: the most it gives at once."""

    async def answer(request: web.Request) -> web.Response:
        offset, limit = int(request.query["offset"]), int(request.query["limit"])
        assert 1 <= limit <= 100
        start = start_of(offset)
        items = [{"id": str(n), "name": f"i{n}"} for n in range(start, min(total, start + min(limit, page)))]
        body: dict[str, Any] = {"items": items}
        if count is not None:
            body["count"] = total if count == "true" else count
        return web.json_response(body)

    cloud.answer = answer


@pytest.mark.parametrize(("total", "requests"), [(0, 1), (1, 1), (99, 1), (100, 1), (101, 2), (200, 2), (250, 3)])
async def test_an_honest_list_takes_as_many_requests_as_pages(
    total: int, requests: int, cloud: MiniCloud, client: CloudClient
) -> None:
    serve_list(cloud, total)
    assert [instance.id for instance in await client.list_all()] == [str(n) for n in range(total)]
    assert cloud.asked["service 200"] == requests


@pytest.mark.parametrize("count", [0, -1, 1, 99, 150, 10**30, None, "x", True])
@pytest.mark.parametrize("total", [0, 1, 250])
async def test_a_lying_count_hides_nothing(count: object, total: int, cloud: MiniCloud, client: CloudClient) -> None:
    serve_list(cloud, total, count=count)
    assert len(await client.list_all()) == total
    assert cloud.asked["service 200"] <= 4


async def test_pages_shorter_than_asked_for_are_followed(cloud: MiniCloud, client: CloudClient) -> None:
    serve_list(cloud, 25, page=10)
    assert len(await client.list_all()) == 25


async def test_a_server_that_ignores_the_offset_ends(cloud: MiniCloud, client: CloudClient) -> None:
    serve_list(cloud, 500, start_of=lambda _: 0)
    assert len(await client.list_all()) == 100
    assert cloud.asked["service 200"] == 2


async def test_an_instance_that_moved_between_pages_comes_once(cloud: MiniCloud, client: CloudClient) -> None:
    serve_list(cloud, 150, start_of=lambda offset: max(0, offset - 1))
    ids = [instance.id for instance in await client.list_all()]
    assert ids == [str(n) for n in range(150)]


async def test_a_list_without_end_is_given_up(cloud: MiniCloud, client: CloudClient) -> None:
    serve_list(cloud, 10**9, page=1)
    with pytest.raises(CloudMalformedError, match="no end"):
        await client.list_all()
    assert cloud.asked["service 200"] == MAX_PAGES


async def test_malformed_items_are_reported_and_do_not_end_the_list(cloud: MiniCloud, client: CloudClient) -> None:
    async def answer(request: web.Request) -> web.Response:
        offset = int(request.query["offset"])
        items: list[object] = [{"id": str(n)} for n in range(offset, min(offset + 100, 120))]
        items[0] = {"id": str(offset), "status": []}
        return web.json_response({"count": 120, "items": items})

    cloud.answer = answer
    page = await client.list_whole()
    assert len(page.items) == 118
    assert len(page.malformed) == 2
    assert page.malformed[1].startswith("item 0 (id 100)")


async def test_filters_are_passed_on(cloud: MiniCloud, client: CloudClient) -> None:
    serve_list(cloud, 1)
    await client.list_all(name="office", enterprise_project_id="0")
    path, headers = cloud.requests[-1]
    assert path == f"/v1/{PROJECT}/image-servers?enterprise_project_id=0&limit=100&offset=0&server_name=office"
    assert headers["X-Auth-Token"] == "good"


async def test_an_error_in_the_middle_fails_the_whole(cloud: MiniCloud, client: CloudClient) -> None:
    serve_list(cloud, 250)
    honest = cloud.answer
    assert honest is not None

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.query["offset"] == "100":
            return web.json_response({"error_code": "APIGW.0308"}, status=429, headers={"Retry-After": "7"})
        return await honest(request)

    cloud.answer = answer
    with pytest.raises(CloudThrottledError) as caught:
        await client.list_all()
    assert caught.value.retry_after_s == 7


async def test_jobs_are_asked_for_as_the_reference_says(cloud: MiniCloud, client: CloudClient) -> None:
    cloud.answer = lambda _: _empty()
    assert await client.jobs("CREATE_SERVER", status="FAILED") == []
    assert await client.sub_jobs("CREATE_SERVER_IMAGE", job_id="j/1") == []
    assert await client.sub_jobs("CREATE_SERVER_IMAGE", offset=100, limit=50) == []
    paths = [path.removeprefix(f"/v1/{PROJECT}/") for path, _ in cloud.requests]
    assert paths == [
        "image-server-jobs?job_type=CREATE_SERVER&limit=100&offset=0&status=FAILED",
        "image-server-sub-jobs?job_id=j%2F1&job_type=CREATE_SERVER_IMAGE&limit=100&offset=0",
        "image-server-sub-jobs?job_type=CREATE_SERVER_IMAGE&limit=50&offset=100",
    ]


async def test_a_job_that_is_not_there(cloud: MiniCloud, client: CloudClient) -> None:
    cloud.answer = lambda _: _gone()
    with pytest.raises(CloudNotFoundError):
        await client.job("j1")
    assert cloud.requests[-1][0] == f"/v1/{PROJECT}/image-server-jobs/j1"


async def _empty() -> web.Response:
    return web.json_response({"count": 0, "items": []})


async def _gone() -> web.Response:
    return web.json_response({"error_code": "WKS.00211902", "error_msg": "no"}, status=404)
