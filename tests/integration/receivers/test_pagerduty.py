"""The pagerduty receiver against a server as strict as PagerDuty's documents: what is sent, and what becomes of it."""

from __future__ import annotations

import asyncio
import io
import json
from collections import Counter
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import aiohttp
import pytest

from tests.contract.test_messages import EVERYTHING, HOSTILE, STORIES, awkward, digest, single
from tests.contract.test_receivers import SETTINGS
from tests.fakes.clock import FakeClock
from tests.fakes.pagerduty import KEY, LARGEST, FakePagerDuty
from tests.fakes.sink import Reply
from tests.fakes.stories import many
from tests.fakes.values import at, event, history
from watcher.core.errors import DeliveryError, FailureReason, StoreError
from watcher.core.model import Alert, AlertStatus, Event, EventKind, Notification, Reason, Severity
from watcher.core.ports import Notebook, Standing, StandingReceiver
from watcher.core.quiet import Acknowledgement
from watcher.receivers.base import ReceiverTools
from watcher.receivers.links import Links
from watcher.receivers.notebook import MemoryNotebook
from watcher.receivers.pagerduty.events import Request
from watcher.receivers.samples import trial_notification

R = FailureReason
LINKS = Links(
    external_url="https://watcher.example/",
    consoles={"prod": "https://console.example/{instance_id}/{instance_name}"},
    runbooks={"error": "https://runbooks.example/error"},
)


@pytest.fixture
async def duty() -> AsyncIterator[FakePagerDuty]:
    async with FakePagerDuty() as duty:
        yield duty


@asynccontextmanager
async def opened(
    duty: FakePagerDuty, *, notebook: Notebook | None = None, clock: FakeClock | None = None, **more: Any
) -> AsyncIterator[StandingReceiver]:
    section = SETTINGS.validate_python(
        {"name": "oncall", "type": "pagerduty", "routing_key": KEY, "url": duty.url, **more}
    )
    tools = ReceiverTools(
        clock=clock or FakeClock(at(0)), output=io.StringIO(), links=LINKS, notebook=notebook or MemoryNotebook()
    )
    receiver = section.build(tools)
    assert isinstance(receiver, StandingReceiver)
    try:
        yield receiver
    finally:
        await receiver.close()


def alert(
    fingerprint: str = "f1", *, name: str = "error", began: float = 0, ended: float | None = None, **more: Any
) -> Alert:
    return Alert(
        name=name,
        fingerprint=fingerprint,
        status=AlertStatus.FIRING if ended is None else AlertStatus.RESOLVED,
        severity=more.get("severity", Severity.CRITICAL),
        starts_at=at(began),
        ends_at=at(ended) if ended is not None else None,
    )


def told(*alerts: Alert, id: str = "evt_1", seconds: float = 0, **more: Any) -> Event:  # noqa: A002
    return event(id=id, alerts=alerts, observed_at=at(seconds), **more)


def storm(count: int) -> Notification:
    """A digest of so many alerts, each of an instance of its own."""
    return digest(*(told(alert(f"f{n}"), id=f"evt_{n}", instance_id=str(n)) for n in range(count)))


def alarmed() -> list[Event]:
    """The awkward events, each with an alert."""
    return [replace(each, id=f"evt_{n}", alerts=(alert(f"f{n}"),)) for n, each in enumerate(awkward())]


def latest(notification: Notification) -> dict[str, Alert]:
    return {each.fingerprint: each for event in notification.events for each in event.alerts}


SAID = {
    **EVERYTHING,
    **{f"alarmed {n}": single(each) for n, each in enumerate(alarmed())},
    "digest of alarmed ones": digest(*alarmed(), held_by=HOSTILE * 20),
    "what test-receiver sends": trial_notification(id="evt_test_1", now=at(0)),
}


