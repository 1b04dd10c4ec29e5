"""The real Alertmanager takes all that is posted, groups it, and shows as firing what fires and nothing else."""

from __future__ import annotations

import asyncio
import io
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.components import Alertmanager, alertmanager
from tests.contract.test_messages import EVERYTHING, HOSTILE, LONG, awkward, digest, single
from tests.contract.test_receivers import SETTINGS
from tests.fakes.sink import Received, Sink
from tests.fakes.stories import REASON, Story
from watcher.core.clock import SystemClock
from watcher.core.errors import DeliveryError
from watcher.core.event_json import format_time
from watcher.core.model import AlertStatus, Event, InstanceKey
from watcher.core.ports import Standing, StandingReceiver
from watcher.delivery import Refresher
from watcher.receivers.base import ReceiverTools
from watcher.receivers.links import Links
from watcher.receivers.samples import trial_notification

WITHIN_S = 20.0
GROUPED_BY = ["alertname", "instance_id", "source"]


@asynccontextmanager
async def posting(server: Alertmanager, **more: Any) -> AsyncIterator[StandingReceiver]:
    links = Links(external_url="https://watcher.example/", runbooks={"error": "https://wiki.example/error"})
    tools = ReceiverTools(clock=SystemClock(), output=io.StringIO(), links=links)
    config = {"name": "am", "type": "alertmanager", "url": server.url, **more}
    receiver: StandingReceiver = SETTINGS.validate_python(config).build(tools)
    try:
        yield receiver
    finally:
        await receiver.close()


def telling(sink: Sink, *, group_by: list[str], group_wait: str = "100ms") -> dict[str, Any]:
    """Alertmanager's configuration that notifies the sink."""
    route = {"receiver": "hooks", "group_by": group_by, "group_wait": group_wait, "group_interval": "1s"}
    hooks = {"url": f"{sink.url}/from-alertmanager", "send_resolved": True}
    return {"route": route, "receivers": [{"name": "hooks", "webhook_configs": [hooks]}]}


def failed(number: int = 1, **changes: Any) -> Event:
    """An instance that is in ERROR since a minute."""
    [told] = Story(f"office-{number:03}", InstanceKey("prod", str(number))).see("ERROR", 0, reason=REASON)
    since = SystemClock().now() - timedelta(minutes=1)
    alerts = tuple(replace(alert, starts_at=since) for alert in told.alerts)
    return replace(told, alerts=alerts, observed_at=since, **changes)


def over(told: Event) -> Event:
    """Its alerts end now."""
    now = SystemClock().now()
    ended = tuple(replace(alert, status=AlertStatus.RESOLVED, ends_at=now) for alert in told.alerts)
    return replace(told, id=f"{told.id}_over", alerts=ended, observed_at=now)


def stands(*told: Event) -> list[Standing]:
    return [Standing(alert=alert, event=each) for each in told for alert in each.alerts]


