"""What every receiver must do. A new one joins by its case in `CASES`; without one this suite fails."""

from __future__ import annotations

import io
import json
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, replace
from typing import Any, get_args

import pytest
import trustme
from pydantic import TypeAdapter
from standardwebhooks import Webhook, WebhookVerificationError

from tests.fakes.sink import Reply, Sink
from tests.fakes.values import event, history, outage
from watcher.core.clock import SystemClock
from watcher.core.errors import DeliveryError, FailureReason
from watcher.core.event_json import to_json
from watcher.core.model import Event, EventKind, Notification, Reason, Severity
from watcher.core.ports import Receiver
from watcher.receivers import AnyReceiverSettings
from watcher.receivers.base import ReceiverTools
from watcher.receivers.message import describe
from watcher.receivers.slack import blocks

SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
SETTINGS: TypeAdapter[Any] = TypeAdapter(AnyReceiverSettings)


@dataclass(frozen=True)
class Case:
    """How to configure a receiver for a server at `url`, and the words that must never be shown."""

    config: Callable[[str], dict[str, Any]]
    secrets: tuple[str, ...]


HTTP_CASES = {
    "webhook": Case(
        lambda url: {"type": "webhook", "url": f"{url}/hook?key=canary-query", "secret": SECRET},
        (SECRET, "canary-query"),
    ),
    "slack": Case(lambda url: {"type": "slack", "webhook_url": f"{url}/services/T0/B0/canary-path"}, ("canary-path",)),
}
OTHER_CASES = {"console": {"type": "console"}}
PLANNED_CASES: dict[str, dict[str, Any]] = {
    "pagerduty": {"type": "pagerduty", "routing_key": "canary-key"},
    "alertmanager": {"type": "alertmanager", "url": "http://127.0.0.1:1"},
    "apprise": {"type": "apprise", "urls": ["json://127.0.0.1:1"]},
    "slack-bot": {"type": "slack", "bot_token": "xoxb-canary", "channel": "C0"},
    "webhook-cloudevents": {"type": "webhook", "url": "http://127.0.0.1:1", "format": "cloudevents"},
    "webhook-alertmanager": {"type": "webhook", "url": "http://127.0.0.1:1", "format": "alertmanager"},
}


def test_every_type_has_its_case() -> None:
    union = get_args(get_args(AnyReceiverSettings)[0])
    types = {section.model_fields["type"].default for section in union}
    assert types == {name.partition("-")[0] for name in (*HTTP_CASES, *OTHER_CASES, *PLANNED_CASES)}


@asynccontextmanager
async def opened(config: dict[str, Any], *, output: io.StringIO | None = None, **more: Any) -> AsyncIterator[Receiver]:
    tools = ReceiverTools(clock=SystemClock(), output=output or io.StringIO(), external_url="https://watcher.example/")
    receiver: Receiver = SETTINGS.validate_python({"name": "it", **config, **more}).build(tools)
    try:
        yield receiver
    finally:
        await receiver.close()


