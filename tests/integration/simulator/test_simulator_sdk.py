"""The vendor's own SDK, with its own signing and HTTP client, as a client of the simulator."""

import asyncio
import importlib
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from watcher.simulator import Fault, Scenario, Simulator
from watcher.simulator.wire import stamp

pytestmark = [
    # The SDK reads the clock the way Python 3.12 deprecates.
    pytest.mark.filterwarnings(r"ignore:datetime\.datetime\.utc:DeprecationWarning"),
    # Without dateutil the SDK hands out times as the text they came as; it says so at each one.
    pytest.mark.filterwarnings("ignore:Unable to convert string to datetime:ImportWarning"),
]


class Sdk:
    """The SDK's client for a simulator; `ask` calls one of its blocking operations in a thread."""

    def __init__(self, simulator: Simulator, *, access: str = "", secret: str = "", security_token: str = "") -> None:
        self.model = importlib.import_module("huaweicloudsdkworkspaceapp.v1")
        self.errors = importlib.import_module("huaweicloudsdkcore.exceptions.exceptions")
        known = simulator.credentials
        credentials = importlib.import_module("huaweicloudsdkcore.auth.credentials").BasicCredentials(
            access or known.access_key, secret or known.secret_key, known.project_id
        )
        if security_token:
            credentials = credentials.with_security_token(security_token)
        builder = self.model.WorkspaceAppClient.new_builder().with_credentials(credentials)
        self.client = builder.with_endpoint(simulator.url).build()

    async def ask(self, operation: str, request: str, **arguments: Any) -> Any:
        call: Callable[[Any], Any] = getattr(self.client, operation)
        return await asyncio.to_thread(call, getattr(self.model, request)(**arguments))

    async def show(self, server_id: str) -> Any:
        return await self.ask("show_image_server", "ShowImageServerRequest", server_id=server_id)


@pytest.fixture(autouse=True)
def _home(tmp_path: Path) -> Iterator[None]:
    # Importing the SDK, and each of its clients, writes an id into the home directory.
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path))
        yield


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator(Scenario(), speed=0) as running:
        yield running


@pytest.fixture
async def sdk(simulator: Simulator) -> Sdk:
    return Sdk(simulator)


async def test_show_reads_every_field(simulator: Simulator, sdk: Sdk) -> None:
    server_id = simulator.world.put(name="office", status="BUILT", image_id="image")
    shown = await sdk.show(server_id)
    assert (shown.id, shown.name, shown.status, shown.image_id) == (server_id, "office", "BUILT", "image")
    assert shown.image_ref.image_type == "gold"
    assert shown.authorize_accounts[0].account_type == "USER"
    # The SDK gives text, or a datetime where it finds dateutil.
    assert datetime.fromisoformat(str(shown.create_time)) == datetime.fromisoformat(stamp(simulator.clock.start))
    assert None not in {
        getattr(shown, name) for name in shown.attribute_map if name not in ("image_ref", "authorize_accounts")
    }


async def test_list_pages_and_filters(simulator: Simulator, sdk: Sdk) -> None:
    ids = [simulator.world.put(name=f"vdi {n} 中/~") for n in range(25)]

    async def listed(**query: Any) -> tuple[int, list[str]]:
        answer = await sdk.ask("list_image_servers", "ListImageServersRequest", **query)
        return answer.count, [item.id for item in answer.items]

    assert await listed() == (25, ids[:10])
    assert await listed(offset=20, limit=100) == (25, ids[20:])
    assert await listed(server_name="vdi 7 中/~") == (1, [ids[7]])
    assert await listed(server_id=ids[3]) == (1, [ids[3]])
    assert await listed(server_id="unknown") == (0, [])
    assert await listed(enterprise_project_id="0", limit=1) == (25, ids[:1])
    assert await listed(enterprise_project_id="other") == (0, [])


