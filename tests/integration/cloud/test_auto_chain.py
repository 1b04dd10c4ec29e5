"""`auto`: the vendor SDK's chain, in its order, and what it says when nothing is found."""

from __future__ import annotations

import traceback
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.integration.cloud.mini_cloud import PROJECT, SERVER_ID, MiniCloud
from tests.integration.cloud.raw_server import serve, silence
from watcher.cloud.auth.metadata import LOCAL_TIMEOUT, MetadataService
from watcher.cloud.auth.profile import ProfileAuthenticator
from watcher.cloud.client import CloudClient
from watcher.cloud.exchange import Endpoint
from watcher.cloud.transport import Transport
from watcher.core.clock import SystemClock
from watcher.core.errors import CloudAuthError, CloudEndpointError, CloudUnavailableError

ENVIRONMENT = {"HUAWEICLOUD_SDK_AK": "ENV", "HUAWEICLOUD_SDK_SK": "env-secret"}


@pytest.fixture
async def cloud() -> AsyncIterator[MiniCloud]:
    async with MiniCloud() as cloud:
        cloud.keys = {"ENV": ("env-secret", ""), "PROFILE": ("profile-secret", "profile-token")}
        yield cloud


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / ".huaweicloud"
    folder.mkdir()
    (folder / "credentials").write_text(
        "[basic]\nak = PROFILE\nsk = profile-secret\nsecurity_token = profile-token\n", encoding="utf-8"
    )
    return tmp_path


def client_of(cloud: MiniCloud, environment: dict[str, str], **settings: Any) -> CloudClient:
    return cloud.client({"method": "auto", "metadata_url": cloud.url}, environment=environment, **settings)


def pod_environment(cloud: MiniCloud, folder: Path) -> dict[str, str]:
    (folder / "pod-token").write_text("pod-token\n", encoding="utf-8")
    cloud.pod_tokens = {"pod-token"}
    return {
        "HC_CONTAINER_CREDENTIALS_FULL_URI": f"{cloud.url}/pod",
        "HC_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(folder / "pod-token"),
    }


async def used_key(cloud: MiniCloud, client: CloudClient) -> str:
    try:
        await client.show(SERVER_ID)
    finally:
        await client.close()
    return cloud.requests[-1][1]["Authorization"].partition("Access=")[2].partition(",")[0]


def asked_for_keys(cloud: MiniCloud) -> list[str]:
    return [path for path, _ in cloud.requests if not path.startswith("/v1")]


async def test_the_environment_comes_first(cloud: MiniCloud, home: Path) -> None:
    cloud.give_temporary_key("TEMP")
    environment = {**ENVIRONMENT, "HOME": str(home), **pod_environment(cloud, home)}
    assert await used_key(cloud, client_of(cloud, environment)) == "ENV"
    assert asked_for_keys(cloud) == []


async def test_then_the_profile(cloud: MiniCloud, home: Path) -> None:
    cloud.give_temporary_key("TEMP")
    cloud.keys["PROFILE"] = ("profile-secret", "profile-token")
    environment = {"HUAWEICLOUD_SDK_AK": "ENV", "HOME": str(home), **pod_environment(cloud, home)}
    assert await used_key(cloud, client_of(cloud, environment)) == "PROFILE"
    assert asked_for_keys(cloud) == []


async def test_then_the_pod(cloud: MiniCloud, tmp_path: Path) -> None:
    cloud.give_temporary_key("TEMP")
    environment = {"HOME": str(tmp_path), **pod_environment(cloud, tmp_path)}
    assert await used_key(cloud, client_of(cloud, environment)) == "TEMP"
    assert asked_for_keys(cloud) == ["/pod"]


async def test_then_the_metadata(cloud: MiniCloud) -> None:
    cloud.give_temporary_key("TEMP")
    assert await used_key(cloud, client_of(cloud, {})) == "TEMP"
    assert asked_for_keys(cloud) == ["/meta-data/latest/api/token", "/openstack/latest/securitykey"]


async def test_the_profile_may_lie_elsewhere(cloud: MiniCloud, home: Path) -> None:
    path = (home / ".huaweicloud" / "credentials").rename(home / "elsewhere")
    environment = {"HUAWEICLOUD_SDK_CREDENTIALS_FILE": str(path)}
    assert await used_key(cloud, client_of(cloud, environment)) == "PROFILE"


