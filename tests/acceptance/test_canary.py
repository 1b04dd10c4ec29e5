"""A different canary in every secret there is, and then everything that goes wrong: none of them is seen anywhere.

Which settings are secrets is read from the models: one that is new and has no canary here fails the first test.
"""

from __future__ import annotations

import asyncio
import base64
import io
import itertools
import json
import logging
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import trustme
from aiohttp import web
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from tests.acceptance.process import configuration, running, source
from tests.fakes.clock import HastyClock
from tests.fakes.view import Well
from watcher.cli.main import main
from watcher.core.facts import Fact
from watcher.fields import Secret, Section
from watcher.logging import configure_logging
from watcher.ops import Access, Guard, Heartbeat, OpsServer
from watcher.settings import Settings, load, load_text, redacted
from watcher.simulator import Scenario, Simulator

pytestmark = pytest.mark.unmeasured

Document = dict[str, Any]
MARK = "cnry"


class Canaries:
    """Secrets that can be told from one another, and found again in all the forms that text gives them."""

    def __init__(self) -> None:
        self._number = itertools.count(10)
        self.cores: list[str] = []

    def core(self) -> str:
        """Letters and digits, which no quoting alters."""
        self.cores.append(f"{MARK}{next(self._number)}QxZw7KpVt9Lm")
        return self.cores[-1]

    def text(self) -> str:
        """The same with what is quoted in URLs and in JSON."""
        return self.core() + '/"+&=%'

    def seen_in(self, text: str) -> list[str]:
        """Those that can be read there, as they are, quoted, or in base64 wherever it begins."""
        lower = text.lower()
        found = [core for core in self.cores if core.lower() in lower]
        found += [core for core in self.cores for form in _base64(core) if form in text]
        return sorted(set(found))


def _base64(core: str) -> Iterator[str]:
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + core.encode()).decode()
        yield encoded[4 if before else 0 : len(core) // 3 * 4 - 4]


class Echo:
    """Refuses everything in turn, and tells back all that it was shown."""

    def __init__(self) -> None:
        self.port = self.tls_port = 0
        self.asked: set[str] = set()
        self._turn = itertools.cycle([401, 500, 302, 403, 429, 404])

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Echo]:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        self.port, self.tls_port = (address[1] for address in runner.addresses)
        yield self
        await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        shown = {"url": str(request.url), **request.headers, "body": await request.text()}
        self.asked.add(request.path)
        status = next(self._turn)
        headers = {"Location": str(request.url), "X-Echo": request.headers.get("Authorization", "-")}
        text = "\n".join([json.dumps(shown), *map(str, shown.values())])
        return web.Response(status=status, reason="no", text=text, headers=headers)