@pytest.mark.parametrize("informational", [False, True])
@pytest.mark.parametrize("name", SAID)
async def test_everything_is_accepted_and_the_last_of_each_alert_counts(
    duty: FakePagerDuty, name: str, informational: bool
) -> None:
    notification = SAID[name]
    async with opened(duty, informational=informational) as receiver:
        assert await receiver.send(notification)
        requests = len(duty.received)
        assert duty.refused == []
        if notification.test:
            assert duty.taken == [("trigger", f"test {notification.id}"), ("resolve", f"test {notification.id}")]
            return
        lasts = latest(notification)
        firing = {key for key, each in lasts.items() if each.status is AlertStatus.FIRING}
        assert duty.status() == {key: ["triggered"] for key in firing}
        assert {key for _, key in duty.taken if key} == set(lasts)
        news = [each for each in notification.events if not each.alerts]
        assert len(duty.changes) == (1 if informational and news else 0)
        for incident in duty.incidents:
            assert incident.trigger["payload"]["severity"] == lasts[incident.dedup_key].severity.value
            assert incident.trigger["payload"]["class"] == lasts[incident.dedup_key].name
        assert requests == len(duty.taken)


class TestTrigger:
    async def sent(self, duty: FakePagerDuty, notification: Notification, **more: Any) -> Any:
        async with opened(duty, **more) as receiver:
            await receiver.send(notification)
        return duty.received[-1].json

    async def test_what_it_says(self, duty: FakePagerDuty) -> None:
        _, [_, failed] = history("BUILDING", "ERROR", step_s=1412)
        reason = Reason(code="WKS.0017", message="sysprep failed", exact=False)
        failed = replace(failed, reason=reason, labels={"team": "vdi"})
        body = await self.sent(duty, single(failed, held_by="maintenance patching"))
        [firing] = failed.alerts
        assert body == {
            "routing_key": KEY,
            "event_action": "trigger",
            "dedup_key": firing.fingerprint,
            "payload": {
                "summary": (
                    "office-2026 is ERROR: BUILDING → ERROR after 23 min 32 s; likely reason: WKS.0017 sysprep failed"
                ),
                "source": "prod/697612196993040384",
                "severity": "critical",
                "timestamp": "2026-01-01T00:23:32.000Z",
                "component": "office-2026",
                "group": "prod",
                "class": "error",
                "custom_details": {
                    "Alert": "error",
                    "Firing since": "2026-01-01T00:23:32.000Z",
                    "Event": failed.id,
                    "Severity": "critical",
                    "Alerts": "error firing (critical)",
                    "Source": "prod",
                    "Instance": "697612196993040384",
                    "Likely reason": "WKS.0017 sysprep failed",
                    "Held back": "maintenance patching",
                    "team": "vdi",
                    "Seen": "2026-01-01T00:23:32.000Z",
                },
            },
            "links": [
                {"href": "https://watcher.example/#/instances/prod/697612196993040384", "text": "Watcher"},
                {"href": "https://console.example/697612196993040384/office-2026", "text": "Console"},
                {"href": "https://runbooks.example/error", "text": "Runbook: error"},
            ],
            "client": "watcher",
            "client_url": "https://watcher.example/",
        }

    async def test_a_source_is_no_component(self, duty: FakePagerDuty) -> None:
        payload = (await self.sent(duty, single(STORIES["outage"])))["payload"]
        assert (payload["source"], payload["group"], payload["class"]) == ("prod", "prod", "unreachable")
        assert "component" not in payload

    @pytest.mark.parametrize("severity", Severity)
    async def test_severities(self, duty: FakePagerDuty, severity: Severity) -> None:
        """That of the alert, not of the event, which is the worst of several."""
        body = await self.sent(duty, single(told(alert(severity=severity), severity=Severity.CRITICAL)))
        assert body["payload"]["severity"] == {"critical": "critical", "warning": "warning", "info": "info"}[severity]
        assert body["payload"]["custom_details"]["Severity"] == severity.value

    async def test_each_alert_of_an_event_is_told_for_itself(self, duty: FakePagerDuty) -> None:
        both = told(alert("f1"), alert("f2", name="flapping", severity=Severity.WARNING), kind=EventKind.REMINDER)
        async with opened(duty) as receiver:
            assert await receiver.send(single(both)) == "2 trigger: HTTP 202 Event processed"
        said = {each.dedup_key: each.trigger["payload"]["summary"].partition(":")[0] for each in duty.incidents}
        assert said == {"f1": "office-2026 is still in ERROR", "f2": "office-2026 is still flapping"}

    @pytest.mark.parametrize("letter", ["n", "办", "\N{ROCKET}", "é"])
    @pytest.mark.parametrize(("extra", "fits"), [(0, True), (1, False)])
    async def test_a_summary_has_1024_characters_whatever_their_bytes(
        self, duty: FakePagerDuty, letter: str, extra: int, fits: bool
    ) -> None:
        """Counted as Alertmanager does, which had it tried: https://github.com/prometheus/alertmanager/pull/1701."""
        title = letter * (1024 + extra)
        # The product's own title is shorter; a template's is cut at 500.
        reason = Reason(code="unwatched", message=title, exact=True)
        unwatched = replace(STORIES["unwatched"], reason=reason, alerts=(alert(),))
        start = "office-2026 is no longer watched: "
        body = await self.sent(duty, single(replace(unwatched, from_status=None)))
        summary = body["payload"]["summary"]
        assert len(summary) == 1024
        assert summary == start + letter * (1023 - len(start)) + "…"
        exact = replace(reason, message=letter * (1024 - len(start) + extra))
        body = await self.sent(duty, single(replace(unwatched, from_status=None, reason=exact)))
        assert len(body["payload"]["summary"]) == 1024
        assert body["payload"]["summary"].endswith(letter if fits else "…")
        assert duty.refused == []

    @pytest.mark.parametrize(
        ("count", "value"),
        [(300, letter * 9000) for letter in ("v", "办", "\N{ROCKET}", "\x00")] + [(60_000, "v"), (1, "v" * 600_000)],
        ids=lambda value: str(value)[:9].encode("unicode_escape").decode(),
    )
    async def test_too_many_details_are_left_out(self, duty: FakePagerDuty, count: int, value: str) -> None:
        labels = {f"label{number}": value for number in range(count)}
        body = await self.sent(duty, single(told(alert(), labels=labels)))
        details = body["payload"]["custom_details"]
        assert details["Event"] == "evt_1"
        size = len(duty.received[-1].body.encode())
        assert size <= LARGEST
        if count > 1:
            assert size > LARGEST - (20 + 4 * len(value))
            assert int(details["Left out"].removesuffix(" more")) + len(details) - 1 == count + 9
        else:
            assert details["label0"] == "v" * 9999 + "…"
        assert duty.refused == []

    async def test_labels_named_as_our_facts_are_kept_beside_them(self, duty: FakePagerDuty) -> None:
        labels = {"Event": "label", "Seen": "never", "Left out": "x", "a b": "1", "a\nb": "2", "": "empty"}
        details = (await self.sent(duty, single(told(alert(), labels=labels))))["payload"]["custom_details"]
        assert (details["Event"], details["Event'"]) == ("evt_1", "label")
        assert (details["Left out'"], details["a b"], details["a b'"], details["-"]) == ("x", "1", "2", "empty")
        assert {details["Seen"], details["Seen'"]} == {"never", "2026-01-01T00:00:00.000Z"}

    def test_half_a_surrogate_pair_can_be_sent(self) -> None:
        assert (
            json.loads(Request("/v2/enqueue", {"client": "half \ud83d a pair"}).encoded(KEY))["client"]
            == "half ? a pair"
        )

    async def test_an_address_that_is_far_too_long_is_no_link(self, duty: FakePagerDuty) -> None:
        body = await self.sent(duty, single(told(alert(), instance_name="n" * 5000)))
        assert [link["text"] for link in body["links"]] == ["Watcher", "Runbook: error"]

    async def test_a_template_is_shown_in_place_of_the_facts(self, duty: FakePagerDuty) -> None:
        template = {"title": "Look at {{ event.instance_name }}", "body": "One\nTwo"}
        body = await self.sent(duty, single(told(alert())), template=template)
        assert body["payload"]["summary"] == "Look at office-2026"
        details = body["payload"]["custom_details"]
        assert details["Text"] == "One\nTwo"
        assert set(details) == {"Alert", "Firing since", "Event", "Text"}

    async def test_every_try_is_the_same_to_the_byte(self, duty: FakePagerDuty) -> None:
        clock = FakeClock(at(0))
        for _ in range(2):  # as after a restart
            async with opened(duty, clock=clock) as receiver:
                await receiver.send(digest(*many(60), held_by="maintenance patching"))
            clock.jump(60)
        assert set(Counter(request.body for request in duty.received).values()) == {2}


