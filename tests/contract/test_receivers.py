"""What every receiver must do. A new one joins by its case in `CASES`; without one this suite fails."""

from __future__ import annotations

import io
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, replace
from typing import Any, get_args

import pytest
import trustme
from pydantic import TypeAdapter

from tests.fakes.sink import Reply, Sink
from tests.fakes.values import at, event
from watcher.core.clock import SystemClock
from watcher.core.errors import DeliveryError, FailureReason
from watcher.core.model import Alert, AlertStatus, Notification, Severity
from watcher.core.ports import Receiver
from watcher.fields import Rate
from watcher.receivers import AnyReceiverSettings
from watcher.receivers.base import ReceiverTools
from watcher.receivers.links import Links
from watcher.settings import json_schema

SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
SETTINGS: TypeAdapter[Any] = TypeAdapter(AnyReceiverSettings)


@dataclass(frozen=True)
class Case:
    """How to configure a receiver for a server at `url`, and the words that must never be shown.

    `good` is the body of a good answer; with `reads_answers`, any other body is none, whatever the status. Not
    `one_request`: a notification may take several, or none; `notification` takes one, for some a test (`as_test`).
    """

    config: Callable[[str], dict[str, Any]]
    secrets: tuple[str, ...]
    reads_on: bool = True
    """Whether it reads on after an informational answer."""
    one_request: bool = True
    as_test: bool = False
    good: str = "ok"
    reads_answers: bool = False
    content_type: str = "application/json"
    reached: Reply | None = None  # what it says to a `reach` that asks

    @property
    def notification(self) -> Notification:
        """One that takes a single request."""
        return replace(NOTIFICATION, test=self.as_test)


HTTP_CASES = {
    "webhook": Case(
        lambda url: {"type": "webhook", "url": f"{url}/hook?key=canary-query", "secret": SECRET},
        (SECRET, "canary-query"),
    ),
    "webhook-cloudevents": Case(
        lambda url: {"type": "webhook", "url": f"{url}/h?key=canary-query", "secret": SECRET, "format": "cloudevents"},
        (SECRET, "canary-query"),
        content_type="application/cloudevents+json",
    ),
    "webhook-alertmanager": Case(
        lambda url: {"type": "webhook", "url": f"{url}/h?key=canary-query", "secret": SECRET, "format": "alertmanager"},
        (SECRET, "canary-query"),
    ),
    "alertmanager": Case(
        lambda url: {"type": "alertmanager", "url": url.replace("://", "://ann:canary-password@", 1) + "/am"},
        ("canary-password", "YW5uOmNhbmFyeS1wYXNzd29yZA=="),
        reached=Reply(body="[]"),
    ),
    "slack": Case(lambda url: {"type": "slack", "webhook_url": f"{url}/services/T0/B0/canary-path"}, ("canary-path",)),
    "apprise": Case(
        lambda url: {
            "type": "apprise",
            "urls": [
                f"{url.replace('http', 'json', 1).replace('://', '://ann:canary-password@')}/canary-path/x?-k=canary-query"
            ],
        },
        ("canary-password", "canary-path", "canary-query"),
        reads_on=False,
    ),
    "pagerduty": Case(
        lambda url: {"type": "pagerduty", "url": f"{url}/relay?key=canary-query", "routing_key": "canary-integration"},
        ("canary-integration", "canary-query"),
        one_request=False,
    ),
    "slack-bot": Case(
        lambda url: {"type": "slack", "bot_token": "xoxb-canary", "channel": "#images", "api_url": f"{url}/api/"},
        ("xoxb-canary",),
        good='{"ok": true, "channel": "C0", "ts": "1503435956.000247"}',
        reads_answers=True,
        one_request=False,
        as_test=True,
    ),
}
OTHER_CASES = {"console": {"type": "console"}}


def test_every_type_has_its_case() -> None:
    union = get_args(get_args(AnyReceiverSettings)[0])
    types = {section.model_fields["type"].default for section in union}
    assert types == {name.partition("-")[0] for name in (*HTTP_CASES, *OTHER_CASES)}


@asynccontextmanager
async def opened(config: dict[str, Any], *, output: io.StringIO | None = None, **more: Any) -> AsyncIterator[Receiver]:
    links = Links(external_url="https://watcher.example/")
    tools = ReceiverTools(clock=SystemClock(), output=output or io.StringIO(), links=links)
    receiver: Receiver = SETTINGS.validate_python({"name": "it", **config, **more}).build(tools)
    try:
        yield receiver
    finally:
        await receiver.close()