def document(canaries: Canaries, echo: Echo) -> Document:
    """Every secret in its place."""
    here, tls = f"http://127.0.0.1:{echo.port}", f"https://127.0.0.1:{echo.tls_port}"
    c = canaries

    def unhappy(name: str, auth: Document, *, at: str = here, **more: Any) -> Document:
        place = {"name": name, "region": "cn-north-4", "project_id": "p", "endpoint": at, "iam_endpoint": at}
        return {**place, "auth": auth, "instances": ["1"], **more}

    def key() -> Document:
        return {"method": "aksk", "access_key": c.core(), "secret_key": c.text()}

    sources = [
        unhappy("aksk", {**key(), "security_token": c.core()}),
        unhappy("token", {"method": "token", "token": c.core()}),
        unhappy("password", {"method": "password", "user": "u", "domain": "d", "password": c.text()}),
        unhappy("untrusted", key(), at=tls),
        unhappy("nowhere", key(), at=f"http://{'a' * 64}.invalid"),
        unhappy("proxied", key(), proxy_url=f"http://u:{c.core()}@127.0.0.1:{echo.port}"),
        unhappy("tunnelled", key(), at=tls, proxy_url=f"http://u:{c.core()}@127.0.0.1:{echo.port}"),
    ]
    signing = f"whsec_{c.core()}AA"  # base64 it is
    receivers: list[Document] = [
        {"type": "webhook", "url": f"http://ann:{c.core()}@127.0.0.1:{echo.port}/hook?k={c.core()}", "secret": signing},
        {"type": "webhook", "url": f"https://ann:{c.core()}@127.0.0.1:{echo.tls_port}/untrusted?k={c.core()}"},
        {"type": "webhook", "url": f"http://ann:{c.core()}@{'a' * 64}.invalid/nowhere?k={c.core()}"},
        {"type": "slack", "webhook_url": f"{here}/services/{c.core()}"},
        {"type": "slack", "webhook_url": f"{tls}/services/{c.core()}"},
        {"type": "slack", "bot_token": c.core(), "channel": "c", "api_url": f"{here}/api/"},
        {"type": "pagerduty", "routing_key": c.core(), "url": f"{here}/pd"},
        {"type": "alertmanager", "url": f"http://ann:{c.core()}@127.0.0.1:{echo.port}/am"},
        {"type": "apprise", "urls": [f"json://ann:{c.core()}@127.0.0.1:{echo.port}/{c.core()}?+X-Key={c.core()}"]},
        {"type": "apprise", "urls": [f"jsons://ann:{c.core()}@127.0.0.1:{echo.tls_port}/{c.core()}"]},
    ]
    named = [{"name": f"r{number}", "max_age": "1m", "digest_over": 0, **each} for number, each in enumerate(receivers)]
    return {
        "sources": sources,
        "receivers": named,
        "heartbeat": {"url": f"{here}/beat/{c.core()}", "interval": "1s"},
        "web": {
            "listen": "127.0.0.1:0",
            "auth": {"bearer_token": c.core(), "username": "ann", "password": c.text()},
            "external_url": "https://watcher.example/",
        },
        "log": {"level": "debug"},
        "store": {"url": f"sqlite:///watcher.db?key={c.core()}"},
    }


def by_files(given: Document, folder: Path) -> Document:
    """The same document, with every secret that can be one in a file."""
    names = {name for _, name in secrets_of_the_models()}
    count = itertools.count()

    def moved(value: Any) -> Any:
        if isinstance(value, list):
            return [moved(each) for each in value]
        if not isinstance(value, dict):
            return value
        kept = {}
        for name, each in value.items():
            is_secret = name in names and not (
                name == "url" and value.get("type") in ("webhook", "pagerduty", "alertmanager")
            )
            if is_secret:
                path = folder / f"secret{next(count)}"
                path.write_text("\n".join(each) if isinstance(each, list) else each, encoding="utf-8")
                kept[f"{name}_file"] = str(path)
            else:
                kept[name] = moved(each)
        return kept

    result: Document = moved(given)
    return result


def secrets_of_the_models() -> set[tuple[str, str]]:
    """Section and field of every secret, as pydantic marks them in the schema."""
    schema = Settings.model_json_schema()
    sections = {"Settings": schema, **schema["$defs"]}
    return {
        (section, field)
        for section, told in sections.items()
        for field, part in told.get("properties", {}).items()
        if '"writeOnly": true' in json.dumps(part)
    }


def planted_in(value: Any) -> Iterator[tuple[str, str]]:
    """Section and field of every secret that holds a canary, or whose file does."""
    if isinstance(value, list | tuple):
        for each in value:
            yield from planted_in(each)
    if isinstance(value, dict):
        yield from planted_in(tuple(value.values()))
    if isinstance(value, Section):
        for name in type(value).model_fields:
            held = getattr(value, name)
            parts = held if isinstance(held, tuple) else (held,)
            if any(isinstance(each, SecretStr) and MARK in each.get_secret_value() for each in parts):
                yield type(value).__name__, name
            if isinstance(held, Path) and held.exists() and MARK in held.read_text(encoding="utf-8"):
                yield type(value).__name__, name.removesuffix("_file")
            yield from planted_in(held)


@pytest.fixture
async def echo() -> AsyncIterator[Echo]:
    async with Echo().serving() as echo:
        yield echo


def loaded(given: Document) -> Settings:
    result = load_text(json.dumps(given), {}, file="f")
    assert result.settings is not None, result.findings
    return result.settings


