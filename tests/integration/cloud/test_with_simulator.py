"""The client and the simulated cloud, each written from the reference alone, understand each other."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from watcher.cloud.client import CloudClient
from watcher.cloud.settings import ConnectionSettings
from watcher.core.clock import SystemClock
from watcher.core.errors import CloudAuthError, CloudNotFoundError
from watcher.simulator.simulator import Simulator

Auth = Callable[[Simulator], dict[str, Any]]

METHODS: dict[str, Auth] = {
    "aksk": lambda sim: {
        "method": "aksk",
        "access_key": sim.credentials.access_key,
        "secret_key": sim.credentials.secret_key,
    },
    "password": lambda sim: {
        "method": "password",
        "user": sim.credentials.user,
        "domain": sim.credentials.domain,
        "password": sim.credentials.password,
    },
    "metadata": lambda sim: {"method": "metadata", "metadata_url": sim.url},
}


@pytest.fixture
async def sim() -> AsyncIterator[Simulator]:
    async with Simulator() as sim:
        yield sim


def client_of(sim: Simulator, auth: dict[str, Any], seen: list[tuple[str, str]] | None = None) -> CloudClient:
    return CloudClient(
        settings=ConnectionSettings.model_validate(
            {"region": sim.credentials.region, "endpoint": sim.url, "iam_endpoint": sim.url, "auth": auth}
        ),
        clock=SystemClock(),
        environment={},
        on_request=lambda operation, code, _: seen.append((operation, code)) if seen is not None else None,
    )


@pytest.mark.parametrize("method", METHODS)
async def test_every_operation(sim: Simulator, method: str) -> None:
    client = client_of(sim, METHODS[method](sim))
    listed = await client.list_all()
    assert len(listed) == 5
    assert await client.show(listed[0].id) == listed[0]
    assert [instance.name for instance in await client.list_all(name="office-2026")] == ["office-2026"]
    (job,) = await client.jobs("CREATE_SERVER")
    (step,) = await client.sub_jobs("CREATE_SERVER", job_id=job.id)
    assert step.resource_name == "call-centre"
    assert (await client.job(job.id)).sub_jobs == (step,)
    with pytest.raises(CloudNotFoundError):
        await client.show("5")
    await client.close()


@pytest.mark.parametrize("method", METHODS)
async def test_the_project_is_found(sim: Simulator, method: str) -> None:
    client = client_of(sim, METHODS[method](sim))
    assert await client.project_id() == sim.credentials.project_id
    await client.close()


async def test_a_wrong_key_is_refused(sim: Simulator) -> None:
    auth = {"method": "aksk", "access_key": sim.credentials.access_key, "secret_key": "wrong"}
    client = client_of(sim, auth)
    with pytest.raises(CloudAuthError, match="verify aksk signature fail"):
        await client.list_all()
    await client.close()


async def test_expired_tokens_are_replaced(sim: Simulator) -> None:
    seen: list[tuple[str, str]] = []
    client = client_of(sim, METHODS["password"](sim), seen)
    await client.list_all()
    sim.tokens.expire_all()
    seen.clear()
    await client.list_all()
    await client.close()
    assert seen == [("ListImageServers", "401"), ("CreateToken", "201"), ("ListImageServers", "200")]
