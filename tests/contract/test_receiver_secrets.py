"""What a receiver was shown it may show again: nothing of it is kept, told or logged."""

from __future__ import annotations

import html
import json
import logging
from collections.abc import AsyncIterator, Callable
from urllib.parse import quote

import pytest

from tests.contract.test_receivers import HTTP_CASES, NOTIFICATION, SETTINGS, Case, opened
from tests.fakes.sink import Reply, Sink
from watcher.core.errors import DeliveryError


@pytest.fixture(params=HTTP_CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return HTTP_CASES[request.param]


@pytest.fixture
async def sink(request: pytest.FixtureRequest) -> AsyncIterator[Sink]:
    async with Sink() as sink:
        if "case" in request.fixturenames:
            sink.good = Reply(body=request.getfixturevalue("case").good)
        yield sink


async def test_secrets_stay_secret(case: Case, sink: Sink, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    section = SETTINGS.validate_python({"name": "it", **case.config(sink.url)})
    shown = [repr(section), str(section)]
    sink.replies.extend([Reply(status=404), Reply(reset=True), Reply(raw=b"\x00"), Reply(status=302)])
    async with opened(case.config(sink.url)) as receiver:
        for _ in range(4):
            with pytest.raises(DeliveryError) as failure:
                await receiver.send(case.notification)
            shown += [str(failure.value), repr(failure.value), repr(receiver)]
        await receiver.send(case.notification)
    assert not [text for text in (*shown, caplog.text) for secret in case.secrets if secret in text]


ECHOES: dict[str, Callable[[str], str]] = {
    "as it is": lambda secret: f"no such hook: {secret}!",
    "in a URL": lambda secret: f"/login?next={quote(secret, safe='')}",
    "in a URL, lower case": lambda secret: f"/login?next={quote(secret, safe='').lower()}",
    "in JSON": lambda secret: json.dumps({"hook": secret}).replace("/", "\\/"),
    "in HTML": lambda secret: f"<p>{html.escape(secret)}</p>",
    "where the excerpt is cut": lambda secret: "x" * 195 + secret,
    "twice": lambda secret: secret + secret,
}


@pytest.mark.parametrize("echo", ECHOES)
@pytest.mark.parametrize("status", [200, 404, 429, 500])
async def test_a_receiver_that_tells_our_secrets_is_not_quoted(case: Case, sink: Sink, echo: str, status: int) -> None:
    config = case.config(sink.url)
    secrets = {
        *case.secrets,
        *(value for key, value in config.items() if key in ("url", "secret", "webhook_url", "bot_token")),
    }
    async with opened(config) as receiver:
        for secret in secrets:
            sink.replies.append(Reply(status=status, body=ECHOES[echo](secret)))
            try:
                answer = await receiver.send(case.notification)
            except DeliveryError as error:
                answer = str(error)
            assert f"HTTP {status}" in answer
            assert "*****" in answer
            assert not [each for each in case.secrets if each[:8].lower() in answer.lower()]


async def test_a_password_in_the_address_is_not_quoted(sink: Sink) -> None:
    url = sink.url.replace("http://", "http://ann:canary%2Fpassword@")
    async with opened({"type": "webhook", "url": f"{url}/x?v=2"}) as receiver:
        await receiver.send(NOTIFICATION)
        authorization = sink.received[0].headers["authorization"]
        sink.replies.append(Reply(status=400, body=f"v 2: {authorization}, canary/password, canary%2fpassword"))
        with pytest.raises(DeliveryError) as failure:
            await receiver.send(NOTIFICATION)
    hidden = "**********"
    assert str(failure.value) == f"answered HTTP 400: v 2: Basic {hidden}, {hidden}, {hidden}"


@pytest.mark.parametrize("echo", ECHOES)
async def test_a_secret_with_marks_in_it_is_not_quoted_either(sink: Sink, echo: str) -> None:
    key = 'canary/"slash" & <more>'
    sink.replies.append(Reply(status=400, body=ECHOES[echo](key)))
    async with opened({"type": "webhook", "url": f"{sink.url}/hook?key={quote(key, safe='')}"}) as receiver:
        with pytest.raises(DeliveryError, match=r"\*{5}") as failure:
            await receiver.send(NOTIFICATION)
    assert "canary" not in str(failure.value)
