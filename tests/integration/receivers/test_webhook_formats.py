"""What webhooks are sent in the formats of others: CloudEvents, read by its SDK, and Alertmanager's own."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_http_event
from cloudevents.core.v1.event import CloudEvent
from standardwebhooks import Webhook

from tests.contract.test_messages import EVERYTHING, HOSTILE, STORIES, digest, has_alerts, single
from tests.contract.test_receivers import HTTP_CASES, SECRET, SETTINGS, opened
from tests.fakes.clock import FakeClock
from tests.fakes.sink import Received, Reply, Sink
from tests.fakes.stories import Story, many
from tests.fakes.values import at, event
from watcher.core.errors import DeliveryError
from watcher.core.event_json import to_json
from watcher.core.model import AlertStatus, Event, InstanceKey, Notification
from watcher.core.ports import Receiver
from watcher.receivers.base import ReceiverTools

FORMATS = ("cloudevents", "alertmanager")
NEVER = "0001-01-01T00:00:00Z"


@pytest.fixture
async def sink() -> AsyncIterator[Sink]:
    async with Sink() as sink:
        yield sink


async def sent(sink: Sink, notification: Notification, format_name: str) -> Received:
    """The request, whose signature is good."""
    async with opened(HTTP_CASES[f"webhook-{format_name}"].config(sink.url)) as receiver:
        assert await receiver.send(notification) == "HTTP 200 ok"
    request = sink.received[-1]
    assert request.headers["webhook-id"] == notification.id
    assert Webhook(SECRET).verify(request.body, request.headers) == request.json
    return request


@pytest.mark.parametrize("format_name", FORMATS)
@pytest.mark.parametrize("name", ["error", "digest of 300"])
async def test_every_try_is_the_same_to_the_byte(sink: Sink, format_name: str, name: str) -> None:
    sink.replies.extend([Reply(status=503), Reply(status=503)])
    clock = FakeClock(at(0))
    section = SETTINGS.validate_python({"name": "it", **HTTP_CASES[f"webhook-{format_name}"].config(sink.url)})
    for _ in range(3):  # as after a restart
        receiver: Receiver = section.build(ReceiverTools(clock=clock, output=io.StringIO()))
        try:
            await receiver.send(EVERYTHING[name])
        except DeliveryError as error:
            assert not error.permanent  # noqa: PT017 - two of three tries fail
        await receiver.close()
        clock.jump(60)
    assert len({request.body for request in sink.received}) == 1


def test_only_what_knows_alerts_alone_is_told_of_them_alone() -> None:
    only = {
        name: SETTINGS.validate_python({"name": "it", **case.config("http://h")}).alerts_only
        for name, case in HTTP_CASES.items()
        if name.startswith("webhook")
    }
    assert only == {"webhook": False, "webhook-cloudevents": False, "webhook-alertmanager": True}


class TestCloudEvents:
    async def read(self, sink: Sink, notification: Notification) -> CloudEvent:
        """What the SDK's reader makes of the request, in the mode it finds."""
        request = await sent(sink, notification, "cloudevents")
        read = from_http_event(HTTPMessage(headers=request.headers, body=request.body.encode()))
        assert isinstance(read, CloudEvent)
        assert read.get_data() == request.json["data"]
        return read

    @pytest.mark.parametrize("name", STORIES)
    async def test_an_event(self, sink: Sink, name: str) -> None:
        told = STORIES[name]
        read = await self.read(sink, single(told))
        assert read.get_attributes() == {
            "specversion": "1.0",
            "id": told.id,
            "source": "/watcher/prod",
            "type": f"watcher.instance.{told.kind.value}",
            "time": told.observed_at,
            "datacontenttype": "application/json",
            **({"subject": told.instance_id} if told.instance_id else {}),
        }
        assert read.get_data() == to_json(told)
        assert sink.received[-1].headers["content-type"] == "application/cloudevents+json"

    @pytest.mark.parametrize("name", EVERYTHING)
    async def test_everything_can_be_read(self, sink: Sink, name: str) -> None:
        read = await self.read(sink, EVERYTHING[name])
        assert read.get_id() == EVERYTHING[name].id
        for text in read.get_attributes().values():
            assert isinstance(text, datetime) or (text and text.isprintable())

    @pytest.mark.parametrize("count", [2, 300, 2000])
    async def test_a_digest_has_the_data_of_the_standard_format(self, sink: Sink, count: int) -> None:
        told = digest(*many(count), held_by="maintenance patching")
        read = await self.read(sink, told)
        async with opened(HTTP_CASES["webhook"].config(sink.url)) as receiver:
            await receiver.send(told)
        assert read.get_data() == sink.received[-1].json["data"]
        assert len(sink.received[0].body) < len(sink.received[1].body) + 200
        assert (read.get_type(), read.get_source(), read.get_subject()) == (
            "watcher.instance.digest",
            "/watcher/prod",
            None,
        )
        assert read.get_extension("heldby") == "maintenance patching"

    async def test_a_digest_of_several_sources_is_of_the_watcher(self, sink: Sink) -> None:
        read = await self.read(sink, digest(event(), event(source="test")))
        assert read.get_source() == "/watcher"

    async def test_what_kept_it_back_is_an_extension(self, sink: Sink) -> None:
        read = await self.read(sink, single(event(), held_by="maintenance patching"))
        assert read.get_extension("heldby") == "maintenance patching"
        assert read.get_data() == to_json(event())

    async def test_a_test_notification_is_marked(self, sink: Sink) -> None:
        assert (await self.read(sink, single(event(), test=True))).get_type() == "watcher.instance.test"

    async def test_letters_are_not_escaped(self, sink: Sink) -> None:
        await self.read(sink, single(event(instance_name="办公")))
        assert "办公" in sink.received[0].body