@pytest.fixture(params=HTTP_CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return HTTP_CASES[request.param]


@pytest.fixture
async def sink() -> AsyncIterator[Sink]:
    async with Sink() as sink:
        yield sink


NOTIFICATION = Notification(id=event().id, events=(event(),))


def every_kind() -> Iterator[Event]:
    """An event of each kind this version makes, with awkward names."""
    yield history("ERROR")[1][0]
    _, events = history("CREATING", "ERROR", "NULL", "BUILT", None, None, "BUILDING", "DELETING", None)
    yield from events
    yield event(from_status="BUILT", inferred=("BUILDING",))
    yield event(instance_name="<!channel> *x* `y` & <https://evil.example|click>", labels={"team": "<@U1>"})
    yield event(instance_name="办公 \N{ROCKET} " + "n" * 5000, reason=Reason(code="W", message="m" * 5000, exact=True))
    yield event(instance_name="", labels={f"label{number}": "v" * 300 for number in range(60)})
    yield event(instance_name="a\nb\x1b[31mred\x1b[0m\u202eevil")
    yield event(from_status="ODD", to_status="NEVER_HEARD_OF", duration_s=0.0)
    yield from outage()


async def test_accepted(case: Case, sink: Sink) -> None:
    async with opened(case.config(sink.url)) as receiver:
        answer = await receiver.send(NOTIFICATION)
        await receiver.reach()
    assert answer == "HTTP 200 ok"
    assert [request.method for request in sink.received] == ["POST"]
    assert sink.received[0].headers["content-type"].startswith("application/json")


async def test_every_kind_of_event_can_be_sent(case: Case, sink: Sink) -> None:
    events = list(every_kind())
    async with opened(case.config(sink.url)) as receiver:
        for told in events:
            await receiver.send(Notification(id=told.id, events=(told,)))
    assert len(sink.received) == len(events)
    assert {told.kind for told in events} >= {
        EventKind.DISCOVERED,
        EventKind.TRANSITION,
        EventKind.MISSING,
        EventKind.RECOVERED,
        EventKind.DELETED,
        EventKind.UNREACHABLE,
    }


R = FailureReason


@pytest.mark.parametrize(
    ("status", "permanent", "reason"),
    [
        (300, True, R.CLIENT_ERROR),
        (304, True, R.CLIENT_ERROR),
        (400, True, R.CLIENT_ERROR),
        (401, True, R.AUTH_ERROR),
        (403, True, R.AUTH_ERROR),
        (404, True, R.CLIENT_ERROR),
        (408, False, R.TIMEOUT),
        (410, True, R.CLIENT_ERROR),
        (413, True, R.CLIENT_ERROR),
        (422, True, R.CLIENT_ERROR),
        (425, False, R.CLIENT_ERROR),
        (429, False, R.RATE_LIMITED),
        (500, False, R.SERVER_ERROR),
        (502, False, R.SERVER_ERROR),
        (503, False, R.SERVER_ERROR),
        (504, False, R.SERVER_ERROR),
        (599, False, R.SERVER_ERROR),
    ],
)
async def test_refusals(case: Case, sink: Sink, status: int, permanent: bool, reason: FailureReason) -> None:
    body = "" if status == 304 else "no thanks"
    sink.replies.append(Reply(status=status, body=body))
    async with opened(case.config(sink.url)) as receiver:
        with pytest.raises(DeliveryError) as failure:
            await receiver.send(NOTIFICATION)
    assert (failure.value.permanent, failure.value.reason) == (permanent, reason)
    assert str(status) in str(failure.value)
    assert body in str(failure.value)


@pytest.mark.parametrize("status", [201, 202, 204])
async def test_any_2xx_is_success(case: Case, sink: Sink, status: int) -> None:
    sink.replies.append(Reply(status=status, body=""))
    async with opened(case.config(sink.url)) as receiver:
        assert await receiver.send(NOTIFICATION) == f"HTTP {status}"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("999999999999", 3600.0),
        ("soon", None),
        ("-3", 0.0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
    ],
)
async def test_retry_after(case: Case, sink: Sink, header: str, seconds: float | None) -> None:
    sink.replies.append(Reply(status=429, headers={"Retry-After": header}))
    async with opened(case.config(sink.url)) as receiver:
        with pytest.raises(DeliveryError) as failure:
            await receiver.send(NOTIFICATION)
    assert failure.value.retry_after_s == seconds


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(case: Case, sink: Sink, status: int) -> None:
    sink.replies.append(Reply(status=status, headers={"Location": "/elsewhere"}))
    async with opened(case.config(sink.url)) as receiver:
        with pytest.raises(DeliveryError, match="redirect") as failure:
            await receiver.send(NOTIFICATION)
    assert failure.value.permanent
    assert len(sink.received) == 1


@pytest.mark.parametrize("reply", [Reply(reset=True), Reply(cut=True)])
async def test_a_broken_connection_is_tried_again(case: Case, sink: Sink, reply: Reply) -> None:
    sink.replies.append(reply)
    async with opened(case.config(sink.url)) as receiver:
        with pytest.raises(DeliveryError) as failure:
            await receiver.send(NOTIFICATION)
    assert (failure.value.permanent, failure.value.reason) == (False, R.NETWORK)


