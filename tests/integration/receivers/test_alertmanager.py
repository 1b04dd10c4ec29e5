"""What Alertmanager is posted, when, and what the receiver makes of its answers."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from tests.contract.test_messages import STORIES, digest, single
from tests.contract.test_receivers import NOTIFICATION, SETTINGS, opened
from tests.fakes.clock import FakeClock
from tests.fakes.sink import Reply, Sink
from tests.fakes.stories import Story, many
from tests.fakes.values import at, event
from watcher.core.errors import DeliveryError, FailureReason
from watcher.core.model import AlertStatus, Event, InstanceKey
from watcher.core.ports import Standing, StandingReceiver
from watcher.receivers.base import ReceiverTools
from watcher.receivers.links import Links
from watcher.receivers.samples import trial_notification

NOW = at(3600)
HOUR = timedelta(hours=1)


@pytest.fixture
async def sink() -> AsyncIterator[Sink]:
    async with Sink() as sink:
        yield sink


@asynccontextmanager
async def posting(sink: Sink, *, now: datetime = NOW, **more: Any) -> AsyncIterator[StandingReceiver]:
    """The receiver at a time of its own."""
    tools = ReceiverTools(clock=FakeClock(now), output=io.StringIO(), links=Links())
    config = {"name": "it", "type": "alertmanager", "url": sink.url, **more}
    receiver: StandingReceiver = SETTINGS.validate_python(config).build(tools)
    assert isinstance(receiver, StandingReceiver)
    try:
        yield receiver
    finally:
        await receiver.close()


def posted(sink: Sink) -> list[list[dict[str, Any]]]:
    return [request.json for request in sink.received]


def times(alert: dict[str, Any]) -> tuple[datetime, datetime]:
    return datetime.fromisoformat(alert["startsAt"]), datetime.fromisoformat(alert["endsAt"])


def failed(number: int, seconds: float = 0) -> Event:
    """An instance that is in ERROR."""
    story = Story(f"office-{number}", InstanceKey("prod", str(number)))
    return story.see("ERROR", seconds)[0]


def over(told: Event, seconds: float) -> Event:
    """The same alerts, resolved."""
    ended = tuple(replace(each, status=AlertStatus.RESOLVED, ends_at=at(seconds)) for each in told.alerts)
    return replace(told, id=f"{told.id}_over", alerts=ended, observed_at=at(seconds))


def stands(told: Event) -> Standing:
    return Standing(alert=told.alerts[0], event=told)


@pytest.mark.parametrize("prefix", ["", "/", "/am", "/am/", "/a%2Fb/"])
async def test_it_is_posted_to_the_api_below_the_address(sink: Sink, prefix: str) -> None:
    async with opened({"type": "alertmanager", "url": f"{sink.url}{prefix}"}) as receiver:
        await receiver.send(NOTIFICATION)
    path = f"{prefix.rstrip('/')}/api/v2/alerts"
    assert [(request.method, request.path) for request in sink.received] == [("POST", path)]


async def test_what_fires_ends_unless_it_is_sent_again(sink: Sink) -> None:
    async with posting(sink) as receiver:
        await receiver.send(single(failed(1)))
    [[alert]] = posted(sink)
    assert set(alert) == {"labels", "annotations", "startsAt", "endsAt"}
    assert times(alert) == (at(0), NOW + HOUR)


async def test_the_address_of_the_watcher_is_where_it_comes_from(sink: Sink) -> None:
    async with opened({"type": "alertmanager", "url": sink.url}) as receiver:
        await receiver.send(NOTIFICATION)
    assert posted(sink)[0][0]["generatorURL"] == "https://watcher.example/#/instances/prod/697612196993040384"


async def test_what_is_over_ended_when_it_did(sink: Sink) -> None:
    async with posting(sink) as receiver:
        await receiver.send(single(over(failed(1), 60)))
    [[alert]] = posted(sink)
    assert times(alert) == (at(0), at(60))


@pytest.mark.parametrize("told", [failed(1, 7200), over(failed(1, 5400), 7200)], ids=["firing", "resolved"])
async def test_a_clock_that_was_set_back(sink: Sink, told: Event) -> None:
    """An end to come would say that it fires, and a beginning after the end is refused."""
    async with posting(sink) as receiver:
        await receiver.send(single(told))
    [[alert]] = posted(sink)
    starts_at, ends_at = times(alert)
    assert starts_at <= ends_at
    assert (ends_at > NOW) == (told.alerts[0].status is AlertStatus.FIRING)


async def test_a_digest_is_one_post(sink: Sink) -> None:
    first, second = failed(1), failed(2)
    async with posting(sink) as receiver:
        await receiver.send(digest(first, second, event(), over(first, 60)))
    [alerts] = posted(sink)
    assert [(alert["labels"]["instance_id"], times(alert)[1]) for alert in alerts] == [("2", NOW + HOUR), ("1", at(60))]


async def test_a_large_digest_is_about_as_long_as_its_events(sink: Sink) -> None:
    """So that `digest_bytes`, which counts events, bounds the body, too."""
    async with opened({"type": "webhook", "url": sink.url}) as webhook, posting(sink) as receiver:
        told = digest(*(failed(number) for number in range(300)))
        await webhook.send(told)
        await receiver.send(told)
    standard, ours = (len(request.body) for request in sink.received)
    assert 0.5 < ours / standard < 1.5


async def test_a_test_ends_by_itself(sink: Sink) -> None:
    async with posting(sink) as receiver:
        await receiver.send(trial_notification(id="evt_test_1", now=NOW))
    [[alert]] = posted(sink)
    assert (alert["labels"]["alertname"], alert["labels"]["source"]) == ("test", "test")
    assert alert["annotations"]["summary"].startswith("[TEST] ")
    assert times(alert) == (NOW, NOW + timedelta(minutes=1))


async def test_nothing_is_sent_of_what_is_no_alert(sink: Sink) -> None:
    async with posting(sink) as receiver:
        assert await receiver.send(single(STORIES["built"])) == "nothing to send: no alert began or ended"
    assert sink.received == []


class TestRefresh:
    async def test_all_is_told_again_as_it_stands(self, sink: Sink) -> None:
        async with posting(sink, resend_interval="30s", expires_after="2m") as receiver:
            assert receiver.refresh_s == 30.0
            await receiver.refresh([stands(failed(1)), stands(over(failed(2), 60))])
        [[fires, ended]] = posted(sink)
        assert (times(fires), times(ended)) == ((at(0), NOW + timedelta(minutes=2)), (at(0), at(60)))

    async def test_it_says_the_labels_that_were_sent(self, sink: Sink) -> None:
        for told in (STORIES["error"], STORIES["outage"], *many(300)[-8:-4]):
            async with posting(sink) as receiver:
                await receiver.send(single(told))
                await receiver.refresh([stands(told)])
            assert posted(sink)[-2] == posted(sink)[-1]

    async def test_many_are_sent_as_prometheus_sends_them(self, sink: Sink) -> None:
        async with posting(sink) as receiver:
            await receiver.refresh([stands(failed(number)) for number in range(600)])
        assert [len(alerts) for alerts in posted(sink)] == [256, 256, 88]

    async def test_what_is_refused_keeps_nothing_else_back(self, sink: Sink) -> None:
        sink.replies.append(Reply(status=400, body='"no"'))
        async with posting(sink) as receiver:
            with pytest.raises(DeliveryError, match="HTTP 400"):
                await receiver.refresh([stands(failed(number)) for number in range(300)])
            assert len(sink.received) == 2

    async def test_where_nobody_answers_one_try_is_enough(self, sink: Sink) -> None:
        sink.replies.append(Reply(status=503))
        async with posting(sink) as receiver:
            with pytest.raises(DeliveryError, match="HTTP 503"):
                await receiver.refresh([stands(failed(number)) for number in range(300)])
            assert len(sink.received) == 1

    async def test_an_end_that_was_sent_is_not_taken_back(self, sink: Sink) -> None:
        first, second = failed(1), failed(2)
        async with posting(sink) as receiver:
            read_before = [stands(first), stands(second)]
            await receiver.send(single(over(first, 60)))
            await receiver.refresh(read_before)
            await receiver.refresh([stands(over(first, 60)), stands(second)])
        told = [[(alert["labels"]["instance_id"], times(alert)[1]) for alert in alerts] for alerts in posted(sink)]
        assert told == [[("1", at(60))], [("2", NOW + HOUR)], [("1", at(60)), ("2", NOW + HOUR)]]

    async def test_nor_is_one_that_could_not_be_sent_yet(self, sink: Sink) -> None:
        first = failed(1)
        sink.replies.append(Reply(status=503))
        async with posting(sink) as receiver:
            with pytest.raises(DeliveryError):
                await receiver.send(single(over(first, 60)))
            await receiver.refresh([stands(first)])
        assert len(sink.received) == 1

    async def test_the_end_of_what_has_begun_anew_is_left_out(self, sink: Sink) -> None:
        """Alertmanager knows both by the same labels: the end would end the second one, too."""
        first, second = failed(1), failed(1, 120)
        async with posting(sink) as receiver:
            await receiver.refresh([stands(over(first, 60)), stands(second)])
            await receiver.send(single(second))
            await receiver.refresh([stands(over(first, 60))])
        assert [[times(alert)[0] for alert in alerts] for alerts in posted(sink)] == [[at(120)], [at(120)]]

    async def test_what_was_read_before_does_not_speak_last(self, sink: Sink) -> None:
        """A refresh is on its way when the alert ends: the end waits until it has arrived."""
        told = failed(1)
        sink.replies.append(Reply(hang=True))
        async with posting(sink) as receiver:
            refreshing = asyncio.create_task(receiver.refresh([stands(told)]))
            await sink.until(lambda received: len(received) == 1)
            ending = asyncio.create_task(receiver.send(single(over(told, 60))))
            done, _ = await asyncio.wait([ending], timeout=0.05)
            assert (done, len(sink.received)) == (set(), 1)
            refreshing.cancel()
            await asyncio.wait([refreshing])
            assert await ending == "HTTP 200 ok"
        assert times(posted(sink)[-1][0])[1] == at(60)


class TestAnswers:
    async def test_a_refusal_is_told_in_its_own_words_and_final(self, sink: Sink) -> None:
        sink.replies.append(Reply(status=400, body='"start time must be before end time"'))
        async with posting(sink) as receiver:
            with pytest.raises(DeliveryError, match='HTTP 400: "start time must be before end time"') as failure:
                await receiver.send(NOTIFICATION)
        assert failure.value.permanent

    async def test_a_wrong_path_is_explained(self, sink: Sink) -> None:
        async with posting(sink) as receiver:
            for attempt in (receiver.send, None):
                sink.replies.append(Reply(status=404, body="404 page not found"))
                with pytest.raises(
                    DeliveryError, match=r"HTTP 404: .*path prefix right.*--web\.route-prefix"
                ) as failure:
                    await (attempt(NOTIFICATION) if attempt else receiver.reach())
                assert (failure.value.permanent, failure.value.reason) == (True, FailureReason.CLIENT_ERROR)

    async def test_reaching_it_sends_nothing(self, sink: Sink) -> None:
        sink.replies.append(Reply(body="[]"))
        async with posting(sink, url=f"{sink.url}/am/?team=vdi") as receiver:
            await receiver.reach()
        [request] = sink.received
        assert (request.method, request.body) == ("GET", "")
        path = "/am/api/v2/alerts?team=vdi&active=false&silenced=false&inhibited=false"
        assert request.path == path

    @pytest.mark.parametrize("body", ["<!doctype html>", "", "ok", "{}", "null", "[" * 100_000, "\udcff"])
    async def test_what_is_no_alertmanager_is_found_out(self, sink: Sink, body: str) -> None:
        raw = body.encode(errors="surrogateescape")
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(raw)}\r\n\r\n"
        sink.replies.append(Reply(raw=head.encode() + raw))
        async with posting(sink) as receiver:
            with pytest.raises(DeliveryError, match="answered, but not as an Alertmanager does"):
                await receiver.reach()

    async def test_a_password_is_used_and_not_shown(self, sink: Sink) -> None:
        url = sink.url.replace("http://", "http://ann:canary%2Fpassword@")
        sink.replies.append(Reply(status=401, body="Basic YW5uOmNhbmFyeS9wYXNzd29yZA== canary/password"))
        async with posting(sink, url=url) as receiver:
            with pytest.raises(DeliveryError) as failure:
                await receiver.send(NOTIFICATION)
        assert sink.received[0].headers["authorization"] == "Basic YW5uOmNhbmFyeS9wYXNzd29yZA=="
        assert str(failure.value) == "answered HTTP 401: Basic ********** **********"


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"url": "http://h:9093/api/v2"}, "without /api/v2"),
        ({"url": "http://h:9093/am/api/v2/alerts"}, "without /api/v2"),
        ({"url": "http://h:9093/", "expires_after": "30s"}, "more than resend_interval"),
        ({"url": "http://h:9093/", "resend_interval": "1h"}, "more than resend_interval"),
        ({"url": "http://h:9093/", "resend_interval": 0}, "more than 0"),
    ],
)
def test_what_cannot_work_is_refused(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        SETTINGS.validate_python({"name": "it", "type": "alertmanager", **wrong})


def test_it_takes_alerts_alone() -> None:
    assert SETTINGS.validate_python({"name": "it", "type": "alertmanager", "url": "http://h"}).alerts_only
