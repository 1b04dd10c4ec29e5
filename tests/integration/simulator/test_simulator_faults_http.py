"""What each fault looks like to a client, and the control endpoints."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import pytest

from watcher.simulator import Fault, Scenario, Simulator


class Pauses:
    """Notes how long it was to pause, and does not."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


@pytest.fixture
def pauses() -> Pauses:
    return Pauses()


@pytest.fixture
async def simulator(pauses: Pauses) -> AsyncIterator[Simulator]:
    async with Simulator(Scenario(), speed=0, pause=pauses) as running:
        running.world.put(id="1", name="one")
        running.world.put(id="2", name="two")
        yield running


@pytest.fixture
async def client(simulator: Simulator) -> AsyncIterator[aiohttp.ClientSession]:
    token, _ = simulator.tokens.issue()
    async with aiohttp.ClientSession(simulator.url, headers={"X-Auth-Token": token}) as session:
        yield session


@pytest.fixture
def show(simulator: Simulator, client: aiohttp.ClientSession) -> Callable[[str], Any]:
    return lambda server_id: client.get(f"/v1/{simulator.credentials.project_id}/image-servers/{server_id}")


def listing(simulator: Simulator) -> str:
    return f"/v1/{simulator.credentials.project_id}/image-servers"


async def test_latency(simulator: Simulator, pauses: Pauses, show: Callable[[str], Any]) -> None:
    simulator.faults.add(Fault(kind="latency", ms=250))
    async with show("1") as answer:
        assert answer.status == 200
    assert pauses.seconds == [0.25]


@pytest.mark.parametrize(("retry_after", "header"), [(None, None), (3, "3"), (0.5, "0.5")])
async def test_throttle(
    simulator: Simulator, show: Callable[[str], Any], retry_after: float | None, header: str | None
) -> None:
    simulator.faults.add(Fault(kind="throttle", retry_after=retry_after))
    async with show("1") as answer:
        body = await answer.json()
        assert (answer.status, body["error_code"]) == (429, "APIGW.0308")
        assert answer.headers.get("Retry-After") == header


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        (Fault(kind="error"), 500, "WKS.00211401"),
        (Fault(kind="error", status=503), 503, "WKS.00050902"),
        (Fault(kind="error", status=403, code="WKS.00081102", message="no"), 403, "WKS.00081102"),
    ],
)
async def test_error(simulator: Simulator, show: Callable[[str], Any], fault: Fault, status: int, code: str) -> None:
    simulator.faults.add(fault)
    async with show("1") as answer:
        assert (answer.status, (await answer.json())["error_code"]) == (status, code)


async def test_error_of_iam(simulator: Simulator, client: aiohttp.ClientSession) -> None:
    simulator.faults.add(Fault(kind="error", operation="Keystone*"))
    async with client.get("/v3/projects") as answer:
        assert (await answer.json())["error"]["code"] == 500


async def test_reset_is_a_reset_and_not_a_close(simulator: Simulator, show: Callable[[str], Any]) -> None:
    simulator.faults.add(Fault(kind="reset", count=2))
    # aiohttp repeats a GET once when the connection breaks: one reset alone would not show.
    with pytest.raises(aiohttp.ClientOSError, match="reset by peer"):
        await show("1")
    assert simulator.requests.count("ShowImageServer", 0) == 2
    async with show("1") as answer:
        assert answer.status == 200


async def test_truncated(simulator: Simulator, show: Callable[[str], Any]) -> None:
    simulator.faults.add(Fault(kind="truncated"))
    async with show("1") as answer:
        assert answer.status == 200
        assert "X-Request-Id" in answer.headers
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.read()


@pytest.mark.parametrize("status", [200, 502])
async def test_html(simulator: Simulator, show: Callable[[str], Any], status: int) -> None:
    simulator.faults.add(Fault(kind="html", status=status))
    async with show("1") as answer:
        assert (answer.status, answer.content_type) == (status, "text/html")
        assert "<html>" in await answer.text()