async def test_no_answer_in_time(case: Case, sink: Sink) -> None:
    sink.replies.append(Reply(hang=True))
    async with opened(case.config(sink.url), timeout="50ms") as receiver:
        with pytest.raises(DeliveryError) as failure:
            await receiver.send(NOTIFICATION)
    assert (failure.value.permanent, failure.value.reason) == (False, R.TIMEOUT)


async def test_nobody_listens(case: Case) -> None:
    with closing(socket.socket()) as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        async with opened(case.config(url)) as receiver:
            for attempt in (receiver.send(NOTIFICATION), receiver.reach()):
                with pytest.raises(DeliveryError) as failure:
                    await attempt
                assert (failure.value.permanent, failure.value.reason) == (False, R.NETWORK)
                assert not any(secret in str(failure.value) for secret in case.secrets)


async def test_a_certificate_of_a_stranger(case: Case) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    async with Sink(tls=context) as sink, opened(case.config(sink.url)) as receiver:
        for attempt in (receiver.send(NOTIFICATION), receiver.reach()):
            with pytest.raises(DeliveryError) as failure:
                await attempt
            assert (failure.value.permanent, failure.value.reason) == (False, R.NETWORK)
        assert sink.received == []


async def test_an_endless_answer_is_cut(case: Case, sink: Sink) -> None:
    sink.replies.append(Reply(status=400, endless=True))
    async with opened(case.config(sink.url)) as receiver:
        with pytest.raises(DeliveryError) as failure:
            await receiver.send(NOTIFICATION)
        await receiver.send(NOTIFICATION)
    assert "HTTP 400" in str(failure.value)
    assert len(str(failure.value)) < 300


async def test_secrets_stay_secret(case: Case, sink: Sink) -> None:
    section = SETTINGS.validate_python({"name": "it", **case.config(sink.url)})
    shown = [repr(section), str(section)]
    sink.replies.extend([Reply(status=404), Reply(reset=True)])
    async with opened(case.config(sink.url)) as receiver:
        for _ in range(2):
            with pytest.raises(DeliveryError) as failure:
                await receiver.send(NOTIFICATION)
            shown += [str(failure.value), repr(failure.value), repr(receiver)]
    assert not [text for text in shown for secret in case.secrets if secret in text]


@pytest.mark.parametrize("name", PLANNED_CASES)
async def test_what_comes_later_keeps_dead_letters(name: str) -> None:
    async with opened(PLANNED_CASES[name]) as receiver:
        assert receiver.type == name.partition("-")[0]
        for attempt in (receiver.send(NOTIFICATION), receiver.reach()):
            with pytest.raises(DeliveryError, match="not available in this version") as failure:
                await attempt
            assert failure.value.permanent


class TestWebhook:
    async def test_body_and_signature_by_standard_webhooks(self, sink: Sink) -> None:
        async with opened(HTTP_CASES["webhook"].config(sink.url)) as receiver:
            await receiver.send(NOTIFICATION)
        [request] = sink.received
        assert request.json == {
            "type": "instance.transition",
            "timestamp": "2026-01-01T00:00:15.123Z",
            "data": to_json(NOTIFICATION.event),
        }
        assert request.headers["webhook-id"] == NOTIFICATION.event.id
        assert Webhook(SECRET).verify(request.body, request.headers) == request.json
        with pytest.raises(WebhookVerificationError):
            Webhook(SECRET).verify(request.body.replace("BUILT", "ERROR"), request.headers)

    async def test_unsigned_without_a_secret(self, sink: Sink) -> None:
        async with opened({"type": "webhook", "url": sink.url}) as receiver:
            await receiver.send(NOTIFICATION)
        assert "webhook-signature" not in sink.received[0].headers

    async def test_the_secret_file_is_read_at_each_use(self, sink: Sink, tmp_path: Any) -> None:
        file = tmp_path / "secret"
        other = "whsec_" + "A" * 32
        async with opened({"type": "webhook", "url": sink.url, "secret_file": str(file)}) as receiver:
            with pytest.raises(DeliveryError, match="cannot read the secret file") as failure:
                await receiver.send(NOTIFICATION)
            assert not failure.value.permanent
            for secret in (SECRET, other):
                file.write_text(secret + "\n")
                await receiver.send(NOTIFICATION)
                Webhook(secret).verify(sink.received[-1].body, sink.received[-1].headers)

    async def test_a_test_notification_is_marked(self, sink: Sink) -> None:
        async with opened({"type": "webhook", "url": sink.url}) as receiver:
            await receiver.send(replace(NOTIFICATION, test=True))
        assert sink.received[0].json["type"] == "instance.test"


