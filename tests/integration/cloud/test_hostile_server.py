"""Servers that hang, lie, cut off and drown: always a typed error, and a connection that is not used again."""

from __future__ import annotations

import asyncio
import gzip
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.integration.cloud.mini_cloud import PROJECT, REGION, SERVER_ID
from tests.integration.cloud.raw_server import Script, http, read_head, reset, says, serve, silence
from watcher.cloud.client import CloudClient
from watcher.cloud.settings import ConnectionSettings
from watcher.cloud.transport import MAX_BODY_BYTES
from watcher.core.clock import SystemClock
from watcher.core.errors import (
    CloudAuthError,
    CloudEndpointError,
    CloudError,
    CloudMalformedError,
    CloudNotFoundError,
    CloudUnavailableError,
)

GOOD = json.dumps({"id": SERVER_ID, "status": "BUILT"}).encode()
HTML = b"<html><title>Sign in to the hotel's network</title></html>"
JSON_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json"
GZIP_HEAD = JSON_HEAD + b"\r\nContent-Encoding: gzip"
Seen = list[tuple[str, str]]


def client_of(
    address: str,
    seen: Seen | None = None,
    *,
    timeout_s: float = 5.0,
    concurrency: int = 16,
    auth: dict[str, str] | None = None,
) -> CloudClient:
    return CloudClient(
        settings=ConnectionSettings.model_validate(
            {
                "region": REGION,
                "project_id": PROJECT,
                "endpoint": f"http://{address}",
                "auth": auth or {"method": "token", "token": "hunter2"},
            }
        ),
        clock=SystemClock(),
        environment={},
        on_request=lambda operation, code, _: seen.append((operation, code)) if seen is not None else None,
        timeout_s=timeout_s,
        concurrency=concurrency,
    )


async def show_from(script: Script, seen: Seen | None = None, *, timeout_s: float = 5.0) -> str:
    async with serve(script) as address:
        client = client_of(address, seen, timeout_s=timeout_s)
        try:
            return (await client.show(SERVER_ID)).status
        finally:
            await client.close()