async def test_a_whole_life(simulator: Simulator, sdk: Sdk) -> None:
    model = sdk.model
    image = model.ImageRef(id="i", image_type="private")
    created = await sdk.ask(
        "create_image_server",
        "CreateImageServerRequest",
        body=model.CreateImageServerReq(name="office-2026", description="d", image_ref=image),
    )
    [server_id] = simulator.world.ids()
    creating = await sdk.show(server_id)
    assert (creating.status, creating.server_id, creating.image_id) == ("CREATING", "", "")
    assert (creating.description, creating.image_ref.image_type) == ("d", "private")

    simulator.advance(600)
    assert (await sdk.show(server_id)).status == "ACTIVE"
    job = await sdk.ask("show_image_job", "ShowImageJobRequest", job_id=created.job_id)
    assert (job.status, job.sub_jobs[0].job_resource_info.resource_id) == ("SUCCESS", server_id)

    recreated = await sdk.ask("recreate_server_image", "RecreateServerImageRequest", server_id=server_id)
    assert (await sdk.show(server_id)).status == "BUILDING"
    simulator.advance(1800)
    built = await sdk.show(server_id)
    subs = await sdk.ask(
        "list_image_sub_jobs", "ListImageSubJobsRequest", job_type="CREATE_SERVER_IMAGE", job_id=recreated.job_id
    )
    assert built.status == "BUILT"
    assert subs.items[0].job_resource_info.resource_id == built.image_id
    assert subs.items[0].job_resource_info.resource_name == "office-2026"
    assert subs.items[0].job_execute_info.error_code == ""

    await sdk.ask(
        "batch_delete_image_server",
        "BatchDeleteImageServerRequest",
        body=model.BatchDeleteImageServerReq(items=[server_id], recursive=True),
    )
    assert (await sdk.show(server_id)).status == "DELETING"
    simulator.advance(120)
    with pytest.raises(sdk.errors.ClientRequestException) as gone:
        await sdk.show(server_id)
    assert (gone.value.status_code, gone.value.error_code) == (404, "WKS.00211902")
    jobs = await sdk.ask("list_image_jobs", "ListImageJobsRequest", job_type="DELETE_SERVER", status="SUCCESS")
    assert (jobs.count, jobs.items[0].sub_jobs_total) == (1, 1)


async def test_a_failed_build_tells_why(simulator: Simulator, sdk: Sdk) -> None:
    server_id = simulator.world.put(name="office", image_id="old")
    job_id = simulator.world.recreate(server_id, outcome="no_image")
    running = await sdk.ask("show_image_job", "ShowImageJobRequest", job_id=job_id)
    assert (running.status, running.end_time) == ("RUNNING", None)
    simulator.advance(1800)
    assert (await sdk.show(server_id)).image_id == "old"
    job = await sdk.ask("show_image_job", "ShowImageJobRequest", job_id=job_id)
    assert job.status == "FAILED"
    assert job.sub_jobs[0].job_execute_info.error_code == "WKS.00170211"


async def test_operations_refused_by_status(simulator: Simulator, sdk: Sdk) -> None:
    server_id = simulator.world.create(name="office")
    with pytest.raises(sdk.errors.ClientRequestException) as refused:
        await sdk.ask("recreate_server_image", "RecreateServerImageRequest", server_id=server_id)
    assert (refused.value.status_code, refused.value.error_code) == (400, "WKS.00211105")
    assert len(refused.value.request_id) == 32


async def test_a_wrong_secret_is_refused(simulator: Simulator) -> None:
    sdk = Sdk(simulator, secret="wrong")
    with pytest.raises(sdk.errors.ClientRequestException) as refused:
        await sdk.show("1")
    assert (refused.value.status_code, refused.value.error_code) == (401, "APIGW.0301")


async def test_temporary_keys_work(simulator: Simulator) -> None:
    key = simulator.keys.issue()
    server_id = simulator.world.put()
    sdk = Sdk(simulator, access=key.access, secret=key.secret, security_token=key.security_token)
    assert (await sdk.show(server_id)).id == server_id


async def test_the_sdk_finds_the_project_by_itself(simulator: Simulator, sdk: Sdk) -> None:
    known = simulator.credentials
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HUAWEICLOUD_SDK_IAM_ENDPOINT", simulator.url)
        credentials = importlib.import_module("huaweicloudsdkcore.auth.credentials").BasicCredentials(
            known.access_key, known.secret_key
        )
        region = importlib.import_module("huaweicloudsdkcore.region.region").Region(known.region, simulator.url)
        builder = sdk.model.WorkspaceAppClient.new_builder().with_credentials(credentials).with_region(region)
        client = await asyncio.to_thread(builder.build)
    server_id = simulator.world.put()
    shown = await asyncio.to_thread(client.show_image_server, sdk.model.ShowImageServerRequest(server_id=server_id))
    assert shown.id == server_id
    assert simulator.requests.count("KeystoneListProjects", 200) == 1


async def test_a_fault_reaches_the_sdk(simulator: Simulator, sdk: Sdk) -> None:
    simulator.faults.add(Fault(kind="error", status=503))
    with pytest.raises(sdk.errors.ServerResponseException) as refused:
        await sdk.show("1")
    assert (refused.value.status_code, refused.value.error_code) == (503, "WKS.00050902")