def is_time(text: Any) -> bool:
    return datetime.fromisoformat(text).tzinfo is not None


class TestAlertmanager:
    async def body(self, sink: Sink, notification: Notification) -> Any:
        return (await sent(sink, notification, "alertmanager")).json

    async def test_an_alert_that_fires(self, sink: Sink) -> None:
        story = Story()
        story.see("BUILDING", 0)
        [failed] = story.see("ERROR", 600)
        body = await self.body(sink, single(failed))
        [alert] = body.pop("alerts")
        labels = {
            "alertname": "error",
            "instance_id": "697612196993040384",
            "instance_name": "office-2026",
            "severity": "critical",
            "source": "prod",
            "status": "ERROR",
            "team": "vdi",
        }
        assert body == {
            "version": "4",
            "groupKey": '{}:{alertname="error", instance_id="697612196993040384", source="prod"}',
            "truncatedAlerts": 0,
            "status": "firing",
            "receiver": "it",
            "groupLabels": {name: labels[name] for name in ("alertname", "instance_id", "source")},
            "commonLabels": labels,
            "commonAnnotations": alert.pop("annotations"),
            "externalURL": "https://watcher.example",
        }
        assert alert == {
            "status": "firing",
            "labels": labels,
            "startsAt": "2026-01-01T00:10:00.000Z",
            "endsAt": NEVER,
            "generatorURL": "https://watcher.example/#/instances/prod/697612196993040384",
            "fingerprint": failed.alerts[0].fingerprint,
        }

    @pytest.mark.parametrize(
        ("begin", "end"), [("error", "error over"), ("stuck", "stuck over"), ("outage", "outage over")]
    )
    async def test_the_end_is_of_the_same_group(self, sink: Sink, begin: str, end: str) -> None:
        first, last = [await self.body(sink, single(STORIES[name])) for name in (begin, end)]
        assert (first["status"], last["status"]) == ("firing", "resolved")
        for key in ("groupKey", "groupLabels", "commonLabels"):
            assert first[key] == last[key]
        [firing], [resolved] = first["alerts"], last["alerts"]
        assert (firing["endsAt"], resolved["endsAt"] > resolved["startsAt"]) == (NEVER, True)
        for key in ("labels", "startsAt", "fingerprint"):
            assert firing[key] == resolved[key]

    @pytest.mark.parametrize("name", [name for name, told in EVERYTHING.items() if has_alerts(told)])
    async def test_everything_has_the_shape(self, sink: Sink, name: str) -> None:
        told = EVERYTHING[name]
        body = await self.body(sink, told)
        alerts = {(alert.fingerprint, alert.starts_at) for event in told.events for alert in event.alerts}
        assert len(body["alerts"]) == len(alerts)
        fires = [alert["status"] == "firing" for alert in body["alerts"]]
        assert body["status"] == ("firing" if any(fires) else "resolved")
        for alert in body["alerts"]:
            assert (alert["endsAt"] == NEVER) == (alert["status"] == "firing")
            assert is_time(alert["startsAt"])
            assert body["commonLabels"].items() <= alert["labels"].items()
            assert body["commonAnnotations"].items() <= alert["annotations"].items()
        assert body["groupLabels"].items() <= body["commonLabels"].items()

    async def test_a_group_has_the_labels_that_all_its_alerts_share(self, sink: Sink) -> None:
        failed = [of(number) for number in range(3)]
        body = await self.body(sink, digest(*failed))
        assert body["groupLabels"] == {"alertname": "error", "source": "prod"}
        assert body["groupKey"] == '{}:{alertname="error", source="prod"}'
        assert "instance_name" not in body["commonLabels"]
        mixed = await self.body(sink, digest(*failed, replace(STORIES["outage"], source="test")))
        assert (mixed["groupLabels"], mixed["groupKey"]) == ({}, "{}:{}")

    async def test_a_digest_in_which_one_fires_still_fires(self, sink: Sink) -> None:
        over = replace(STORIES["error over"], instance_id="1")
        assert (await self.body(sink, digest(over, of(2))))["status"] == "firing"
        assert (await self.body(sink, digest(over)))["status"] == "resolved"

    async def test_nothing_is_sent_of_what_is_no_alert(self, sink: Sink) -> None:
        async with opened(HTTP_CASES["webhook-alertmanager"].config(sink.url)) as receiver:
            assert await receiver.send(single(event())) == "nothing to send: no alert began or ended"
        assert sink.received == []

    async def test_the_key_is_quoted_as_go_quotes(self, sink: Sink) -> None:
        """What the real one makes of it is compared in tests/integration/receivers."""
        key = 'a"b\\c\n\t\x1b\x7f\u0085\u202e\u00ad\N{ROCKET}\N{CJK UNIFIED IDEOGRAPH-529E}\U000e0001'
        body = await self.body(sink, single(of(1, instance_id=key)))
        quoted = r'"a\"b\\c\n\t\x1b\x7f\u0085\u202e\u00ad🚀办\U000e0001"'
        assert body["groupKey"] == f'{{}}:{{alertname="error", instance_id={quoted}, source="prod"}}'

    async def test_hostile_texts_stay_inside(self, sink: Sink) -> None:
        body = await self.body(sink, single(of(1, instance_name=HOSTILE)))
        assert json.loads(json.dumps(body)) == body
        assert body["alerts"][0]["annotations"]["summary"].count("\n") == 0


def of(number: int, **changes: Any) -> Event:
    """An instance that failed."""
    story = Story(f"office-{number}", InstanceKey("prod", str(number)))
    [failed] = story.see("ERROR", 600)
    assert [alert.status for alert in failed.alerts] == [AlertStatus.FIRING]
    return replace(failed, **changes)
