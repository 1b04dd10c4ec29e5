"""Certificates and proxies."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.integration.cloud.mini_cloud import SERVER_ID, MiniCloud
from tests.integration.cloud.raw_server import Script, http, read_head, says, serve
from watcher.core.errors import CloudEndpointError, CloudUnavailableError, ConfigurationError

AUTH = {"method": "token", "token": "good"}


@pytest.fixture
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
async def cloud(ca: trustme.CA) -> AsyncIterator[MiniCloud]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1").configure_cert(context)
    async with MiniCloud(tls=context) as cloud:
        cloud.tokens = {"good"}
        yield cloud


@pytest.fixture
def ca_file(ca: trustme.CA, tmp_path: Path) -> Path:
    path = tmp_path / "ca.pem"
    ca.cert_pem.write_to_path(str(path))
    return path


async def show(cloud: MiniCloud, **settings: Any) -> str:
    client = cloud.client(AUTH, **settings)
    try:
        return (await client.show(SERVER_ID)).status
    finally:
        await client.close()


async def test_a_certificate_of_the_given_authority_is_trusted(cloud: MiniCloud, ca_file: Path) -> None:
    assert await show(cloud, tls={"ca_file": str(ca_file)}) == "BUILT"


async def test_any_other_certificate_is_not(cloud: MiniCloud, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    for tls in ({}, {"ca_file": str(other)}):
        with pytest.raises(CloudUnavailableError, match="certificate that is not trusted"):
            await show(cloud, tls=tls)
    assert not cloud.requests


async def test_the_check_can_be_skipped(cloud: MiniCloud) -> None:
    assert await show(cloud, tls={"insecure_skip_verify": True}) == "BUILT"


@pytest.mark.parametrize("content", [None, "not a certificate"])
async def test_a_bad_ca_file_is_the_operators_mistake(content: str | None, tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"tls\.ca_file"):
        MiniCloud().client(AUTH, endpoint="https://127.0.0.1:1", iam_endpoint=None, tls={"ca_file": str(path)})


def proxy(heads: list[bytes], *, user: bytes = b"us er:hun%ter2") -> Script:
    """A proxy for CONNECT that wants a user."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await read_head(reader)
        heads.append(head)
        if b"Proxy-Authorization: Basic " + base64.b64encode(user) not in head:
            writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            return
        host, _, port = head.split(b" ")[1].rpartition(b":")
        upstream_reader, upstream_writer = await asyncio.open_connection(host.decode(), int(port))
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(_pipe(reader, upstream_writer))
                both.create_task(_pipe(upstream_reader, writer))
        finally:
            upstream_writer.close()

    return script


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
    writer.close()


async def test_a_proxy_with_a_user_is_gone_through(cloud: MiniCloud, ca_file: Path, tmp_path: Path) -> None:
    heads: list[bytes] = []
    async with serve(proxy(heads)) as address:
        url = f"http://us%20er:hun%25ter2@{address}"
        assert await show(cloud, tls={"ca_file": str(ca_file)}, proxy_url=url) == "BUILT"
        (tmp_path / "proxy").write_text(url, encoding="utf-8")
        assert await show(cloud, tls={"ca_file": str(ca_file)}, proxy_url_file=str(tmp_path / "proxy")) == "BUILT"
    assert [head.split(b" ")[0] for head in heads] == [b"CONNECT", b"CONNECT"]
    assert not any("Proxy-Authorization" in headers for _, headers in cloud.requests)
    assert b"good" not in b"".join(heads)


async def test_a_proxy_that_refuses_is_told_of_without_its_password(cloud: MiniCloud) -> None:
    async with serve(proxy([])) as address:
        with pytest.raises(CloudUnavailableError, match=r"the proxy would not connect .* HTTP 407") as caught:
            await show(cloud, proxy_url=f"http://user:hunter2@{address}")
    error: BaseException | None = caught.value
    while error is not None:
        assert "hunter2" not in f"{error!s} {error!r}"
        error = error.__cause__ or error.__context__
    assert not cloud.requests


async def test_a_proxy_that_is_not_there_is_told_of_without_its_password(cloud: MiniCloud) -> None:
    async with serve(says()) as address:
        pass
    with pytest.raises(CloudUnavailableError, match="cannot reach") as caught:
        await show(cloud, proxy_url=f"http://user:hunter2@{address}")
    assert "hunter2" not in f"{caught.value} {caught.value!r} {caught.value.__cause__!r}"


async def test_a_proxy_file_that_is_gone_is_the_operators_to_mend(cloud: MiniCloud, tmp_path: Path) -> None:
    with pytest.raises(CloudEndpointError, match="proxy_url_file"):
        await show(cloud, proxy_url_file=str(tmp_path / "nothing"))


async def test_a_plain_request_is_handed_to_the_proxy_whole() -> None:
    heads: list[bytes] = []

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await read_head(reader))
        writer.write(http(b'{"id":"%s"}' % SERVER_ID.encode()))

    async with serve(forward) as address:
        cloud = MiniCloud()
        url = f"http://user:hunter2@{address}"
        assert await show(cloud, endpoint="http://cloud.invalid", iam_endpoint=None, proxy_url=url) == "NULL"
    assert heads[0].startswith(b"GET http://cloud.invalid/v1/")
    assert b"Host: cloud.invalid\r\n" in heads[0]
    assert b"Proxy-Authorization: Basic " in heads[0]


async def test_a_name_that_cannot_be_looked_up_is_the_operators_mistake() -> None:
    cloud = MiniCloud()
    client = cloud.client(AUTH, endpoint=f"http://{'a' * 64}.invalid", iam_endpoint=None)
    try:
        with pytest.raises(CloudEndpointError, match="is not an address that can be asked"):
            await client.show(SERVER_ID)
    finally:
        await client.close()
