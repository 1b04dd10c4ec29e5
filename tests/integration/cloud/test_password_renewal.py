"""Tokens got by password: renewed in time, once, and never by hammering."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path

import pytest

from tests.integration.cloud.mini_cloud import PROJECT, REGION, SERVER_ID, MiniCloud
from watcher.cloud.client import CloudClient
from watcher.core.errors import (
    CloudAuthError,
    CloudEndpointError,
    CloudError,
    CloudMalformedError,
    CloudThrottledError,
    CloudUnavailableError,
    ConfigurationError,
)

SHOW = "ShowImageServer"
LOGIN = "CreateToken"


@pytest.fixture
async def cloud() -> AsyncIterator[MiniCloud]:
    async with MiniCloud() as cloud:
        cloud.passwords = {"hunter2"}
        yield cloud


@pytest.fixture
def seen() -> list[tuple[str, str]]:
    return []


@pytest.fixture
def password_file(tmp_path: Path) -> Path:
    path = tmp_path / "password"
    path.write_text("hunter2\n", encoding="utf-8")
    return path


@pytest.fixture
async def client(cloud: MiniCloud, seen: list[tuple[str, str]], password_file: Path) -> AsyncIterator[CloudClient]:
    auth = {"method": "password", "user": "u", "domain": "d", "password_file": str(password_file)}
    client = cloud.client(auth, seen=seen)
    yield client
    await client.close()


def logins(cloud: MiniCloud) -> int:
    return len(cloud.login_bodies)


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop run until something is so; real I/O is under way."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - there is no event for what a server has seen
            await asyncio.sleep(0)  # noqa: TID251 - yields to the loop, waits for nothing


async def test_it_asks_iam_as_the_reference_says(cloud: MiniCloud, client: CloudClient) -> None:
    await client.show(SERVER_ID)
    (path, headers), (_, sent) = cloud.requests
    assert path == "/v3/auth/tokens?nocatalog=true"
    assert headers["Content-Type"] == "application/json"
    assert cloud.login_bodies == [
        {
            "auth": {
                "identity": {
                    "methods": ["password"],
                    "password": {"user": {"name": "u", "password": "hunter2", "domain": {"name": "d"}}},
                },
                "scope": {"project": {"id": PROJECT}},
            }
        }
    ]
    assert sent["X-Auth-Token"] == "iam-token-1"


async def test_without_a_project_the_region_is_the_scope_and_the_token_tells_the_project(cloud: MiniCloud) -> None:
    auth = {"method": "password", "user": "u", "domain": "d", "password": "hunter2"}
    client = cloud.client(auth, project_id=None)
    assert await client.project_id() == PROJECT
    await client.close()
    assert cloud.login_bodies[0]["auth"]["scope"] == {"project": {"name": REGION}}
    assert cloud.asked["/v3/projects 200"] == 0


async def test_many_at_once_log_in_once(cloud: MiniCloud, client: CloudClient) -> None:
    cloud.gate.clear()
    wanted = [asyncio.create_task(client.show(SERVER_ID)) for _ in range(16)]
    await until(lambda: logins(cloud) == 1)
    cloud.gate.set()
    await asyncio.gather(*wanted)
    assert logins(cloud) == 1


async def test_a_token_is_renewed_half_an_hour_before_it_ends(cloud: MiniCloud, client: CloudClient) -> None:
    await client.show(SERVER_ID)
    await cloud.clock.advance(23.4 * 3600)
    await client.show(SERVER_ID)
    assert logins(cloud) == 1
    await cloud.clock.advance(0.2 * 3600)
    await client.show(SERVER_ID)
    await until(lambda: logins(cloud) == 2)


async def test_the_old_token_serves_until_the_new_one_is_there(cloud: MiniCloud, client: CloudClient) -> None:
    await client.show(SERVER_ID)
    await cloud.clock.advance(23.6 * 3600)
    cloud.gate.clear()
    for _ in range(5):
        await client.show(SERVER_ID)
    await until(lambda: logins(cloud) == 2)
    assert [sent["X-Auth-Token"] for path, sent in cloud.requests if "v1" in path] == ["iam-token-1"] * 6
    cloud.gate.set()
    await until(lambda: cloud.asked["/v3/auth/tokens 201"] == 2)
    async with asyncio.timeout(5):
        while cloud.requests[-1][1].get("X-Auth-Token") != "iam-token-2":
            await client.show(SERVER_ID)
    assert logins(cloud) == 2


async def test_a_failed_renewal_is_tried_again_later_not_at_every_request(
    cloud: MiniCloud, client: CloudClient
) -> None:
    await client.show(SERVER_ID)
    await cloud.clock.advance(23.6 * 3600)
    cloud.login_status = 503
    for _ in range(5):
        await client.show(SERVER_ID)
        await until(lambda: cloud.asked["/v3/auth/tokens 503"] == 1)
    cloud.login_status = None
    await cloud.clock.advance(61)
    await client.show(SERVER_ID)
    await until(lambda: cloud.asked["/v3/auth/tokens 201"] == 2)
    assert logins(cloud) == 3


async def test_an_expired_token_is_not_used(cloud: MiniCloud, client: CloudClient) -> None:
    await client.show(SERVER_ID)
    cloud.tokens.clear()
    await cloud.clock.advance(25 * 3600)
    await client.show(SERVER_ID)
    assert cloud.asked["service 401"] == 0


async def test_a_token_that_dies_early_is_replaced_once(
    cloud: MiniCloud, client: CloudClient, seen: list[tuple[str, str]]
) -> None:
    await client.show(SERVER_ID)
    cloud.tokens.clear()
    seen.clear()
    await client.show(SERVER_ID)
    assert seen == [(SHOW, "401"), (LOGIN, "201"), (SHOW, "200")]


@pytest.mark.parametrize("ahead", [timedelta(hours=-40), timedelta(0), timedelta(hours=40)])
async def test_a_wrong_wall_clock_neither_renews_nor_keeps_tokens(
    ahead: timedelta, cloud: MiniCloud, client: CloudClient
) -> None:
    cloud.iam_is_ahead = ahead
    await client.show(SERVER_ID)
    cloud.clock.jump(40 * 3600)
    for _ in range(3):
        await client.show(SERVER_ID)
    assert logins(cloud) == 1
    cloud.tokens.clear()
    await cloud.clock.advance(24 * 3600)
    await client.show(SERVER_ID)
    assert cloud.asked["service 401"] == 0


async def test_a_short_lived_token_is_renewed_at_half_its_life(cloud: MiniCloud, client: CloudClient) -> None:
    cloud.token_life = timedelta(minutes=20)
    await client.show(SERVER_ID)
    await cloud.clock.advance(9 * 60)
    await client.show(SERVER_ID)
    assert logins(cloud) == 1
    await cloud.clock.advance(2 * 60)
    await client.show(SERVER_ID)
    await until(lambda: logins(cloud) == 2)


async def test_a_refused_password_is_not_tried_again_for_more_than_five_minutes(
    cloud: MiniCloud, client: CloudClient
) -> None:
    cloud.passwords.clear()
    for _ in range(10):
        with pytest.raises(CloudAuthError) as caught:
            await client.show(SERVER_ID)
        assert "hunter2" not in str(caught.value)
    with pytest.raises(CloudAuthError) as caught:
        await client.show(SERVER_ID)
    assert "the same password is not tried again for 0:06:00" in str(caught.value)
    assert caught.value.retry_after_s == 360
    await cloud.clock.advance(5 * 60)
    with pytest.raises(CloudAuthError):
        await client.show(SERVER_ID)
    assert logins(cloud) == 1
    await cloud.clock.advance(61)
    cloud.passwords = {"hunter2"}
    await client.show(SERVER_ID)
    assert logins(cloud) == 2


async def test_a_changed_password_is_tried_at_once(cloud: MiniCloud, client: CloudClient, password_file: Path) -> None:
    cloud.passwords = {"correct horse"}
    with pytest.raises(CloudAuthError):
        await client.show(SERVER_ID)
    password_file.write_text("correct horse", encoding="utf-8")
    await client.show(SERVER_ID)
    assert logins(cloud) == 2


async def test_a_refused_password_is_nothing_new_and_a_changed_one_is_tried_once(
    cloud: MiniCloud, client: CloudClient, password_file: Path
) -> None:
    cloud.passwords = {"correct horse"}
    with pytest.raises(CloudAuthError):
        await client.show(SERVER_ID)
    for _ in range(2):
        assert not await client.has_new_credential()
        await cloud.clock.advance(361)  # not even after the pause: that try belongs to a request
    assert logins(cloud) == 1
    password_file.write_text("wrong again", encoding="utf-8")
    for _ in range(3):
        assert not await client.has_new_credential()
    assert logins(cloud) == 2
    password_file.write_text("correct horse", encoding="utf-8")
    for _ in range(3):
        assert await client.has_new_credential()
    await client.show(SERVER_ID)
    assert logins(cloud) == 3
    assert cloud.asked["service 401"] == 0


async def test_a_changed_password_is_not_tried_over_and_over_on_an_iam_that_is_unwell(
    cloud: MiniCloud, client: CloudClient, password_file: Path
) -> None:
    cloud.passwords = {"correct horse"}
    with pytest.raises(CloudAuthError):
        await client.show(SERVER_ID)
    password_file.write_text("correct horse", encoding="utf-8")
    cloud.login_status = 503
    for _ in range(3):
        assert not await client.has_new_credential()
    assert logins(cloud) == 2
    cloud.login_status = None
    await cloud.clock.advance(61)
    assert await client.has_new_credential()
    assert logins(cloud) == 3


async def test_a_login_refused_after_its_token_died_is_nothing_new(
    cloud: MiniCloud, client: CloudClient, password_file: Path
) -> None:
    await client.show(SERVER_ID)
    cloud.tokens.clear()
    cloud.passwords = {"correct horse"}
    with pytest.raises(CloudAuthError):
        await client.show(SERVER_ID)
    before = len(cloud.requests)
    assert not await client.has_new_credential()
    assert len(cloud.requests) == before
    password_file.write_text("correct horse", encoding="utf-8")
    assert await client.has_new_credential()
    await client.show(SERVER_ID)


async def test_an_unreadable_password_file_is_an_auth_error_until_it_is_back(
    client: CloudClient, password_file: Path
) -> None:
    password_file.unlink()
    with pytest.raises(CloudAuthError, match="cannot read the secret file"):
        await client.show(SERVER_ID)
    password_file.write_text("hunter2", encoding="utf-8")
    await client.show(SERVER_ID)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (200, CloudMalformedError),
        (201, CloudMalformedError),
        (400, CloudEndpointError),
        (404, CloudEndpointError),
        (429, CloudThrottledError),
        (500, CloudUnavailableError),
    ],
)
async def test_what_else_iam_may_say(
    status: int, kind: type[CloudError], cloud: MiniCloud, client: CloudClient, seen: list[tuple[str, str]]
) -> None:
    cloud.login_status = status
    with pytest.raises(CloudError) as caught:
        await client.show(SERVER_ID)
    assert type(caught.value) is kind
    assert seen == [(LOGIN, "malformed" if kind is CloudMalformedError else str(status))]
    cloud.login_status = None
    await client.show(SERVER_ID)


async def test_iam_must_be_known_beforehand(cloud: MiniCloud) -> None:
    auth = {"method": "password", "user": "u", "domain": "d", "password": "hunter2"}
    with pytest.raises(ConfigurationError, match="iam_endpoint"):
        cloud.client(auth, region="my-own-1", iam_endpoint=None)
    client = cloud.client(
        auth, region="my-own-1", iam_endpoint=None, environment={"HUAWEICLOUD_SDK_IAM_ENDPOINT": cloud.url}
    )
    await client.show(SERVER_ID)
    await client.close()


async def test_closing_ends_a_login_under_way(cloud: MiniCloud, client: CloudClient) -> None:
    cloud.gate.clear()
    wanted = asyncio.create_task(client.show(SERVER_ID))
    await until(lambda: logins(cloud) == 1)
    await client.close()
    with pytest.raises(asyncio.CancelledError):
        await wanted
