"""Nothing is sent to a link-local address: not when it is written down, not when a name leads there.

Nothing here goes out: a socket for such an address is never made, and a test that made one would be seen doing so.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest
from pydantic import TypeAdapter

from tests.contract.test_receivers import NOTIFICATION, SETTINGS, opened
from tests.fakes.clock import FakeClock
from tests.fakes.sink import Sink
from tests.unit.core.test_destinations import METADATA
from watcher.core.errors import DeliveryError
from watcher.core.facts import Fact, HeartbeatMissed
from watcher.fields import DestinationUrl, Secret
from watcher.ops import Heartbeat
from watcher.settings import load_text

RECEIVERS: dict[str, dict[str, Any]] = {
    "webhook": {"type": "webhook", "url": "URL"},
    "alertmanager": {"type": "alertmanager", "url": "URL"},
    "pagerduty": {"type": "pagerduty", "routing_key": "k", "url": "URL"},
    "slack": {"type": "slack", "webhook_url": "URL"},
    "bot": {"type": "slack", "bot_token": "t", "channel": "c", "api_url": "URL"},
}


def section(name: str, url: str) -> dict[str, Any]:
    return {key: url if value == "URL" else value for key, value in RECEIVERS[name].items()}


@pytest.mark.parametrize("name", RECEIVERS)
@pytest.mark.parametrize("url", ["http://169.254.169.254/x", "https://[::ffff:169.254.169.254]/", "http://0xa9fea9fe/"])
def test_one_that_is_written_down_is_refused(name: str, url: str) -> None:
    with pytest.raises(ValueError, match="link-local"):
        SETTINGS.validate_python({"name": "it", **section(name, url)})


@pytest.mark.parametrize("name", RECEIVERS)
@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://h/x", "gopher://h/", "javascript:x", "//h/x", "h"])
def test_other_schemes_are_refused(name: str, url: str) -> None:
    with pytest.raises(ValueError, match=r"scheme|must begin|URL"):
        SETTINGS.validate_python({"name": "it", **section(name, url)})


@pytest.mark.parametrize("url", ["json://169.254.169.254/x", "jsons://0xa9fea9fe", "json://[fe80::1]/"])
def test_so_it_is_in_an_apprise_address(url: str) -> None:
    with pytest.raises(ValueError, match=r"link-local|not an address"):
        SETTINGS.validate_python({"name": "it", "type": "apprise", "urls": [url]})


@pytest.mark.parametrize("key", ["heartbeat", "proxy_url"])
def test_heartbeat_and_proxy_want_http(key: str) -> None:
    source = "{name: a, region: cn-north-4, instances: ['1'], %s}"
    for url in ("file:///etc/passwd", "ftp://h/"):
        proxy = f"proxy_url: '{url}'" if key == "proxy_url" else ""
        text = f"sources: [{source % proxy}]\n" + (f"heartbeat: {{url: '{url}'}}" if not proxy else "")
        assert load_text(text, {}, file="f").settings is None
    beat = f"sources: [{source % ''}]\nheartbeat: {{url: 'http://%s/'}}"
    assert load_text(beat % "169.254.169.254", {}, file="f").settings is None
    assert load_text(beat % "10.0.0.1", {}, file="f").settings is not None


@pytest.mark.parametrize("host", [each for each in METADATA if "%" not in each and ":" not in each])
def test_urls_are_checked_as_they_will_be_read(host: str) -> None:
    with pytest.raises(ValueError, match="link-local"):
        TypeAdapter(DestinationUrl).validate_python(f"http://{host}/")


@pytest.fixture
def resolved(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What names lead to, one after the other; the last for ever. Sockets are only made for loopback."""
    answers: list[str] = ["169.254.169.254"]
    real_lookup, real_socket = socket.getaddrinfo, socket.socket.connect

    def look_up(host: Any, port: Any, *more: Any, **named: Any) -> Any:
        if str(host).endswith(".example"):
            host = answers.pop(0) if len(answers) > 1 else answers[0]
        return real_lookup(host, port, *more, **named)

    def connect(self: socket.socket, address: Any) -> None:
        assert address[0] == "127.0.0.1", address
        real_socket(self, address)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setattr(socket.socket, "connect", connect)
    return answers


@pytest.mark.parametrize("name", RECEIVERS)
@pytest.mark.parametrize("leads_to", ["169.254.169.254", "fe80::1", "::ffff:169.254.169.254"])
async def test_a_name_that_leads_there_leads_nowhere(name: str, leads_to: str, resolved: list[str]) -> None:
    resolved[:] = [leads_to]
    async with opened(section(name, "http://rebound.example/x")) as receiver:
        for ask in (receiver.send(NOTIFICATION), receiver.reach()):
            with pytest.raises(DeliveryError, match=r"rebound\.example.*link-local"):
                await ask


async def test_a_name_that_leads_there_later_leads_nowhere_then(resolved: list[str]) -> None:
    async with Sink() as sink:
        port = sink.url.rpartition(":")[2]
        resolved[:] = ["127.0.0.1", "169.254.169.254"]
        async with opened(section("webhook", f"http://rebound.example:{port}/x")) as receiver:
            assert (await receiver.send(NOTIFICATION)).startswith("HTTP 200")
        async with opened(section("webhook", f"http://rebound.example:{port}/x")) as receiver:
            with pytest.raises(DeliveryError, match="link-local"):
                await receiver.send(NOTIFICATION)
        assert len(sink.received) == 1


async def test_apprise_looks_where_a_name_leads(resolved: list[str]) -> None:
    resolved[:] = ["169.254.169.254"]
    async with opened({"type": "apprise", "urls": ["json://rebound.example/x"]}) as receiver:
        with pytest.raises(DeliveryError, match=r"rebound\.example.*link-local"):
            await receiver.send(NOTIFICATION)


@pytest.mark.parametrize("url", ["http://169.254.169.254/x", "http://rebound.example/x"])
async def test_the_heartbeat_does_not_go_there(url: str, resolved: list[str]) -> None:
    del resolved
    facts: asyncio.Queue[Fact] = asyncio.Queue()

    async def well() -> None:
        return None

    # As from a file, which is not looked at before.
    beating = Heartbeat(
        url=Secret(value=url), interval_s=60, why_not=well, clock=FakeClock(), observer=facts.put_nowait
    )
    task = asyncio.create_task(beating.run())
    missed = await facts.get()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert isinstance(missed, HeartbeatMissed)
    assert "link-local" in missed.reason
