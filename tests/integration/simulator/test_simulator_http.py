"""The API, IAM and the key sources over HTTP, by a plain client with a token."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
import pytest

from watcher.simulator import Scenario, Simulator


class HandClock:
    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def real() -> HandClock:
    return HandClock()


@pytest.fixture
async def simulator(real: HandClock) -> AsyncIterator[Simulator]:
    async with Simulator(Scenario(), speed=0, real_now=real) as running:
        yield running


@pytest.fixture
async def client(simulator: Simulator) -> AsyncIterator[aiohttp.ClientSession]:
    token, _ = simulator.tokens.issue()
    async with aiohttp.ClientSession(simulator.url, headers={"X-Auth-Token": token}) as session:
        yield session


def servers(simulator: Simulator, rest: str = "") -> str:
    return f"/v1/{simulator.credentials.project_id}/image-servers{rest}"


def login(simulator: Simulator, **changes: str) -> dict[str, Any]:
    known = {
        "name": simulator.credentials.user,
        "password": simulator.credentials.password,
        "domain": simulator.credentials.domain,
        "project": simulator.credentials.region,
        **changes,
    }
    user = {"name": known["name"], "password": known["password"], "domain": {"name": known["domain"]}}
    return {
        "auth": {
            "identity": {"methods": ["password"], "password": {"user": user}},
            "scope": {"project": {"name": known["project"]}},
        }
    }


async def asked(client: aiohttp.ClientSession, method: str, path: str, **how: Any) -> tuple[int, Any]:
    async with client.request(method, path, **how) as answer:
        return answer.status, await answer.json()


async def test_a_record_has_the_keys_of_the_vendor_in_their_order(
    simulator: Simulator, client: aiohttp.ClientSession
) -> None:
    server_id = simulator.world.put(name="office")
    status, record = await asked(client, "GET", servers(simulator, f"/{server_id}"))
    assert status == 200
    assert list(record) == [
        "id",
        "name",
        "description",
        "image_ref",
        "server_group_id",
        "app_group_id",
        "server_id",
        "instance_id",
        "image_id",
        "status",
        "authorize_accounts",
        "create_time",
        "update_time",
        "enterprise_project_id",
    ]
    _, listed = await asked(client, "GET", servers(simulator))
    assert listed == {"count": 1, "items": [record]}


async def test_every_answer_has_a_request_id_and_the_real_date(
    simulator: Simulator, client: aiohttp.ClientSession, real: HandClock
) -> None:
    seen = set()
    for path in (servers(simulator), servers(simulator, "/unknown"), "/nowhere", "/v3/projects"):
        async with client.get(path) as answer:
            seen.add(answer.headers["X-Request-Id"])
            assert parsedate_to_datetime(answer.headers["Date"]) == real.now
    assert len(seen) == 4


async def test_an_unknown_server_is_not_an_unknown_path(simulator: Simulator, client: aiohttp.ClientSession) -> None:
    status, body = await asked(client, "GET", servers(simulator, "/unknown"))
    assert (status, body["error_code"], "request_id" in body) == (404, "WKS.00211902", False)
    status, body = await asked(client, "GET", "/v1/wrong/path")
    assert (status, body["error_code"], "request_id" in body) == (404, "APIGW.0101", True)
    status, body = await asked(client, "DELETE", servers(simulator))
    assert (status, body["error_code"]) == (405, "WKS.00000405")


async def test_another_project_is_forbidden(client: aiohttp.ClientSession) -> None:
    status, body = await asked(client, "GET", f"/v1/{'0' * 32}/image-servers")
    assert (status, body["error_code"]) == (403, "WKS.00081102")


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "offset=-1"])
async def test_a_page_out_of_range(simulator: Simulator, client: aiohttp.ClientSession, query: str) -> None:
    status, body = await asked(client, "GET", servers(simulator, f"?{query}"))
    assert (status, body["error_code"]) == (400, "WKS.00211102")


@pytest.mark.parametrize("kind", ["image-server-jobs", "image-server-sub-jobs"])
@pytest.mark.parametrize("query", ["", "?job_type=NONSENSE"])
async def test_jobs_need_a_type(simulator: Simulator, client: aiohttp.ClientSession, kind: str, query: str) -> None:
    status, _ = await asked(client, "GET", f"/v1/{simulator.credentials.project_id}/{kind}{query}")
    assert status == 400


async def test_an_unknown_job(simulator: Simulator, client: aiohttp.ClientSession) -> None:
    status, body = await asked(client, "GET", f"/v1/{simulator.credentials.project_id}/image-server-jobs/1")
    assert (status, body["error_code"]) == (404, "WKS.00211903")


@pytest.mark.parametrize("items", [[], ["1"] * 21, "1"])
async def test_a_batch_has_one_to_twenty_items(
    simulator: Simulator, client: aiohttp.ClientSession, items: object
) -> None:
    status, _ = await asked(client, "PATCH", servers(simulator, "/actions/batch-delete"), json={"items": items})
    assert status == 400


async def test_delete_is_refused_while_building(simulator: Simulator, client: aiohttp.ClientSession) -> None:
    building = simulator.world.put(status="BUILDING")
    status, body = await asked(client, "PATCH", servers(simulator, "/actions/batch-delete"), json={"items": [building]})
    assert (status, body["error_code"]) == (400, "WKS.00211105")


@pytest.mark.parametrize("name", ["", "two words", "x" * 65])
async def test_a_name_must_be_fit(simulator: Simulator, client: aiohttp.ClientSession, name: str) -> None:
    status, _ = await asked(client, "POST", servers(simulator), json={"name": name})
    assert status == 400


async def test_the_throttle_counts_real_minutes(
    simulator: Simulator, client: aiohttp.ClientSession, real: HandClock
) -> None:
    simulator.throttle.requests_per_minute = 2
    path = servers(simulator)
    assert [(await asked(client, "GET", path))[0] for _ in range(3)] == [200, 200, 429]
    simulator.advance(3600)
    async with client.get(path) as answer:
        body = await answer.json()
        assert "Retry-After" not in answer.headers
    assert body["error_code"] == "APIGW.0308"
    assert body["error_msg"].endswith("policy user over ratelimit,limit:2,time:1 minute")
    simulator.throttle.retry_after = True
    real.now += timedelta(seconds=50)
    async with client.get(path) as answer:
        assert (answer.status, answer.headers["Retry-After"]) == (429, "10")
    real.now += timedelta(seconds=10)
    assert (await asked(client, "GET", path))[0] == 200


async def test_a_token_is_to_be_had_for_the_password(simulator: Simulator, real: HandClock) -> None:
    simulator.tokens.ttl = timedelta(minutes=90)
    async with aiohttp.ClientSession(simulator.url) as client:
        async with client.post("/v3/auth/tokens?nocatalog=true", json=login(simulator)) as answer:
            body = await answer.json()
            token = answer.headers["X-Subject-Token"]
        assert answer.status == 201
        assert body["token"]["expires_at"] == "2026-01-01T01:30:00.000000Z"
        headers = {"X-Auth-Token": token}
        assert (await asked(client, "GET", servers(simulator), headers=headers))[0] == 200
        real.now += timedelta(minutes=90)
        status, refusal = await asked(client, "GET", servers(simulator), headers=headers)
    assert (status, refusal["error_code"]) == (401, "APIGW.0301")
    assert refusal["error_msg"].endswith("decrypt token fail")


@pytest.mark.parametrize("wrong", ["name", "password", "domain", "project"])
async def test_iam_refuses_in_its_own_shape(simulator: Simulator, client: aiohttp.ClientSession, wrong: str) -> None:
    status, body = await asked(client, "POST", "/v3/auth/tokens", json=login(simulator, **{wrong: "x"}))
    assert (status, body["error"]["code"], body["error"]["title"]) == (401, 401, "Unauthorized")


async def test_iam_says_what_is_missing(client: aiohttp.ClientSession) -> None:
    status, body = await asked(client, "POST", "/v3/auth/tokens", json={"auth": {"identity": {}}})
    assert (status, body["error"]["title"]) == (400, "Bad Request")


async def test_wrong_passwords_lock_the_user(
    simulator: Simulator, client: aiohttp.ClientSession, real: HandClock
) -> None:
    for _ in range(6):
        await asked(client, "POST", "/v3/auth/tokens", json=login(simulator, password="wrong"))
    assert (await asked(client, "POST", "/v3/auth/tokens", json=login(simulator)))[0] == 401
    real.now += timedelta(minutes=15)
    assert (await asked(client, "POST", "/v3/auth/tokens", json=login(simulator)))[0] == 201


async def test_projects_by_name(simulator: Simulator, client: aiohttp.ClientSession) -> None:
    known = simulator.credentials
    _, body = await asked(client, "GET", f"/v3/projects?name={known.region}")
    assert [project["id"] for project in body["projects"]] == [known.project_id]
    assert (await asked(client, "GET", "/v3/projects?name=elsewhere"))[1]["projects"] == []
    async with aiohttp.ClientSession(simulator.url) as nobody:
        status, body = await asked(nobody, "GET", "/v3/projects")
    assert (status, body["error"]["code"]) == (401, 401)


async def test_metadata_hands_out_temporary_keys(simulator: Simulator, client: aiohttp.ClientSession) -> None:
    simulator.keys.ttl = timedelta(hours=1)
    async with client.put("/meta-data/latest/api/token", headers={"X-Metadata-Token-Ttl-Seconds": "21600"}) as answer:
        token = await answer.text()
    headers = {"X-Metadata-Token": token}
    status, body = await asked(client, "GET", "/openstack/latest/securitykey", headers=headers)
    key = simulator.keys.find(body["credential"]["access"])
    assert status == 200
    assert key is not None
    assert body["credential"] == {
        "access": key.access,
        "secret": key.secret,
        "securitytoken": key.security_token,
        "expires_at": "2026-01-01T01:00:00.000000Z",
    }


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("PUT", "/meta-data/latest/api/token", {}, 400),
        ("GET", "/openstack/latest/securitykey", {"X-Metadata-Token": "wrong"}, 401),
        ("GET", "/openstack/latest/securitykey", {}, 200),
        ("POST", "/pod-identity/credentials", {}, 401),
        ("POST", "/pod-identity/credentials", {"Authorization": "wrong"}, 401),
        ("POST", "/pod-identity/credentials", {"Authorization": "simulated-pod-token"}, 200),
    ],
)
async def test_who_gets_keys(
    client: aiohttp.ClientSession, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    async with client.request(method, path, headers=headers) as answer:
        assert answer.status == status


async def test_speed_shows_in_what_clients_read() -> None:
    async with Simulator(Scenario(), speed=60) as simulator:
        token, _ = simulator.tokens.issue()
        created = simulator.world.create(name="office")
        simulator.advance(3600)
        async with aiohttp.ClientSession(simulator.url, headers={"X-Auth-Token": token}) as client:
            _, record = await asked(client, "GET", servers(simulator, f"/{created}"))
    begun, ended = (datetime.fromisoformat(record[key]) for key in ("create_time", "update_time"))
    assert record["status"] == "ACTIVE"
    assert 6.2 < (ended - begun).total_seconds() < 7.8, "seven simulated minutes are seven seconds at speed 60"


async def test_a_port_in_use_is_an_error(simulator: Simulator) -> None:
    with pytest.raises(OSError, match="address already in use"):
        await Simulator(port=int(simulator.url.rsplit(":", 1)[1])).start()


async def test_the_pod_endpoint_has_an_address(simulator: Simulator) -> None:
    headers = {"Authorization": simulator.credentials.pod_token}
    async with (
        aiohttp.ClientSession(headers=headers) as pod,
        pod.post(simulator.pod_credentials_url, json={}) as answer,
    ):
        assert "credential" in await answer.json()


async def test_a_simulator_can_be_started_again_on_its_port() -> None:
    simulator = Simulator(Scenario())
    await simulator.start()
    url = simulator.url
    await simulator.stop()
    async with simulator:
        assert simulator.url == url