class TestOrder:
    async def sent(self, duty: FakePagerDuty, *events: Event) -> list[tuple[str, str]]:
        duty.taken.clear()
        async with opened(duty) as receiver:
            await receiver.send(digest(*events))
        return duty.taken

    async def test_what_is_over_in_the_same_digest_pages_nobody(self, duty: FakePagerDuty) -> None:
        """It is resolved all the same: an earlier try may have opened it and the answer been lost."""
        over = (told(alert()), told(alert(ended=60), id="evt_2", seconds=60))
        assert await self.sent(duty, *over) == [("resolve", "f1")]
        assert (duty.incidents, duty.dropped) == ([], [("resolve", "f1")])

    async def test_what_was_open_and_is_over_is_resolved(self, duty: FakePagerDuty) -> None:
        await self.sent(duty, told(alert()))
        reminder = told(alert(), id="evt_2", seconds=60, kind=EventKind.REMINDER)
        assert await self.sent(duty, reminder, told(alert(ended=90), id="evt_3", seconds=90)) == [("resolve", "f1")]
        assert duty.status() == {"f1": ["resolved"]}

    async def test_what_fires_again_is_a_new_incident_even_if_the_old_one_is_acknowledged(
        self, duty: FakePagerDuty
    ) -> None:
        await self.sent(duty, told(alert()))
        duty.incidents[0].status = "acknowledged"
        again = (told(alert(ended=60), id="evt_2", seconds=60), told(alert(began=90), id="evt_3", seconds=90))
        assert await self.sent(duty, *again) == [("resolve", "f1"), ("trigger", "f1")]
        assert duty.status() == {"f1": ["resolved", "triggered"]}
        assert duty.incidents[1].trigger["payload"]["timestamp"] == "2026-01-01T00:01:30.000Z"

    @pytest.mark.parametrize("turned", [False, True])
    async def test_an_event_that_ends_and_begins_the_same_alert(self, duty: FakePagerDuty, turned: bool) -> None:
        alerts = (alert(ended=60), alert(began=60))
        assert await self.sent(duty, told(*(reversed(alerts) if turned else alerts))) == [
            ("resolve", "f1"),
            ("trigger", "f1"),
        ]

    async def test_a_reminder_joins_the_incident(self, duty: FakePagerDuty) -> None:
        await self.sent(duty, told(alert()))
        await self.sent(duty, told(alert(), id="evt_2", seconds=60, kind=EventKind.REMINDER))
        assert [incident.log for incident in duty.incidents] == [["trigger", "trigger"]]

    async def test_what_matters_most_goes_first(self, duty: FakePagerDuty) -> None:
        severities = (Severity.INFO, Severity.CRITICAL, Severity.WARNING)
        events = [
            told(alert(f"{severity}{n}", severity=severity), id=f"evt_{severity}{n}")
            for n in range(8)
            for severity in severities
        ]
        over = [told(alert(f"over{n}", ended=1), id=f"evt_over{n}") for n in range(8)]
        taken = [key.rstrip("01234567") for _, key in await self.sent(duty, *over, *events)]
        for at_place, severity in ((0, "critical"), (12, "warning"), (20, "info"), (28, "over")):
            assert severity in taken[at_place : at_place + 4]  # four are under way at once
        assert taken[:4] == ["critical"] * 4
        assert taken[-4:] == ["over"] * 4