@pytest.mark.parametrize(
    ("script", "kind", "code"),
    [
        (reset, CloudUnavailableError, "network"),
        (says(), CloudUnavailableError, "network"),
        (says(b"SSH-2.0-OpenSSH_9.2\r\n"), CloudMalformedError, "malformed"),
        (says(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n"), CloudMalformedError, "malformed"),
        (says(http(GOOD, length=len(GOOD) + 10)), CloudMalformedError, "malformed"),
        (says(http(GOOD[:-5])), CloudMalformedError, "malformed"),
        (says(http(b"")), CloudMalformedError, "malformed"),
        (says(http(HTML, head=b"HTTP/1.1 200 OK\r\nContent-Type: text/html")), CloudMalformedError, "malformed"),
        (says(b"HTTP/1.1 204 No Content\r\n\r\n"), CloudMalformedError, "malformed"),
        (says(JSON_HEAD + b"\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), CloudMalformedError, "malformed"),
        (says(JSON_HEAD + b"\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"), CloudMalformedError, "malformed"),
        (says(JSON_HEAD + b"\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}"), CloudMalformedError, "malformed"),
        (says(JSON_HEAD + b"\r\nContent-Length: -5\r\n\r\n{}"), CloudMalformedError, "malformed"),
        (says(http(GOOD, head=GZIP_HEAD)), CloudMalformedError, "malformed"),
        (says(http(gzip.compress(GOOD)[:-10], head=GZIP_HEAD)), CloudMalformedError, "malformed"),
        (says(http(gzip.compress(GOOD + b" " * 4 * MAX_BODY_BYTES), head=GZIP_HEAD)), CloudMalformedError, "malformed"),
        (says(http(GOOD + b" " * MAX_BODY_BYTES)), CloudMalformedError, "malformed"),
        (says(http(GOOD.replace(SERVER_ID.encode(), b"5"))), CloudMalformedError, "malformed"),
        (says(http(HTML, head=b"HTTP/1.1 404 Not Found")), CloudEndpointError, "404"),
        (says(http(HTML, head=b"HTTP/1.1 502 Bad Gateway")), CloudUnavailableError, "502"),
        (says(http(b'{"error_code":"WKS.00211902"}', head=b"HTTP/1.1 404 X")), CloudNotFoundError, "404"),
        (says(http(b"", head=b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/")), CloudEndpointError, "302"),
    ],
    ids=[
        *("reset", "closed", "not HTTP", "huge header", "cut off", "half a JSON", "empty", "HTML", "204"),
        *("bad chunk", "half a chunk", "two lengths", "negative length", "not gzip", "half a gzip", "gzip bomb"),
        *("huge", "another id", "404 HTML", "502 HTML", "404 of the service", "redirect"),
    ],
)
async def test_each_has_its_error_and_is_counted(script: Script, kind: type[CloudError], code: str) -> None:
    seen: Seen = []
    with pytest.raises(CloudError) as caught:
        await show_from(script, seen)
    assert type(caught.value) is kind, caught.value
    assert seen == [("ShowImageServer", code)]
    assert str(caught.value).isprintable()
    error: BaseException | None = caught.value
    while error is not None:
        assert "hunter2" not in f"{error!s} {error!r}"
        error = error.__cause__ if error.__suppress_context__ else error.__context__


async def test_silence_is_a_timeout() -> None:
    seen: Seen = []
    with pytest.raises(CloudUnavailableError, match=r"gave no answer within 0.05 s"):
        await show_from(silence, seen, timeout_s=0.05)
    assert seen == [("ShowImageServer", "timeout")]


async def test_a_body_that_never_ends_is_a_timeout() -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(JSON_HEAD + b"\r\nContent-Length: 100\r\n\r\n{")
        await silence(reader, writer)

    seen: Seen = []
    with pytest.raises(CloudUnavailableError, match="no answer within"):
        await show_from(drip, seen, timeout_s=0.05)
    assert seen == [("ShowImageServer", "timeout")]


async def test_nobody_listening_is_unavailable() -> None:
    async with serve(silence) as address:
        pass
    seen: Seen = []
    client = client_of(address, seen)
    with pytest.raises(CloudUnavailableError, match=f"cannot reach {address}"):
        await client.show(SERVER_ID)
    await client.close()
    assert seen == [("ShowImageServer", "network")]


async def test_a_cancelled_request_is_not_counted() -> None:
    seen: Seen = []
    async with serve(silence) as address:
        client = client_of(address, seen)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await client.show(SERVER_ID)
        await client.close()
    assert seen == []


async def test_a_refusal_that_comes_late_does_not_let_the_next_refused_credential_be_sent_again(tmp_path: Path) -> None:
    sent: list[str] = []
    released = [asyncio.Event(), asyncio.Event()]  # of the two with the first token that are under way at once
    waiting = iter(released)

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await read_head(reader)
            token = head.lower().partition(b"x-auth-token: ")[2].partition(b"\r\n")[0].decode()
            sent.append(token)
            if sent == ["first"]:  # it was good until now
                writer.write(http(GOOD))
                continue
            if token == "first":
                await next(waiting).wait()
            writer.write(http(b"{}", head=b"HTTP/1.1 401 Unauthorized"))

    token_file = tmp_path / "token"
    token_file.write_text("first", encoding="utf-8")
    async with serve(script) as address:
        client = client_of(address, auth={"method": "token", "token_file": str(token_file)})
        await client.show(SERVER_ID)
        asked = [asyncio.create_task(client.show(SERVER_ID)) for _ in range(2)]
        async with asyncio.timeout(5):
            while len(sent) < 3:  # noqa: ASYNC110 - there is no event for what a server has seen
                await asyncio.sleep(0)  # noqa: TID251 - yields to the loop, waits for nothing
            token_file.write_text("second", encoding="utf-8")
            released[0].set()
            await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
            released[1].set()
            outcomes = await asyncio.gather(*asked, return_exceptions=True)
        await client.close()
    assert {type(outcome) for outcome in outcomes} == {CloudAuthError}
    assert sent == ["first", "first", "first", "second"]


@pytest.mark.parametrize(
    "answer",
    [
        http(GOOD + b" " * MAX_BODY_BYTES),
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
        http(GOOD, head=GZIP_HEAD),
    ],
    ids=["too large", "another protocol", "not gzip"],
)
async def test_an_answer_that_is_not_read_to_its_end_does_not_keep_its_connection(answer: bytes) -> None:
    """aiohttp gives out no more connections than there may be, so that one never given back would be missed."""
    async with serve(says(answer)) as address:
        client = client_of(address, concurrency=1)
        errors = []
        for _ in range(3):
            with pytest.raises(CloudError) as caught:
                await client.show(SERVER_ID)
            errors.append(caught.value)  # with its traceback, so that the garbage collector does not help
        await client.close()
    assert [type(error) for error in errors] == [type(errors[0])] * 3
    assert not isinstance(errors[0], CloudUnavailableError), errors[0]


async def test_a_slow_cloud_does_not_make_requests_queue_up() -> None:
    """Only a credential that may be wrong is tried by one request alone; a cloud that is silent proves nothing."""
    under_way = most = 0

    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal under_way, most
        await read_head(reader)
        under_way += 1
        most = max(most, under_way)
        await silence(reader, writer)
        under_way -= 1

    async with serve(count) as address:
        client = client_of(address, timeout_s=0.2)
        outcomes = await asyncio.gather(*(client.show(SERVER_ID) for _ in range(8)), return_exceptions=True)
        await client.close()
    assert {type(outcome) for outcome in outcomes} == {CloudUnavailableError}
    assert most == 7


async def test_compressed_answers_are_read() -> None:
    assert await show_from(says(http(gzip.compress(GOOD), head=GZIP_HEAD))) == "BUILT"


async def test_connections_are_kept_and_cookies_are_not() -> None:
    heads: list[bytes] = []
    connections = 0

    async def polite(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        while True:
            heads.append(await read_head(reader))
            writer.write(http(GOOD, head=JSON_HEAD + b"\r\nSet-Cookie: a=b; Path=/"))

    async with serve(polite) as address:
        client = client_of(address.replace("127.0.0.1", "localhost"))  # cookies for an address are refused anyway
        for _ in range(3):
            await client.show(SERVER_ID)
        await client.close()
    assert connections == 1
    assert len(heads) == 3
    assert b"cookie" not in b"".join(heads).lower()


async def test_what_is_sent_is_what_was_signed() -> None:
    heads: list[bytes] = []

    async def record(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await read_head(reader))
        writer.write(http(b'{"count":0,"items":[]}'))

    async with serve(record) as address:
        client = client_of(address)
        await client.list_page(offset=0, name="a b/中~%+&", enterprise_project_id="0")
        await client.close()
    target = heads[0].split(b" ")[1]
    assert (
        target
        == (
            f"/v1/{PROJECT}/image-servers?enterprise_project_id=0&limit=100&offset=0"
            "&server_name=a%20b%2F%E4%B8%AD~%25%2B%26"
        ).encode()
    )
    assert f"\r\nHost: {address}\r\n".encode() in heads[0]


async def test_an_answer_that_did_not_change_is_the_same_value_and_one_that_did_is_read() -> None:
    answers = [GOOD, GOOD, GOOD.replace(b"BUILT", b"ERROR"), GOOD]

    async def changing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await read_head(reader)
            writer.write(http(answers.pop(0)))

    async with serve(changing) as address:
        client = client_of(address)
        shown = [await client.show(SERVER_ID) for _ in range(4)]
        await client.close()
    assert [instance.status for instance in shown] == ["BUILT", "BUILT", "ERROR", "BUILT"]
    assert shown[0] is shown[1]
    assert shown[3] == shown[0]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    noise=st.binary(max_size=300),
    at=st.integers(0, 200),
    cut=st.integers(0, 400),
)
def test_any_bytes_are_an_error_of_ours_or_an_answer(noise: bytes, at: int, cut: int) -> None:
    answer = http(GOOD)
    broken = (answer[:at] + noise + answer[at:])[: max(cut, at)]

    async def ask() -> None:
        try:
            await show_from(says(broken), timeout_s=0.2)
        except CloudError as error:
            assert str(error).isprintable()  # noqa: PT017 - whether it is raised is not the question

    asyncio.run(ask())