@pytest.fixture(params=HTTP_CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return HTTP_CASES[request.param]


@pytest.fixture
async def sink(request: pytest.FixtureRequest) -> AsyncIterator[Sink]:
    async with Sink() as sink:
        if "case" in request.fixturenames:
            sink.good = Reply(body=request.getfixturevalue("case").good)
        yield sink


ALERT = Alert(
    name="stuck",
    fingerprint="0123456789abcdef",
    status=AlertStatus.FIRING,
    severity=Severity.WARNING,
    starts_at=at(0),
    labels={"team": "vdi", "instance_name": "office-2026", "status": "BUILDING"},
)
NOTIFICATION = Notification(id=event().id, events=(event(alerts=(ALERT,)),))
"""News with an alert, for those who take nothing else."""


async def test_accepted(case: Case, sink: Sink) -> None:
    sink.replies.extend([Reply(body=case.good), case.reached or Reply(body=case.good)])
    async with opened(case.config(sink.url)) as receiver:
        answer = await receiver.send(case.notification)
        assert [request.method for request in sink.received] == ["POST"]
        await receiver.reach()
    assert answer.partition(":")[0] == "HTTP 200 ok"
    assert sink.received[0].headers["content-type"].startswith(case.content_type)


R = FailureReason


@dataclass(frozen=True)
class Verdict:
    """What becomes of a notification by an answer: delivered, tried again, or dead, and why."""

    fate: str
    reason: FailureReason | None = None
    too_large: bool = False


DELIVERED = Verdict("delivered")
NO_ANSWER = Verdict("retry", R.OTHER)
EVERY_STATUS = {
    **dict.fromkeys(range(200, 300), DELIVERED),
    **dict.fromkeys(range(300, 400), Verdict("dead", R.CLIENT_ERROR)),
    **dict.fromkeys(range(400, 500), Verdict("dead", R.CLIENT_ERROR)),
    **dict.fromkeys(range(500, 600), Verdict("retry", R.SERVER_ERROR)),
    401: Verdict("dead", R.AUTH_ERROR),
    403: Verdict("dead", R.AUTH_ERROR),
    408: Verdict("retry", R.TIMEOUT),
    413: Verdict("dead", R.CLIENT_ERROR, too_large=True),
    425: Verdict("retry", R.CLIENT_ERROR),
    429: Verdict("retry", R.RATE_LIMITED),
}


async def verdict(receiver: Receiver, case: Case) -> Verdict:
    try:
        await receiver.send(case.notification)
    except DeliveryError as error:
        return Verdict("dead" if error.permanent else "retry", error.reason, error.too_large)
    return DELIVERED


async def test_every_final_answer_is_judged(case: Case, sink: Sink) -> None:
    """Each of 400 statuses, those of 3xx with a `Location` on another host, which is never asked."""
    expected = {**EVERY_STATUS, **({204: NO_ANSWER} if case.reads_answers else {})}
    async with Sink() as other, opened(case.config(sink.url)) as receiver:
        judged = {}
        for status in EVERY_STATUS:
            headers = {"Location": f"{other.url}/elsewhere"} if 300 <= status < 400 else {}
            body = case.good if status < 300 else "words"
            sink.replies.append(Reply(status=status, body="" if status in (204, 304) else body, headers=headers))
            judged[status] = await verdict(receiver, case)
        assert other.received == []
    assert {status: told for status, told in judged.items() if told != expected[status]} == {}
    assert len(sink.received) == len(EVERY_STATUS)
    assert {request.method for request in sink.received} == {"POST"}


@pytest.mark.parametrize("final", [200, 404, 503])
async def test_an_informational_answer_comes_before_the_final_one(case: Case, sink: Sink, final: int) -> None:
    """1xx says nothing of the outcome (RFC 9110 section 15.2): what counts is what follows."""
    async with opened(case.config(sink.url)) as receiver:
        for status in (100, *range(102, 200)):
            head = f"HTTP/1.1 {final} Well\r\nContent-Length: {len(case.good)}"
            answer = f"HTTP/1.1 {status} Wait\r\n\r\n{head}\r\n\r\n{case.good}"
            sink.replies.append(Reply(raw=answer.encode()))
            told = case.reads_on or status == 100
            expected = EVERY_STATUS[final] if told else Verdict("retry", R.OTHER)
            assert await verdict(receiver, case) == expected, status
    assert len(sink.received) == 99


async def test_switching_protocols_was_not_asked_for(case: Case, sink: Sink) -> None:
    sink.replies.append(Reply(raw=b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n"))
    async with opened(case.config(sink.url)) as receiver:
        assert await verdict(receiver, case) == Verdict("dead", R.OTHER)


async def test_an_informational_answer_alone_is_none(case: Case, sink: Sink) -> None:
    sink.replies.append(Reply(raw=b"HTTP/1.1 102 Processing\r\n\r\n", hang=True))
    async with opened(case.config(sink.url), timeout="50ms") as receiver:
        assert await verdict(receiver, case) == Verdict("retry", R.TIMEOUT if case.reads_on else R.OTHER)


async def test_what_was_answered_is_told(case: Case, sink: Sink) -> None:
    sink.replies.extend([Reply(status=422, body="no\n  thanks"), Reply(status=201, body=""), Reply(body="x" * 5000)])
    told = []
    async with opened(case.config(sink.url)) as receiver:
        with pytest.raises(DeliveryError, match=r"^answered HTTP 422: no thanks$"):
            await receiver.send(case.notification)
        for _ in range(2):
            try:
                told.append(await receiver.send(case.notification))
            except DeliveryError as error:
                told.append(str(error))
    said = ["HTTP 201", "HTTP 200 " + "x" * 200]
    assert told == ([f"answered {each}: not an answer of Slack's API" for each in said] if case.reads_answers else said)


@pytest.mark.parametrize("head", [b"", b"Content-Type: text/plain; charset=no-such-code\r\n"])
async def test_a_success_is_one_whatever_it_says(case: Case, sink: Sink, head: bytes) -> None:
    sink.replies.append(Reply(raw=b"HTTP/1.1 200 OK\r\n" + head + b"Content-Length: 3\r\n\r\n\xff\xfe\x00"))
    async with opened(case.config(sink.url)) as receiver:
        assert await verdict(receiver, case) == (NO_ANSWER if case.reads_answers else DELIVERED)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 503, 599])
@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        (" 1.5 ", 1.5),
        ("0", 0.0),
        ("-3", 0.0),
        ("999999999999", 3600.0),
        ("1e999", None),
        ("nan", None),
        ("soon", None),
        ("", None),
        ("Wed, 21 Oct 2015 07:29:00 GMT", 60.0),
        ("Wed, 21 Oct 2015 07:27:00 GMT", 0.0),
        ("Fri, 21 Oct 2095 07:28:00 GMT", 3600.0),
        ("Wed, 99 Oct 2015 07:28:00 GMT", None),
    ],
)
async def test_retry_after(case: Case, sink: Sink, status: int, header: str, seconds: float | None) -> None:
    """A date counts on the other side's clock."""
    headers = {"Retry-After": header, "Date": "Wed, 21 Oct 2015 07:28:00 GMT"}
    sink.replies.append(Reply(status=status, headers=headers))
    async with opened(case.config(sink.url)) as receiver:
        with pytest.raises(DeliveryError) as failure:
            await receiver.send(case.notification)
    assert failure.value.retry_after_s == seconds