async def test_every_secret_of_the_models_has_a_canary_in_place_and_in_a_file(echo: Echo, tmp_path: Path) -> None:
    given = document(Canaries(), echo)
    wanted = secrets_of_the_models()
    assert len(wanted) >= 15
    assert set(planted_in(loaded(given))) == wanted
    assert set(planted_in(loaded(by_files(given, tmp_path)))) == wanted


async def test_settings_and_what_is_wrong_with_them_show_none(echo: Echo, tmp_path: Path) -> None:
    canaries = Canaries()
    given = document(canaries, echo)
    for each in (given, by_files(given, tmp_path)):
        settings = loaded(each)
        shown = [repr(settings), str(settings), str(redacted(settings)), str(settings.model_dump())]
        shown += [settings.model_dump_json(include={"heartbeat", "store"}), str(settings.model_dump(mode="python"))]
        shown += [repr(part) for part in (*settings.sources, *settings.receivers, settings.web.auth)]
        assert [canaries.seen_in(text) for text in shown] == [[]] * len(shown)
    for path, value in leaves(given):
        for wrong in ([value], {value: value}, [[value]], f"\x01{value}", f"ftp://{value}", f"{value}\n{value}", ""):
            text = json.dumps(replaced(given, path, wrong))
            assert canaries.seen_in(repr(load_text(text, {}, file="f").findings)) == []


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], str]]:
    """Every text with a canary in it, and where it is."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, each in pairs:
        yield from leaves(each, (*path, step))
    if isinstance(value, str) and MARK in value:
        yield path, value


def replaced(value: Any, path: tuple[Any, ...], by: Any) -> Any:
    """A copy with something else at the path."""
    if not path:
        return by
    step, *rest = path
    copy: Any = dict(value) if isinstance(value, dict) else list(value)
    copy[step] = replaced(value[step], tuple(rest), by)
    return copy


async def test_no_command_shows_one(
    echo: Echo, tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    canaries = Canaries()
    given = by_files({**document(canaries, echo)}, tmp_path)
    given["store"] = {"url": f"sqlite:///{tmp_path / 'watcher.db'}"}
    config = tmp_path / "watcher.yaml"
    config.write_text(json.dumps(given), encoding="utf-8")
    caplog.set_level(logging.DEBUG)
    commands = [
        *(["check"], ["check", "--online"], ["once"], ["once", "-o", "json"], ["routes", "test"]),
        *(["test-receiver", each["name"]] for each in given["receivers"]),
    ]
    codes = []
    for command in commands:
        first, *rest = command
        codes.append(await asyncio.to_thread(main, [first, *rest, "-c", str(config)]))
    codes.append(await asyncio.to_thread(main, ["schema"]))
    output = capsys.readouterr()
    assert set(codes) == {0, 1}
    assert "r3" in output.err
    shown = output.out + output.err + caplog.text + repr([vars(each) for each in caplog.records])
    assert canaries.seen_in(shown) == []


async def test_the_daemon_shows_none(echo: Echo, tmp_path: Path) -> None:
    canaries = Canaries()
    given = document(canaries, echo)
    auth = given["web"]["auth"]
    async with Simulator(Scenario(), speed=0) as cloud:
        config = configuration(
            cloud, tmp_path, receivers=given["receivers"], **{key: given[key] for key in ("heartbeat", "web", "log")}
        )
        whole = json.loads(config.read_text(encoding="utf-8"))
        whole["sources"] = [source(cloud, name="prod", discover=[{}]), *given["sources"]]
        whole["alerts"] = {"unreachable": {"after": "1s"}}
        config.write_text(json.dumps(whole), encoding="utf-8")
        assert load(config, {}).settings is not None
        shown: list[str] = []
        async with running(config) as watcher, aiohttp.ClientSession(watcher.url) as session:
            bearer = {"Authorization": f"Bearer {auth['bearer_token']}"}
            ways = [bearer, {"Authorization": _basic(auth["username"], auth["password"])}]
            ways += [{"Authorization": f"Bearer x{auth['bearer_token']}"}, {}]

            async def ask(path: str, headers: dict[str, str]) -> str:
                async with session.get(path, headers=headers) as response:
                    return f"{response.status} {dict(response.headers)} {await response.text()}"

            async def settled() -> bool:
                text = await ask("/api/v1/deliveries?limit=1000", bearer)
                tried = {each["receiver"] for each in json.loads(text.partition("} ")[2])["items"] if each["attempts"]}
                return tried >= {each["name"] for each in given["receivers"]}

            async with asyncio.timeout(40):
                while not await settled():
                    pass
            paths = [
                *("/", "/metrics", "/static/app.js", "/nonsense", "/-/healthy", "/-/ready"),
                *(f"/api/v1/{each}" for each in ("status", "instances", "events", "alerts", "silences", "sources")),
                *("/api/v1/deliveries?limit=1000", "/api/v1/openapi.json"),
            ]
            shown += await asyncio.gather(*(ask(path, way) for way in ways for path in paths))
            assert any(text.startswith("401") for text in shown)
        shown.append(json.dumps(watcher.log))
    assert "delivery failed" in shown[-1]
    assert "source failed" in shown[-1]
    assert {"/hook", "/api/chat.postMessage", "/v3/auth/tokens"} <= echo.asked
    assert [found for text in shown if (found := canaries.seen_in(text))] == []
    kept = b"".join(path.read_bytes() for path in tmp_path.glob("watcher.db*"))
    assert b"unreachable" in kept
    assert canaries.seen_in(kept.decode("latin-1")) == []


async def test_the_heartbeat_shows_none(echo: Echo, tmp_path: Path) -> None:
    canaries = Canaries()
    file = tmp_path / "url"
    shown: list[str] = []
    for place in (f"http://127.0.0.1:{echo.port}", f"https://127.0.0.1:{echo.tls_port}", f"http://{'a' * 64}.invalid"):
        file.write_text(f"{place}/{canaries.core()}?k={canaries.core()}", encoding="utf-8")
        facts: asyncio.Queue[Fact] = asyncio.Queue()

        async def well() -> None:
            return None

        beating = Heartbeat(
            url=Secret(path=file), interval_s=1.0, why_not=well, clock=HastyClock(), observer=facts.put_nowait
        )
        task = asyncio.create_task(beating.run())
        shown += [repr(await facts.get()) for _ in range(6)]
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert "answered HTTP 500" in "".join(shown)
    assert canaries.seen_in("".join(shown)) == []


async def test_a_fault_of_our_own_shows_none_in_its_traceback() -> None:
    canaries = Canaries()
    output = io.StringIO()
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level

    async def fail(request: web.Request) -> web.Response:
        raise RuntimeError(f"of our own, at {request.path}")

    guard = Guard(access=Access(bearer_token=Secret(value=canaries.core()), clock=HastyClock()))
    server = OpsServer(
        host="127.0.0.1",
        port=0,
        registry=CollectorRegistry(),
        refresh=_nothing,
        wellness=Well(),
        routes=[web.get("/fail", fail)],
        guard=lambda: guard,
        clock=HastyClock(),
    )
    try:
        configure_logging(level="debug", style="json", output=output)
        async with aiohttp.ClientSession(await server.start()) as session:
            headers = {"Authorization": f"Bearer {canaries.cores[0]}"}
            async with session.get("/fail", headers=headers) as response:
                assert response.status == 500
                output.write(await response.text())
    finally:
        await server.close()
        root.handlers[:] = handlers
        root.setLevel(level)
    assert "RuntimeError" in output.getvalue()
    assert canaries.seen_in(output.getvalue()) == []


async def _nothing() -> None:
    pass


def _basic(username: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


def test_canaries_are_found_however_they_are_written() -> None:
    canaries = Canaries()
    secret = canaries.text()
    forms = [secret, secret.upper(), json.dumps(secret), *(f"{'x' * n}{secret}" for n in range(3))]
    for form in forms:
        assert canaries.seen_in(form) == canaries.cores
    for n in range(6):
        encoded = base64.b64encode(b"user:"[:n] + secret.encode()).decode()
        assert canaries.seen_in(f"Basic {encoded}") == canaries.cores
    assert canaries.seen_in("cnry11") == []