class TestChanges:
    async def test_by_default_nothing_is_sent_of_what_is_no_alert(self, duty: FakePagerDuty) -> None:
        async with opened(duty) as receiver:
            assert await receiver.send(single(STORIES["built"])) == "nothing to send: no alert in it"
        assert duty.received == []

    async def test_when_asked_it_is_a_change_event(self, duty: FakePagerDuty) -> None:
        async with opened(duty, informational=True) as receiver:
            assert await receiver.send(single(STORIES["built"])) == "HTTP 202 Change event processed"
        [body] = duty.changes
        assert body["payload"].pop("custom_details")["Image"] == "img-1"
        assert body == {
            "routing_key": KEY,
            "payload": {
                "summary": "office-2026 is BUILT: BUILDING → BUILT after 24 min",
                "source": "prod/697612196993040384",
                "timestamp": "2026-01-01T00:25:00.000Z",
            },
            "links": [
                {"href": "https://watcher.example/#/instances/prod/697612196993040384", "text": "Watcher"},
                {"href": "https://console.example/697612196993040384/office-2026", "text": "Console"},
            ],
        }
        assert duty.incidents == []

    async def test_of_a_digest_one_change_event_tells_of_all_that_is_no_alert(self, duty: FakePagerDuty) -> None:
        async with opened(duty, informational=True) as receiver:
            await receiver.send(digest(*many(300)))
        [body] = duty.changes
        assert body["payload"]["summary"].startswith("282 events: 281 BUILT, 1 deleted: 282 events")
        assert len(body["payload"]["custom_details"]) >= 3

    async def test_of_a_digest_with_one_such_it_tells_of_that(self, duty: FakePagerDuty) -> None:
        async with opened(duty, informational=True) as receiver:
            await receiver.send(digest(STORIES["built"], STORIES["missing"]))
        assert [body["payload"]["summary"][:20] for body in duty.changes] == ["office-2026 is BUILT"]
        assert len(duty.incidents) == 1

    def test_only_then_it_is_routed_events_without_alerts(self) -> None:
        config = {"name": "x", "type": "pagerduty", "routing_key": "k"}
        assert SETTINGS.validate_python(config).alerts_only
        assert not SETTINGS.validate_python({**config, "informational": True}).alerts_only