@pytest.mark.parametrize("status", [302, 400, 401, 413])
async def test_retry_after_means_nothing_where_nothing_is_tried_again(case: Case, sink: Sink, status: int) -> None:
    sink.replies.append(Reply(status=status, headers={"Retry-After": "7"}))
    async with opened(case.config(sink.url)) as receiver:
        with pytest.raises(DeliveryError) as failure:
            await receiver.send(case.notification)
    assert (failure.value.permanent, failure.value.retry_after_s) == (True, None)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("place", ["{other}/elsewhere", "//{host}/elsewhere", "/elsewhere", "http://[", ""])
async def test_a_redirect_is_not_followed(case: Case, sink: Sink, status: int, place: str) -> None:
    async with Sink() as other, opened(case.config(sink.url)) as receiver:
        location = place.format(other=other.url, host=other.url.removeprefix("http://"))
        sink.replies.append(Reply(status=status, headers={"Location": location}))
        with pytest.raises(DeliveryError, match=f"HTTP {status}") as failure:
            await receiver.send(case.notification)
        assert (failure.value.permanent, failure.value.reason) == (True, R.CLIENT_ERROR)
        assert "redirect" in str(failure.value)
        assert other.received == []
    assert len(sink.received) == 1


@pytest.mark.parametrize(
    "reply",
    [
        Reply(reset=True),
        Reply(cut=True),
        Reply(raw=b"HTTP/1.1 20"),
        Reply(raw=b"220 mail.example ESMTP\r\n"),
        Reply(raw=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
        Reply(raw=b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n"),
    ],
    ids=["reset", "half a body", "half a head", "no HTTP", "no chunks", "an endless head"],
)
async def test_a_broken_connection_is_tried_again(case: Case, sink: Sink, reply: Reply) -> None:
    sink.replies.append(reply)
    async with opened(case.config(sink.url)) as receiver:
        with pytest.raises(DeliveryError) as failure:
            await receiver.send(case.notification)
    assert (failure.value.permanent, failure.value.reason) == (False, R.NETWORK)


@pytest.mark.parametrize("raw", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf"])
async def test_no_answer_in_time(case: Case, sink: Sink, raw: bytes) -> None:
    sink.replies.append(Reply(hang=True, raw=raw))
    async with opened(case.config(sink.url), timeout="50ms") as receiver:
        assert await verdict(receiver, case) == Verdict("retry", R.TIMEOUT)


async def test_a_name_that_nobody_knows(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    async with opened(case.config("http://receiver.example")) as receiver:
        for attempt in (receiver.send(case.notification), receiver.reach()):
            with pytest.raises(DeliveryError, match=r"receiver\.example:80: Name or service not known") as failure:
                await attempt
            assert (failure.value.permanent, failure.value.reason) == (False, R.NETWORK)


async def test_nobody_listens(case: Case) -> None:
    with closing(socket.socket()) as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        async with opened(case.config(url)) as receiver:
            for attempt in (receiver.send(case.notification), receiver.reach()):
                with pytest.raises(DeliveryError) as failure:
                    await attempt
                assert (failure.value.permanent, failure.value.reason) == (False, R.NETWORK)
                assert not any(secret in str(failure.value) for secret in case.secrets)


async def test_a_certificate_of_a_stranger(case: Case) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    async with Sink(tls=context) as sink, opened(case.config(sink.url)) as receiver:
        for attempt in (receiver.send(case.notification), receiver.reach()):
            with pytest.raises(DeliveryError) as failure:
                await attempt
            assert (failure.value.permanent, failure.value.reason) == (False, R.NETWORK)
        assert sink.received == []


@pytest.mark.parametrize("speaks", ["http", "https"])
async def test_one_side_speaks_tls_and_the_other_does_not(case: Case, speaks: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    async with Sink(tls=context if speaks == "https" else None) as sink:
        url = sink.url.replace("https:", "http:") if speaks == "https" else sink.url.replace("http:", "https:")
        async with opened(case.config(url)) as receiver:
            assert await verdict(receiver, case) == Verdict("retry", R.NETWORK)
        assert sink.received == []


async def test_an_endless_answer_is_cut(case: Case, sink: Sink) -> None:
    sink.replies.append(Reply(status=400, endless=True))
    async with opened(case.config(sink.url)) as receiver:
        with pytest.raises(DeliveryError) as failure:
            await receiver.send(case.notification)
        await receiver.send(case.notification)
    assert "HTTP 400" in str(failure.value)
    assert len(str(failure.value)) < 300


def test_slack_is_paced_unless_told_otherwise() -> None:
    rates = {}
    for name, config in {**{name: case.config("http://h") for name, case in HTTP_CASES.items()}, **OTHER_CASES}.items():
        rates[name] = SETTINGS.validate_python({"name": "it", **config}).rate_limit
    assert rates.pop("slack") == rates.pop("slack-bot") == Rate(1, 1.0)
    assert set(rates.values()) == {None}
    schema = json_schema()["$defs"]["SlackSettings"]["properties"]["rate_limit"]
    assert schema["default"] == "1/1s"
    slack = {"name": "it", **HTTP_CASES["slack"].config("http://h"), "rate_limit": "5/1m"}
    assert SETTINGS.validate_python(slack).rate_limit == Rate(5, 60.0)