async def until(server: Alertmanager, enough: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
    """Ask what fires until it is what is awaited."""
    async with asyncio.timeout(WITHIN_S):
        while not enough(active := await server.active()):
            pass
    return active


def extremes() -> list[Event]:
    """Events with texts that nobody would wish for, each with an alert that has them, too."""
    found = list[Event]()
    for number, told in enumerate(awkward()):
        labels = {**told.labels, "instance_name": told.instance_name, "status": told.to_status or ""}
        alert = replace(failed(number).alerts[0], labels=labels, fingerprint=f"{number:016x}")
        found.append(replace(told, alerts=(alert,), instance_id=f"{told.instance_id}{number}"))
    found.append(failed(1001, instance_id=HOSTILE))
    found.append(failed(1002, instance_id=LONG))
    return found


async def test_all_there_is_to_say_is_accepted(tmp_path: Path) -> None:
    async with alertmanager(tmp_path) as server, posting(server) as receiver:
        await receiver.reach()
        answers = Counter([await receiver.send(told) for told in EVERYTHING.values()])
        assert set(answers) == {"HTTP 200", "nothing to send: no alert began or ended"}
        told = extremes()
        for event in told:
            assert await receiver.send(single(event)) == "HTTP 200"
        assert await receiver.send(digest(*told)) == "HTTP 200"
        await receiver.refresh(stands(*told))
        ids = {alert["labels"]["instance_id"].split("evil")[0][:20] for alert in await server.active()}
        assert {event.instance_id.split("evil")[0][:20].encode(errors="replace").decode() for event in told} <= ids


async def test_below_a_path_prefix(tmp_path: Path) -> None:
    async with alertmanager(tmp_path, prefix="/am") as server:
        async with posting(server, url=f"{server.url}/") as receiver:
            await receiver.reach()
            await receiver.send(single(failed()))
            assert len(await server.active()) == 1
        async with posting(server, url=server.url.removesuffix("/am")) as receiver:
            for attempt in (receiver.send(single(failed())), receiver.reach()):
                with pytest.raises(DeliveryError, match=r"HTTP 404: 404 page not found \(.*path prefix"):
                    await attempt


async def test_a_refusal_is_in_its_own_words(tmp_path: Path) -> None:
    """Ours are never refused: here one whose link is none, as no configuration can say."""
    tools = ReceiverTools(clock=SystemClock(), output=io.StringIO(), links=Links(external_url="no address"))
    async with alertmanager(tmp_path) as server:
        receiver = SETTINGS.validate_python({"name": "am", "type": "alertmanager", "url": server.url}).build(tools)
        with pytest.raises(DeliveryError, match=r"HTTP 4\d\d: .*generatorURL") as failure:
            await receiver.send(single(failed()))
        assert failure.value.permanent
        await receiver.close()


async def test_its_own_command_shows_the_labels_and_the_reason(tmp_path: Path) -> None:
    async with alertmanager(tmp_path) as server, posting(server) as receiver:
        await receiver.send(single(failed(labels={"team": "vdi"})))
        [alert] = json.loads(await server.amtool("alert", "query", "instance_name=office-001", 'team="vdi"'))
        assert json.loads(await server.amtool("alert", "query", "instance_name=office-002")) == []
        assert alert["labels"] == {
            "alertname": "error",
            "instance_id": "1",
            "instance_name": "office-001",
            "severity": "critical",
            "source": "prod",
            "status": "ERROR",
            "team": "vdi",
        }
        assert alert["annotations"]["reason"] == "WKS.0017 sysprep failed"
        assert alert["annotations"]["runbook_url"] == "https://wiki.example/error"
        assert alert["generatorURL"] == "https://watcher.example/#/instances/prod/1"
        await server.amtool("silence", "add", "--author=ann", "--comment=x", "alertname=error", "source=prod")
        assert json.loads(await server.amtool("alert", "query")) == []


async def test_a_storm_is_a_few_notifications(tmp_path: Path) -> None:
    """300 alerts by `alertname` and `source`: some sent singly, as they come, the others as a digest."""
    async with Sink() as sink:
        config = telling(sink, group_by=["source", "alertname"], group_wait="1s")
        events = [failed(number) for number in range(300)]
        async with alertmanager(tmp_path, config) as server, posting(server) as receiver:
            await asyncio.gather(*(receiver.send(single(event)) for event in events[:100]))
            await receiver.send(digest(*events[100:]))
            assert len(await until(server, lambda active: len(active) == 300)) == 300
            assert [len(group["alerts"]) for group in await server.get("alerts/groups")] == [300]
            await sink.until(lambda received: any(len(request.json["alerts"]) == 300 for request in received))
        assert len(sink.received) <= 3
        assert {request.json["groupKey"] for request in sink.received} == {'{}:{alertname="error", source="prod"}'}


class Standings:
    """What stands, as the store says."""

    def __init__(self, *told: Event) -> None:
        self.now = stands(*told)

    async def standing(self, receiver: str, *, ended_since: datetime) -> Sequence[Standing]:
        return self.now


@asynccontextmanager
async def refreshing(receiver: StandingReceiver, store: Standings) -> AsyncIterator[None]:
    refresher = Refresher(
        receiver=receiver,
        store=store,
        send_resolved=True,
        timeout_s=10.0,
        clock=SystemClock(),
        observer=lambda _: None,
    )
    running = asyncio.create_task(refresher.run())
    try:
        yield
    finally:
        running.cancel()
        await asyncio.wait([running])


async def test_an_alert_lives_as_long_as_it_is_told_again(tmp_path: Path) -> None:
    told = failed()
    async with (
        alertmanager(tmp_path) as server,
        posting(server, resend_interval="300ms", expires_after="4s") as receiver,
    ):
        clock = SystemClock()
        started = clock.monotonic()
        await receiver.send(single(told))
        async with refreshing(receiver, Standings(told)):
            while clock.monotonic() < started + 9.0:  # more than twice as long as it lasts by itself
                assert len(await server.active()) == 1
        await until(server, lambda active: active == [])


async def test_an_alertmanager_that_lost_its_state_is_told_again(tmp_path: Path) -> None:
    told, ended = failed(1), failed(2)
    async with alertmanager(tmp_path) as server:
        port = int(server.url.rpartition(":")[2])
        async with posting(server, resend_interval="200ms") as receiver:
            await receiver.send(digest(told, ended))
            await receiver.send(single(over(ended)))
            async with refreshing(receiver, Standings(told, over(ended))):
                await until(server, lambda active: [alert["labels"]["instance_id"] for alert in active] == ["1"])
                await stop(server)
                async with alertmanager(tmp_path, port=port) as empty:
                    active = await until(empty, bool)
                    assert [alert["labels"]["instance_id"] for alert in active] == ["1"]


async def stop(server: Alertmanager) -> None:
    """End it, as a crash would."""
    server.running.kill()
    await server.running.wait()


async def test_what_is_over_stays_over(tmp_path: Path) -> None:
    told = failed()
    async with alertmanager(tmp_path) as server, posting(server) as receiver:
        await receiver.send(single(told))
        assert len(await server.active()) == 1
        read_before = stands(told)
        ended = over(told)
        await receiver.send(single(ended))
        assert await server.active() == []
        for standing in (read_before, stands(ended)):
            await receiver.refresh(standing)
            assert await server.active() == []


async def test_what_begins_anew_fires_though_its_first_time_is_over(tmp_path: Path) -> None:
    first = failed()
    ended = over(first)
    begins = SystemClock().now()
    again = replace(first, id="evt_again", alerts=(replace(first.alerts[0], starts_at=begins),))
    async with alertmanager(tmp_path) as server, posting(server) as receiver:
        await receiver.send(single(first))
        await receiver.send(digest(ended, again))
        await receiver.refresh([*stands(ended), *stands(again)])
        [alert] = await server.active()
        assert alert["startsAt"] == format_time(begins)


async def test_a_test_is_seen_and_ends_by_itself(tmp_path: Path) -> None:
    now = SystemClock().now()
    async with alertmanager(tmp_path) as server, posting(server) as receiver:
        await receiver.send(trial_notification(id="evt_test_1", now=now))
        [alert] = await server.active()
    assert alert["labels"]["alertname"] == "test"
    assert datetime.fromisoformat(alert["endsAt"]) <= SystemClock().now() + timedelta(minutes=1)


def shape(body: Any) -> Any:
    """The keys and types of it; times are told apart from other texts."""
    if isinstance(body, dict):
        return {name: shape(value) for name, value in body.items()}
    if isinstance(body, list):
        return [shape(value) for value in body]
    try:
        return "a time" if isinstance(body, str) and datetime.fromisoformat(body).tzinfo else type(body).__name__
    except ValueError:
        return type(body).__name__


def without_own(body: dict[str, Any]) -> dict[str, Any]:
    """The body without what differs by who sends it: its address, the receiver's name, how it hashes and cuts times."""
    alerts = [
        {
            **{name: value for name, value in alert.items() if name != "fingerprint"},
            **{name: datetime.fromisoformat(alert[name]) for name in ("startsAt", "endsAt")},
        }
        for alert in body["alerts"]
    ]
    return {
        **{name: value for name, value in body.items() if name not in ("receiver", "externalURL")},
        "alerts": alerts,
    }


@pytest.mark.parametrize(
    "changes",
    [
        {"instance_id": "697612196993040384", "labels": {"team": "vdi"}},
        {"instance_id": HOSTILE, "instance_name": HOSTILE},
        {"instance_id": 'a"b\\c\n\t\x01\x7f\u0085\u202e\u00ad\u00a0\N{ROCKET}\U000e0001 \ufffd\ufeff\u3000e\u0301'},
    ],
    ids=["plain", "hostile", "marks"],
)
async def test_our_webhook_says_what_its_own_says(tmp_path: Path, changes: dict[str, Any]) -> None:
    """The same alert by Alertmanager's webhook and by ours of `format: alertmanager`, firing and resolved."""
    async with Sink() as sink:
        config = telling(sink, group_by=GROUPED_BY)
        ours = {"name": "hooks", "type": "webhook", "format": "alertmanager", "url": f"{sink.url}/from-us"}
        told = failed(**changes)
        async with (
            alertmanager(tmp_path, config) as server,
            posting(server) as receiver,
            posting(server, **ours) as webhook,
        ):
            for event in (told, over(told)):
                for each in (receiver, webhook):
                    await each.send(single(event))
                await sink.until(both)
        theirs = [request.json for request in sink.received if request.path == "/from-alertmanager"]
        mine = [request.json for request in sink.received if request.path == "/from-us"]
        assert [body["status"] for body in theirs] == ["firing", "resolved"]
        for their_body, my_body in zip(theirs, mine, strict=True):
            assert shape(my_body) == shape(their_body)
            assert without_own(my_body) == without_own(their_body)


def both(received: list[Received]) -> bool:
    """As many by Alertmanager as by us."""
    paths = Counter(request.path for request in received)
    return paths["/from-alertmanager"] == paths["/from-us"]


async def test_alerts_need_no_address_of_the_watcher(tmp_path: Path) -> None:
    tools = ReceiverTools(clock=SystemClock(), output=io.StringIO())
    async with alertmanager(tmp_path) as server:
        receiver = SETTINGS.validate_python({"name": "am", "type": "alertmanager", "url": server.url}).build(tools)
        await receiver.send(single(failed()))
        await receiver.close()
        [alert] = await server.active()
    assert "generatorURL" not in alert or alert["generatorURL"] == ""