class TestSlack:
    def sent(self, told: Event) -> dict[str, Any]:
        return {"blocks": blocks(describe(Notification(id=told.id, events=(told,)), external_url="https://w.example/"))}

    @pytest.mark.parametrize("told", list(every_kind()), ids=lambda told: f"{told.kind.value}-{told.to_status}")
    def test_within_slacks_limits(self, told: Event) -> None:
        shown = self.sent(told)["blocks"]
        assert 2 <= len(shown) <= 50
        for block in shown:
            if block["type"] == "header":
                assert 1 <= len(block["text"]["text"]) <= 150
            elif "text" in block:
                assert 1 <= len(block["text"]["text"]) <= 3000
            else:
                parts = block.get("fields") or block["elements"]
                assert 1 <= len(parts) <= 10
                assert all(1 <= len(part["text"]) <= 2000 for part in parts)

    def test_a_failure_reads_well(self) -> None:
        _, [_, failed] = history("BUILDING", "ERROR", step_s=1412)
        shown = self.sent(replace(failed, reason=Reason(code="WKS.0017", message="sysprep failed", exact=False)))
        text = json.dumps(shown, ensure_ascii=False)
        assert "🔴 office-2026 is ERROR" in text
        assert "BUILDING → ERROR after 23 min 32 s, alert error fires" in text
        assert "*Likely reason:* WKS.0017 sysprep failed" in text
        assert "<https://w.example/|Watcher>" in text

    def test_names_cannot_mention_or_link(self) -> None:
        text = json.dumps(self.sent(event(instance_name="<!channel>", labels={"team": "<@U1> & <https://evil|x>"})))
        assert "<@U1>" not in text
        assert "<https://evil" not in text
        assert "&lt;@U1&gt; &amp;" in text

    async def test_there_is_a_text_for_screen_readers(self, sink: Sink) -> None:
        async with opened(HTTP_CASES["slack"].config(sink.url)) as receiver:
            await receiver.send(NOTIFICATION)
        assert sink.received[0].json["text"] == "✅ office-2026 is BUILT: BUILDING → BUILT after 23 min 32 s"

    async def test_slacks_own_words_are_kept(self, sink: Sink) -> None:
        sink.replies.append(Reply(status=404, body="channel_is_archived"))
        async with opened(HTTP_CASES["slack"].config(sink.url)) as receiver:
            with pytest.raises(DeliveryError, match="HTTP 404: channel_is_archived"):
                await receiver.send(NOTIFICATION)


class TestConsole:
    async def test_one_line_an_event(self) -> None:
        output = io.StringIO()
        async with opened({"type": "console"}, output=output) as receiver:
            await receiver.reach()
            for told in every_kind():
                await receiver.send(Notification(id=told.id, events=(told,)))
        lines = output.getvalue().splitlines()
        assert len(lines) == len(list(every_kind()))
        assert "\x1b" not in output.getvalue()
        assert "\u202e" not in output.getvalue()

    async def test_it_reads_well(self) -> None:
        output = io.StringIO()
        async with opened({"type": "console"}, output=output) as receiver:
            await receiver.send(Notification(id="x", events=(event(severity=Severity.INFO),), test=True))
        assert output.getvalue() == (
            "2026-01-01T00:00:15.123Z ✅ [TEST] office-2026 is BUILT: BUILDING → BUILT after 23 min 32 s"
            " (severity: info; source: prod; instance: 697612196993040384; image: img-2; team: vdi)\n"
        )
