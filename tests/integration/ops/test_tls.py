"""HTTPS with real certificates: how it is served, renewed under way, and asked by the commands."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trustme
from aiohttp import web
from prometheus_client import CollectorRegistry

from tests.fakes.clock import FakeClock
from tests.fakes.sink import Reply, Sink
from tests.fakes.view import Well
from watcher.cli.main import main
from watcher.core.errors import ConfigurationError
from watcher.ops import Guard, OpsServer, Tls

RSA, EC = trustme.KeyType.RSA, trustme.KeyType.ECDSA


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def client(ca: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    ca.configure_trust(context)
    return context


def write(folder: Path, ca: trustme.CA, name: str, *, kind: trustme.KeyType = EC, host: str = "127.0.0.1") -> None:
    pair = ca.issue_cert(host, common_name=name, key_type=kind)
    (folder / "tls.crt").write_bytes(b"".join(each.bytes() for each in [*pair.cert_chain_pems, ca.cert_pem]))
    pair.private_key_pem.write_to_path(folder / "tls.key")


def tls_of(folder: Path) -> Tls:
    return Tls(cert_file=folder / "tls.crt", key_file=folder / "tls.key")


async def _nothing() -> None:
    pass


@asynccontextmanager
async def serving(tls: Tls, *routes: web.RouteDef) -> AsyncIterator[str]:
    server = OpsServer(
        host="127.0.0.1",
        port=0,
        registry=CollectorRegistry(),
        refresh=_nothing,
        wellness=Well(),
        routes=routes,
        guard=Guard,
        clock=FakeClock(),
        tls=tls,
    )
    try:
        yield await server.start()
    finally:
        await server.close()


async def shown(url: str, context: ssl.SSLContext) -> str:
    """The common name that a new connection is shown."""
    port = int(url.rpartition(":")[2])
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    names = {key: value for ((key, value),) in writer.get_extra_info("peercert")["subject"]}
    writer.close()
    await writer.wait_closed()
    return str(names["commonName"])


@pytest.mark.parametrize(("first", "second"), [(EC, EC), (EC, RSA), (RSA, EC)], ids=["same", "to RSA", "to EC"])
async def test_a_renewed_certificate_is_shown_to_who_comes_and_a_stream_goes_on(
    ca: trustme.CA, client: ssl.SSLContext, tmp_path: Path, first: trustme.KeyType, second: trustme.KeyType
) -> None:
    more = asyncio.Event()

    async def stream(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"one\n")
        await more.wait()
        await response.write(b"two\n")
        return response

    write(tmp_path, ca, "old", kind=first)
    tls = tls_of(tmp_path)
    async with serving(tls, web.get("/lines", stream)) as url:
        assert url.startswith("https://127.0.0.1:")
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]), ssl=client)
        writer.write(b"GET /lines HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await reader.readuntil(b"one\n")
        assert await shown(url, client) == "old"
        write(tmp_path, ca, "new", kind=second)
        assert await shown(url, client) == "old"
        tls.renew()
        assert await shown(url, client) == "new"
        more.set()
        assert b"two\n" in await reader.readuntil(b"two\n")
        writer.close()


async def test_nothing_older_than_tls_1_2_and_nothing_in_the_clear(
    ca: trustme.CA, client: ssl.SSLContext, tmp_path: Path
) -> None:
    write(tmp_path, ca, "it")
    async with serving(tls_of(tmp_path)) as url:
        port = int(url.rpartition(":")[2])
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        ca.configure_trust(old)
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
        old.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await asyncio.open_connection("127.0.0.1", port, ssl=old)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"HTTP" not in await reader.read()
        writer.close()
        assert await shown(url, client) == "it"


async def test_what_cannot_be_used_is_refused_and_the_old_one_served_on(
    ca: trustme.CA, client: ssl.SSLContext, tmp_path: Path
) -> None:
    write(tmp_path, ca, "good")
    certificate, key = (tmp_path / "tls.crt").read_bytes(), (tmp_path / "tls.key").read_bytes()
    other = ca.issue_cert("127.0.0.1", key_type=EC).private_key_pem.bytes()
    other_kind = ca.issue_cert("127.0.0.1", key_type=RSA).private_key_pem.bytes()
    tls = tls_of(tmp_path)
    broken = [
        (certificate, other, "the key is of another certificate"),
        (certificate, other_kind, "the key is of another certificate"),
        (b"", key, "not PEM"),
        (certificate, b"", "not PEM"),
        (certificate[:300], key, r"web\.tls: cannot use"),
        (key, certificate, "not PEM"),
        (None, key, r"web\.tls\.cert_file: cannot read .*: No such file"),
        (certificate, None, r"web\.tls\.key_file: cannot read .*: No such file"),
    ]
    async with serving(tls) as url:
        for first, second, said in broken:
            for path, content in zip(tls.files, (first, second), strict=True):
                path.unlink(missing_ok=True)
                if content is not None:
                    path.write_bytes(content)
            with pytest.raises(ConfigurationError, match=said):
                tls.renew()
            with pytest.raises(ConfigurationError, match=said):
                tls_of(tmp_path)
            assert await shown(url, client) == "good"


def test_a_key_with_a_password_is_not_asked_for_one(ca: trustme.CA, tmp_path: Path) -> None:
    write(tmp_path, ca, "it")
    locked = (
        "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n"
        "DEK-Info: AES-256-CBC,00000000000000000000000000000000\n\nAAAA\n-----END EC PRIVATE KEY-----\n"
    )
    (tmp_path / "tls.key").write_text(locked, encoding="ascii")
    with pytest.raises(ConfigurationError, match=r"web\.tls\.key_file: .* wants a password"):
        tls_of(tmp_path)


class TestCommands:
    """The watcher at the other end is anything that speaks HTTPS with the pair."""

    @pytest.fixture
    async def sink(self, ca: trustme.CA, tmp_path: Path) -> AsyncIterator[Sink]:
        write(tmp_path, ca, "it", host="watcher.example")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tmp_path / "tls.crt", tmp_path / "tls.key")
        async with Sink(tls=context) as sink:
            sink.good = Reply(body='{"items": []}')
            yield sink

    def config(self, folder: Path, sink: Sink) -> str:
        pair = {"cert_file": str(folder / "tls.crt"), "key_file": str(folder / "tls.key")}
        ways = {"username": "ann", "password": "canary"}
        web = {"listen": f"127.0.0.1:{sink.url.rpartition(':')[2]}", "tls": pair, "auth": ways}
        source = {"name": "a", "region": "cn-north-4", "instances": ["1"]}
        (folder / "watcher.yaml").write_text(json.dumps({"sources": [source], "web": web}), encoding="utf-8")
        return str(folder / "watcher.yaml")

    async def run(self, *arguments: str) -> int:
        return await asyncio.to_thread(main, ["alerts", *arguments])

    async def test_with_the_configuration_its_certificate_is_trusted_whatever_name_it_has(
        self, sink: Sink, tmp_path: Path
    ) -> None:
        assert await self.run("-c", self.config(tmp_path, sink)) == 0
        assert sink.received[0].headers["authorization"] == "Basic YW5uOmNhbmFyeQ=="

    async def test_another_one_of_the_same_authority_is_not(
        self, ca: trustme.CA, sink: Sink, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        write(tmp_path, ca, "other")
        assert await self.run("-c", self.config(tmp_path, sink)) == 1
        assert "shows not the one of web.tls.cert_file: " in capsys.readouterr().err
        assert sink.received == []

    async def test_an_address_of_its_own_is_checked_as_ever(
        self, sink: Sink, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for more in ([], ["-c", self.config(tmp_path, sink)]):
            assert await self.run("--url", sink.url, *more) == 1
            err = capsys.readouterr().err
            assert "shows a certificate that is not trusted: " in err
            assert (err.count("\n"), "SSL_CERT_FILE" in err) == (1, True)
        assert sink.received == []


@pytest.mark.parametrize("cause", ["key", "certificate"])
async def test_check_finds_a_pair_that_does_not_fit(
    ca: trustme.CA, tmp_path: Path, cause: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, ca, "it")
    if cause == "key":
        ca.issue_cert("127.0.0.1", key_type=EC).private_key_pem.write_to_path(tmp_path / "tls.key")
    else:
        (tmp_path / "tls.crt").write_text("nothing", encoding="utf-8")
    web_section = {"tls": {"cert_file": str(tmp_path / "tls.crt"), "key_file": str(tmp_path / "tls.key")}}
    source = {"name": "a", "region": "cn-north-4", "instances": ["1"]}
    (tmp_path / "watcher.yaml").write_text(json.dumps({"sources": [source], "web": web_section}), encoding="utf-8")
    assert main(["check", "-c", str(tmp_path / "watcher.yaml")]) == 2
    assert "web.tls: cannot use" in capsys.readouterr().err