class TestRetries:
    async def refused(self, receiver: StandingReceiver, notification: Notification) -> DeliveryError:
        with pytest.raises(DeliveryError) as failure:
            await receiver.send(notification)
        return failure.value

    @pytest.mark.parametrize("patience", [0, 1, 5, 150, 299])
    async def test_a_digest_is_gone_on_with_where_it_stopped(self, duty: FakePagerDuty, patience: int) -> None:
        duty.patience = patience
        async with opened(duty) as receiver:
            cut = asyncio.create_task(receiver.send(storm(300)))  # as by the timeout of a try
            await duty.until(lambda received: len(received) == patience + min(4, 300 - patience))
            cut.cancel()
            await asyncio.wait([cut])
            assert len(duty.taken) == patience
            duty.patience = None
            answer = await receiver.send(storm(300))
        assert answer.endswith("HTTP 202 Event processed")
        assert duty.status() == {f"f{n}": ["triggered"] for n in range(300)}
        assert 300 <= len(duty.taken) < 304  # of those under way it was not known that they were taken

    async def test_a_refused_one_stops_it_and_only_what_was_not_accepted_is_sent_again(
        self, duty: FakePagerDuty
    ) -> None:
        async with opened(duty) as receiver:
            duty.replies.append(Reply(status=429, headers={"Retry-After": "7"}))
            failure = await self.refused(receiver, storm(100))
            assert (failure.permanent, failure.reason, failure.retry_after_s) == (False, R.RATE_LIMITED, 7.0)
            assert 1 <= len(duty.received) <= 4
            await receiver.send(storm(100))
        assert Counter(Counter(duty.taken).values()) == {1: 100}
        assert duty.most_under_way <= 4

    async def test_after_a_restart_all_is_sent_again_and_there_is_one_incident_each(self, duty: FakePagerDuty) -> None:
        duty.answer_lost = lambda body: body["dedup_key"] == "f50"
        async with opened(duty) as receiver:
            failure = await self.refused(receiver, storm(60))
            assert (failure.permanent, failure.reason) == (False, R.NETWORK)
        duty.answer_lost = lambda _: False
        async with opened(duty) as receiver:
            await receiver.send(storm(60))
        assert duty.status() == {f"f{n}": ["triggered"] for n in range(60)}
        assert Counter(duty.taken)[("trigger", "f0")] == 2

    async def test_what_is_accepted_in_full_is_forgotten(self, duty: FakePagerDuty) -> None:
        async with opened(duty) as receiver:
            for _ in range(2):
                await receiver.send(single(told(alert())))
        assert duty.taken == [("trigger", "f1")] * 2

    async def test_an_incident_that_was_closed_for_a_new_one_is_not_closed_again(self, duty: FakePagerDuty) -> None:
        again = (told(alert(ended=60), id="evt_2"), told(alert(began=90), id="evt_3"))
        duty.answer_lost = lambda body: body["event_action"] == "trigger"
        async with opened(duty) as receiver:
            await self.refused(receiver, digest(*again))
            duty.answer_lost = lambda _: False
            await receiver.send(digest(*again))
        assert duty.taken == [("resolve", "f1"), ("trigger", "f1"), ("trigger", "f1")]
        assert duty.status() == {"f1": ["triggered"]}

    async def test_no_more_is_remembered_than_needed(self, duty: FakePagerDuty) -> None:
        async with opened(duty) as receiver:
            for number in range(150):
                duty.answer_lost = lambda body: body["dedup_key"] == "f2"
                both = (alert("f1"), alert("f2", severity=Severity.WARNING))
                await self.refused(receiver, single(told(*both, id=f"evt_{number}")))
            assert len(receiver._accepted) == 100  # type: ignore[attr-defined]  # nothing else shows it

    async def test_one_that_is_refused_for_good_does_not_take_the_digest_with_it(self, duty: FakePagerDuty) -> None:
        refusal = {"status": "invalid event", "message": "Event object is invalid", "errors": ["'x' is too long"]}
        async with opened(duty) as receiver:
            for notification, halved in ((storm(2), True), (single(told(alert())), False)):
                duty.replies.append(Reply(status=400, body=json.dumps(refusal)))
                failure = await self.refused(receiver, notification)
                assert (failure.permanent, failure.too_large) == (True, halved)
                assert str(failure) == "answered HTTP 400: Event object is invalid: 'x' is too long"

    async def test_deliveries_at_the_same_time_share_the_places(self, duty: FakePagerDuty) -> None:
        duty.gate.clear()
        async with opened(duty) as receiver, aiohttp.ClientSession() as session, asyncio.TaskGroup() as group:
            for number in range(30):
                told_of = single(told(alert(f"f{number}"), id=f"evt_{number}"))
                group.create_task(receiver.send(told_of if number else storm(30)))
            for _ in range(20):  # what comes and goes meanwhile shows that nothing more comes
                async with session.get(duty.url):
                    pass
            assert duty.under_way == 4
            duty.gate.set()
        assert len(duty.taken) == 59
        assert duty.most_under_way == 4