async def test_nothing_found_is_one_error_that_lists_what_was_tried(cloud: MiniCloud, tmp_path: Path) -> None:
    client = client_of(cloud, {"HUAWEICLOUD_SDK_AK": "ENV", "HOME": str(tmp_path)})
    with pytest.raises(CloudAuthError) as caught:
        await client.show(SERVER_ID)
    told = str(caught.value)
    for part in (
        "environment (HUAWEICLOUD_SDK_SK not set)",
        ".huaweicloud/credentials cannot be read: No such file",
        "HC_CONTAINER_CREDENTIALS_FULL_URI and HC_CONTAINER_AUTHORIZATION_TOKEN_FILE not set",
        "ECS metadata (the ECS metadata service gives no key: has this ECS an agency? (HTTP 401))",
        "Set HUAWEICLOUD_SDK_AK and HUAWEICLOUD_SDK_SK, or choose another auth.method",
    ):
        assert part in told
    assert told.isprintable()
    cloud.give_temporary_key("TEMP")
    assert await used_key(cloud, client) == "TEMP"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[global]\nak=A\nsk=hunter2",
        b"[basic]\nak=A",
        b"hunter2",
        b"[basic]\nhunter2\n",
        b"\xff\xfe",
        b"[basic\nx",
    ],
)
async def test_a_damaged_profile_is_told_of_without_its_content(
    cloud: MiniCloud, tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "profile"
    path.write_bytes(content)
    client = client_of(cloud, {"HUAWEICLOUD_SDK_CREDENTIALS_FILE": str(path)})
    with pytest.raises(CloudAuthError, match="profile") as from_client:
        await client.show(SERVER_ID)
    await client.close()
    with pytest.raises(CloudAuthError, match="profile") as from_profile:
        await ProfileAuthenticator(path).credential()
    assert "hunter2" not in str(from_client.value)
    assert "hunter2" not in "".join(traceback.format_exception(from_profile.value))


async def test_the_credential_brings_its_project_and_iam_endpoint(cloud: MiniCloud, home: Path) -> None:
    client = client_of(cloud, {**ENVIRONMENT, "HUAWEICLOUD_SDK_PROJECT_ID": "p-env"}, project_id=None)
    assert await client.project_id() == "p-env"
    await client.close()

    path = home / ".huaweicloud" / "credentials"
    path.write_text(f"[basic]\nak=ENV\nsk=env-secret\niam_endpoint={cloud.url}\n", encoding="utf-8")
    environment = {"HOME": str(home), "HUAWEICLOUD_SDK_IAM_ENDPOINT": "http://127.0.0.1:1"}
    client = client_of(cloud, environment, project_id=None, iam_endpoint=None)
    assert await client.project_id() == PROJECT
    await client.close()

    path.write_text("[basic]\nak=ENV\nsk=env-secret\nproject_id=p-profile\n", encoding="utf-8")
    client = client_of(cloud, {"HOME": str(home)}, project_id=None)
    assert await client.project_id() == "p-profile"
    await client.close()


async def test_a_configured_project_wins(cloud: MiniCloud) -> None:
    client = client_of(cloud, {**ENVIRONMENT, "HUAWEICLOUD_SDK_PROJECT_ID": "p-env"})
    assert await client.project_id() == PROJECT
    await client.close()


async def test_several_projects_are_not_guessed_between(cloud: MiniCloud) -> None:
    cloud.projects.append({"id": "other", "name": "ap-southeast-3"})
    client = client_of(cloud, ENVIRONMENT, project_id=None)
    with pytest.raises(CloudEndpointError, match=f"2 projects.*{PROJECT}, other"):
        await client.show(SERVER_ID)
    await client.close()


async def test_temporary_keys_are_refreshed_when_less_than_forty_minutes_are_left(cloud: MiniCloud) -> None:
    cloud.give_temporary_key("FIRST", life=timedelta(hours=2))
    client = client_of(cloud, {})
    await client.show(SERVER_ID)
    cloud.give_temporary_key("SECOND")
    cloud.keys["FIRST"] = ("secret-of-FIRST", "token-of-FIRST")  # both are good for a while
    await cloud.clock.advance(79 * 60)
    await client.show(SERVER_ID)
    assert "Access=FIRST" in cloud.requests[-1][1]["Authorization"]
    await cloud.clock.advance(2 * 60)
    for _ in range(20):
        await client.show(SERVER_ID)
    assert "Access=SECOND" in cloud.requests[-1][1]["Authorization"]
    assert cloud.asked["/openstack/latest/securitykey 200"] == 2
    await client.close()


async def test_a_key_is_used_to_its_end_when_no_other_can_be_had(cloud: MiniCloud) -> None:
    cloud.give_temporary_key("FIRST", life=timedelta(hours=2))
    client = client_of(cloud, {})
    await client.show(SERVER_ID)
    cloud.temporary = {}
    await cloud.clock.advance(110 * 60)
    for _ in range(10):
        await client.show(SERVER_ID)
    await cloud.clock.advance(11 * 60)
    with pytest.raises(CloudAuthError, match="agency"):
        await client.show(SERVER_ID)
    await client.close()


async def test_a_silent_metadata_service_is_soon_given_up() -> None:
    transport = Transport(
        clock=SystemClock(), on_request=lambda *_: None, timeout_s=10, concurrency=1, user_agent="watcher"
    )
    async with serve(silence) as address:
        service = MetadataService(
            transport=transport, endpoint=Endpoint.parse(f"http://{address}"), timeout=aiohttp.ClientTimeout(total=0.05)
        )
        with pytest.raises(CloudUnavailableError, match=r"no answer within 0\.05 s"):
            await service.fetch()
    await transport.close()
    assert LOCAL_TIMEOUT.total == 3


async def test_the_metadata_service_is_asked_past_the_proxy(cloud: MiniCloud) -> None:
    cloud.give_temporary_key("TEMP")
    client = client_of(cloud, {}, proxy_url="http://127.0.0.1:1")
    with pytest.raises(CloudUnavailableError):
        await client.show(SERVER_ID)
    await client.close()
    assert cloud.asked["/openstack/latest/securitykey 200"] == 1