async def test_empty(simulator: Simulator, show: Callable[[str], Any]) -> None:
    simulator.faults.add(Fault(kind="empty"))
    async with show("1") as answer:
        assert (answer.status, await answer.read()) == (200, b"")


async def test_bad_json(simulator: Simulator, show: Callable[[str], Any]) -> None:
    simulator.faults.add(Fault(kind="bad_json"))
    async with show("1") as answer:
        assert (answer.status, answer.content_type) == (200, "application/json")
        with pytest.raises(ValueError, match="Expecting"):
            await answer.json()


async def test_wrong_types(simulator: Simulator, show: Callable[[str], Any]) -> None:
    simulator.faults.add(Fault(kind="wrong_types"))
    async with show("1") as answer:
        record = await answer.json()
    assert (record["id"], record["status"], record["image_ref"]) == ("1", 7, "text")


async def test_wrong_types_of_one_item(simulator: Simulator, client: aiohttp.ClientSession) -> None:
    simulator.faults.add(Fault(kind="wrong_types", instance_id="2"))
    async with client.get(listing(simulator)) as answer:
        body = await answer.json()
    assert [item["status"] for item in body["items"]] == ["BUILT", 7]


async def test_a_fault_for_an_instance_leaves_the_others_alone(
    simulator: Simulator, show: Callable[[str], Any]
) -> None:
    simulator.faults.add(Fault(kind="error", instance_id="1"))
    async with show("1") as bad, show("2") as good:
        assert (bad.status, good.status) == (500, 200)


async def arrival(simulator: Simulator, reached: Callable[[], bool]) -> None:
    """Turns the loop, by asking something harmless, until `reached`."""
    async with asyncio.timeout(10), aiohttp.ClientSession(simulator.url) as other:
        while not reached():
            async with other.get("/_sim/state"):
                pass


async def test_hang_until_the_fault_is_removed(simulator: Simulator, show: Callable[[str], Any]) -> None:
    fault_id = simulator.faults.add(Fault(kind="hang", count=1))
    task = asyncio.ensure_future(show("1"))
    await arrival(simulator, lambda: simulator.faults.active()[0].remaining == 0)
    assert not task.done()
    simulator.faults.remove(fault_id)
    async with await task as answer:
        assert answer.status == 200
    # The hanging connection was cut, and aiohttp repeated the GET.
    assert simulator.requests.counts == {("ShowImageServer", 0): 1, ("ShowImageServer", 200): 1}


async def test_a_hanging_request_ends_with_its_client(simulator: Simulator, show: Callable[[str], Any]) -> None:
    simulator.faults.add(Fault(kind="hang", count=1))
    task = asyncio.ensure_future(show("1"))
    await arrival(simulator, lambda: simulator.faults.active()[0].remaining == 0)
    task.cancel()
    await arrival(simulator, lambda: simulator.requests.count("ShowImageServer", 0) == 1)


async def test_stopping_ends_what_hangs(show: Callable[[str], Any], simulator: Simulator) -> None:
    simulator.faults.add(Fault(kind="hang", count=1))
    task = asyncio.ensure_future(show("1"))
    await arrival(simulator, lambda: simulator.faults.active()[0].remaining == 0)
    await simulator.stop()
    assert simulator.faults.active() == []
    with pytest.raises(aiohttp.ClientError):
        await task


async def test_a_timeline_reaches_requests_without_help() -> None:
    step = {"at": "10s", "fault_on": {"id": "f", "kind": "error"}}
    scenario = Scenario.model_validate({"timeline": [step]})
    async with Simulator(scenario, speed=0) as simulator, aiohttp.ClientSession(simulator.url) as client:
        simulator.clock.advance(10)
        async with client.get(listing(simulator)) as answer:
            assert answer.status == 500


async def test_token_expiry(simulator: Simulator, show: Callable[[str], Any]) -> None:
    simulator.faults.add(Fault(kind="token_expiry"))
    async with show("1") as answer:
        assert (answer.status, (await answer.json())["error_code"]) == (401, "APIGW.0301")