class TestAnswers:
    async def failure(self, duty: FakePagerDuty, reply: Reply | None = None, **more: Any) -> DeliveryError:
        if reply is not None:
            duty.replies.append(reply)
        async with opened(duty, **more) as receiver:
            with pytest.raises(DeliveryError) as failure:
                await receiver.send(single(told(alert())))
        return failure.value

    @pytest.mark.parametrize(
        ("key", "errors"),
        [
            ("canary-short", "Length of 'routing_key' is incorrect (should be 32 characters)"),
            ("canary" + "0" * 26, "Invalid routing key"),
        ],
    )
    async def test_a_wrong_routing_key(self, duty: FakePagerDuty, key: str, errors: str) -> None:
        failure = await self.failure(duty, routing_key=key)
        assert (failure.permanent, failure.too_large) == (True, False)
        assert str(failure) == (
            f"answered HTTP 400: Event object is invalid: {errors}; use the integration key (32 characters) of an"
            " Events API v2 integration, and the region of its account"
        )

    @pytest.mark.parametrize("status", [401, 403])
    async def test_a_key_that_may_not(self, duty: FakePagerDuty, status: int) -> None:
        failure = await self.failure(duty, Reply(status=status, body="Forbidden"))
        assert (failure.permanent, failure.reason) == (True, R.AUTH_ERROR)
        assert "use the integration key" in str(failure)

    @pytest.mark.parametrize(
        ("body", "permanent"),
        [
            ('{"status": "invalid event", "message": "Event object is invalid", "errors": ["x"]}', True),
            ('{"status": "throttle exceeded", "message": "Requests for this service are arriving too quickly"}', False),
            ('{"status": "Success"}', False),
            ('{"status": null}', False),
            ("<!doctype html><title>Log in</title>", False),
            ("\n <html>", False),
        ],
    )
    @pytest.mark.parametrize("status", [200, 202])
    async def test_a_success_that_says_otherwise_is_none(
        self, duty: FakePagerDuty, status: int, body: str, permanent: bool
    ) -> None:
        failure = await self.failure(duty, Reply(status=status, body=body))
        assert failure.permanent is permanent
        assert f"HTTP {status}" in str(failure)

    async def test_a_page_is_known_by_its_type_too(self, duty: FakePagerDuty) -> None:
        raw = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\nLog in"
        assert not (await self.failure(duty, Reply(raw=raw))).permanent

    @pytest.mark.parametrize("body", ["", "ok", "{}", '{"message": 7}', "[1]", '"x"', '{"status": "success"}'])
    async def test_a_success_that_says_nothing_else_is_one(self, duty: FakePagerDuty, body: str) -> None:
        duty.replies.append(Reply(status=202, body=body))
        async with opened(duty) as receiver:
            assert (await receiver.send(single(told(alert())))).startswith("HTTP 202")

    @pytest.mark.parametrize(
        "body",
        ["[" * 60_000, "1" * 60_000, '{"errors": 7}', '{"errors": [7, null]}', '{"message": {"a": 1}, "errors": "x"}'],
    )
    async def test_a_refusal_of_any_shape_is_one(self, duty: FakePagerDuty, body: str) -> None:
        failure = await self.failure(duty, Reply(status=400, body=body))
        assert failure.permanent
        assert str(failure).startswith("answered HTTP 400: ")
        assert len(str(failure)) < 300

    async def test_the_key_is_not_quoted(self, duty: FakePagerDuty) -> None:
        refusal = {"status": "invalid event", "message": f"no {KEY}", "errors": [f"Invalid routing key '{KEY}'"]}
        for body in (json.dumps(refusal), json.dumps({"status": KEY}), f"<p>{KEY}</p>"):
            for status in (202, 400, 403, 500):
                assert KEY not in str(await self.failure(duty, Reply(status=status, body=body)))


class TestTestNotification:
    async def test_it_is_opened_and_resolved(self, duty: FakePagerDuty) -> None:
        async with opened(duty) as receiver:
            answer = await receiver.send(trial_notification(id="evt_test_1", now=at(0)))
        assert answer == (
            "a test incident was opened (HTTP 202 Event processed) and resolved (HTTP 202 Event processed)"
        )
        [incident] = duty.incidents
        assert (incident.status, incident.log) == ("resolved", ["trigger", "resolve"])
        payload = incident.trigger["payload"]
        assert payload["severity"] == "info"
        assert payload["summary"].startswith("[TEST] watcher-test is BUILT")

    async def test_its_title_says_so_whatever_the_template_does(self, duty: FakePagerDuty) -> None:
        async with opened(duty, template={"title": "{{ event.instance_name }}"}) as receiver:
            await receiver.send(trial_notification(id="evt_test_1", now=at(0)))
        assert duty.incidents[0].trigger["payload"]["summary"].startswith("[TEST] watcher-test")

    async def test_one_that_lingers_is_told(self, duty: FakePagerDuty) -> None:
        duty.replies.extend([Reply(status=202), Reply(status=500, body="oops")])
        async with opened(duty) as receiver:
            with pytest.raises(DeliveryError) as failure:
                await receiver.send(trial_notification(id="evt_test_1", now=at(0)))
        assert str(failure.value) == (
            "the test incident was opened (HTTP 202 ok), and not resolved: answered HTTP 500: oops"
        )
        assert not failure.value.permanent


class ForgetfulNotebook(MemoryNotebook):
    """Cannot be written."""

    async def write_note(self, *args: Any, **more: Any) -> None:
        raise StoreError("the disk is full")