# -- control -----------------------------------------------------------------------------------------------------------


async def told(client: aiohttp.ClientSession, method: str, path: str, body: object = None) -> tuple[int, Any]:
    async with client.request(method, f"/_sim/{path}", json=body) as answer:
        return answer.status, await answer.json()


async def test_control_of_instances(simulator: Simulator, client: aiohttp.ClientSession) -> None:
    status, record = await told(client, "POST", "instances", {"name": "new", "status": "WEIRD", "image_id": "i"})
    assert (status, record["status"], record["image_id"]) == (200, "WEIRD", "i")
    await told(client, "POST", "instances", {"id": record["id"], "name": "renamed"})
    assert simulator.world.get(record["id"]).status == "WEIRD", "a status that is not given stays"
    await told(client, "POST", "instances", {"id": record["id"], "status": None})
    assert simulator.world.get(record["id"]).status is None
    assert await told(client, "DELETE", f"instances/{record['id']}") == (200, {})
    assert (await told(client, "DELETE", f"instances/{record['id']}"))[0] == 404


async def test_control_of_builds_and_time(simulator: Simulator, client: aiohttp.ClientSession) -> None:
    reason = {"code": "WKS.1", "message": "no"}
    _, answer = await told(client, "POST", "instances/1/recreate", {"outcome": "error", "reason": reason})
    assert (await told(client, "POST", "instances/1/recreate", {}))[0] == 409
    await told(client, "POST", "advance", {"seconds": "30m"})
    assert simulator.world.get("1").status == "ERROR"
    job = simulator.world.jobs.get(answer["job_id"])
    assert job is not None
    assert job.subs[0].reason is not None


async def test_control_of_faults_and_throttle(simulator: Simulator, client: aiohttp.ClientSession) -> None:
    _, added = await told(client, "POST", "faults", {"kind": "latency", "ms": 5, "count": 2})
    await told(client, "POST", "throttle", {"requests_per_minute": 9, "retry_after": True})
    _, state = await told(client, "GET", "state")
    assert state["faults"] == [{"kind": "latency", "ms": 5.0, "probability": 1.0, "id": added["id"], "remaining": 2}]
    assert state["throttle"] == {"requests_per_minute": 9, "retry_after": True}
    assert state["instances"] == {"count": 2, "statuses": {"BUILT": 2}}
    assert (await told(client, "DELETE", f"faults/{added['id']}"))[0] == 200
    assert (await told(client, "DELETE", f"faults/{added['id']}"))[0] == 404
    await told(client, "POST", "faults", {"kind": "reset"})
    await told(client, "DELETE", "faults")
    assert simulator.faults.active() == []


@pytest.mark.parametrize(
    ("path", "body", "error"),
    [
        ("faults", {"kind": "latency"}, "body: Value error, latency needs 'ms'"),
        ("instances", {"nome": "x"}, "nome: Extra inputs are not permitted"),
        ("advance", {"seconds": -1}, "seconds: Input should be greater than or equal to 0"),
    ],
)
async def test_control_says_what_is_wrong(client: aiohttp.ClientSession, path: str, body: object, error: str) -> None:
    assert await told(client, "POST", path, body) == (400, {"errors": [error]})


async def test_the_log_counts_and_keeps_no_secrets(
    simulator: Simulator, client: aiohttp.ClientSession, show: Callable[[str], Any]
) -> None:
    for server_id in ("1", "1", "unknown"):
        async with show(server_id):
            pass
    _, body = await told(client, "GET", "requests?last=2")
    assert body["counts"] == [
        {"operation": "ShowImageServer", "code": 200, "count": 2},
        {"operation": "ShowImageServer", "code": 404, "count": 1},
    ]
    assert len(body["last"]) == 2
    assert body["last"][-1]["path"].endswith("/unknown")
    assert "MIIS" not in str(body)
    assert simulator.requests.count(code=200) == 2
    await told(client, "DELETE", "requests")
    assert simulator.requests.count() == 0