class TestAcknowledge:
    def stands(self, *alerts: Alert, taken_at: float | None = None) -> Sequence[Standing]:
        return [
            Standing(
                alert=each,
                event=told(each),
                acknowledged=None
                if taken_at is None
                else Acknowledgement(
                    fingerprint=each.fingerprint,
                    starts_at=each.starts_at,
                    author="ada",
                    comment="",
                    created_at=at(taken_at),
                ),
            )
            for each in alerts
        ]

    async def test_what_is_taken_on_is_acknowledged_once_even_after_a_restart(self, duty: FakePagerDuty) -> None:
        notebook = MemoryNotebook()
        for _ in range(2):
            async with opened(duty, notebook=notebook) as receiver:
                assert receiver.refresh_s == 60.0
                await receiver.send(single(told(alert())))
                await receiver.refresh(self.stands(alert()))
                for _ in range(3):
                    await receiver.refresh(self.stands(alert(), taken_at=5))
        assert Counter(duty.taken) == {("trigger", "f1"): 2, ("acknowledge", "f1"): 1}
        assert duty.status() == {"f1": ["acknowledged"]}

    async def test_one_that_did_not_arrive_is_sent_again(self, duty: FakePagerDuty) -> None:
        duty.replies.append(Reply(status=503))
        async with opened(duty) as receiver:
            with pytest.raises(DeliveryError):
                await receiver.refresh(self.stands(alert(), taken_at=5))
            await receiver.refresh(self.stands(alert(), taken_at=5))
        assert duty.taken == [("acknowledge", "f1")]

    async def test_one_that_is_taken_on_again_is_acknowledged_again(self, duty: FakePagerDuty) -> None:
        async with opened(duty) as receiver:
            for stands in (self.stands(alert(), taken_at=5), self.stands(alert()), self.stands(alert(), taken_at=9)):
                await receiver.refresh(stands)
        assert duty.taken == [("acknowledge", "f1")] * 2

    async def test_another_outage_is_another_matter(self, duty: FakePagerDuty) -> None:
        async with opened(duty) as receiver:
            await receiver.refresh(self.stands(alert(), taken_at=5))
            both = [*self.stands(alert(ended=10), taken_at=5), *self.stands(alert(began=20))]
            await receiver.refresh(both)
            await receiver.refresh(self.stands(alert(began=20), taken_at=25))
        assert duty.taken == [("acknowledge", "f1")] * 2

    async def test_what_is_over_is_not_acknowledged_and_its_note_is_forgotten(self, duty: FakePagerDuty) -> None:
        notebook = MemoryNotebook()
        async with opened(duty, notebook=notebook) as receiver:
            await receiver.refresh(self.stands(alert("f1"), alert("f2"), alert("f3"), taken_at=5))
            assert len(notebook._notes) == 3
            await receiver.refresh(self.stands(alert("f2", ended=9), alert("f3"), taken_at=5))
        assert [key for _, key in notebook._notes] == ["acknowledged f3 2026-01-01T00:00:00.000Z"]
        async with opened(duty, notebook=notebook) as receiver:
            await receiver.refresh(self.stands(alert("f3", ended=9), taken_at=5))
        assert notebook._notes == {}
        assert Counter(duty.taken) == {("acknowledge", key): 1 for key in ("f1", "f2", "f3")}

    async def test_many_at_once_are_bounded(self, duty: FakePagerDuty) -> None:
        async with opened(duty) as receiver:
            await receiver.refresh(self.stands(*(alert(f"f{n}") for n in range(100)), taken_at=5))
        assert len(duty.taken) == 100
        assert duty.most_under_way <= 4
        assert set(fields_of(duty)) == {("dedup_key", "event_action", "routing_key")}

    async def test_a_store_that_fails_is_passed_on(self, duty: FakePagerDuty) -> None:
        async with opened(duty, notebook=ForgetfulNotebook()) as receiver:
            with pytest.raises(StoreError):
                await receiver.refresh(self.stands(alert(), taken_at=5))


def fields_of(duty: FakePagerDuty) -> Collection[tuple[str, ...]]:
    return [tuple(sorted(request.json)) for request in duty.received]


class TestAddress:
    @pytest.mark.parametrize(
        ("more", "url"),
        [
            ({}, "https://events.pagerduty.com"),
            ({"region": "us"}, "https://events.pagerduty.com"),
            ({"region": "eu"}, "https://events.eu.pagerduty.com"),
            ({"region": "eu", "url": "http://relay/x"}, "http://relay/x"),
        ],
    )
    async def test_by_region_or_as_given(self, more: dict[str, str], url: str) -> None:
        config = {"name": "x", "type": "pagerduty", "routing_key": KEY, **more}
        receiver = SETTINGS.validate_python(config).build(ReceiverTools(clock=FakeClock(at(0)), output=io.StringIO()))
        assert receiver._url == url
        await receiver.close()

    @pytest.mark.parametrize("given", ["", "/", "/v2/enqueue", "/v2/enqueue/"])
    async def test_the_paths_are_added(self, duty: FakePagerDuty, given: str) -> None:
        async with opened(duty, url=duty.url + given, informational=True) as receiver:
            await receiver.send(digest(told(alert()), event()))
        assert {request.path for request in duty.received} == {"/v2/enqueue", "/v2/change/enqueue"}
        assert duty.refused == []
