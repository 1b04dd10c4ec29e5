"""What receivers say: every kind of event in both directions, digests of any size, and what others can have written."""

from __future__ import annotations

import io
import json
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from tests.contract.test_receivers import HTTP_CASES, NOTIFICATION, OTHER_CASES, SECRET, SETTINGS, opened
from tests.fakes.clock import FakeClock
from tests.fakes.sink import Reply, Sink
from tests.fakes.slack import Slack, blocks_of
from tests.fakes.stories import REASON, many, stories
from tests.fakes.values import at, event, history
from watcher.core.errors import DeliveryError, FailureReason
from watcher.core.event_json import format_time, to_json
from watcher.core.model import AlertStatus, Event, EventKind, Notification, Reason, Severity
from watcher.core.ports import Receiver
from watcher.receivers.base import ReceiverTools
from watcher.receivers.links import Links
from watcher.receivers.message import describe
from watcher.receivers.slack.blocks import content

STORIES = stories()
HOSTILE = "a\nb\x1b[31mred\x1b[0m\u202eevil\u2028\x00 <!channel> *x* _y_ `z` ~q~ & <https://evil.example|click>"
LONG = "n" * 5000


def awkward() -> Iterator[Event]:
    """Events with texts that nobody would wish for."""
    yield event(
        instance_name=HOSTILE, labels={HOSTILE: HOSTILE, "": ""}, reason=Reason(code="", message=HOSTILE, exact=True)
    )
    yield event(to_status=HOSTILE, from_status=LONG, instance_id=HOSTILE)
    yield event(instance_name=LONG, reason=Reason(code="W", message=LONG, exact=True), instance_id=LONG)
    yield event(instance_name="办公 \N{ROCKET}" + "\N{ROCKET}" * 5000, labels={"\N{ROCKET}" * 99: "\N{ROCKET}" * 999})
    yield event(instance_name="", labels={f"label{number}": "v" * 300 for number in range(60)})
    yield event(instance_name=" \n", instance_id="\t", labels={"Seen": "never", "Reason": "none", "Severity": "*"})
    yield event(from_status="ODD", to_status="NEVER_HEARD_OF", duration_s=0.0)
    yield event(instance_name="half \ud83d a pair", labels={"half": "\udc00"})
    yield from (event(instance_name="n" * length) for length in range(80, 160))
    yield replace(STORIES["unwatched"], reason=Reason(code="unwatched", message=LONG + HOSTILE, exact=True))


def single(told: Event, **more: Any) -> Notification:
    return Notification(id=told.id, events=(told,), **more)


def digest(*events: Event, **more: Any) -> Notification:
    return Notification(id="dig_0123456789abcdef0123456789abcdef", events=events, is_digest=True, **more)


def has_alerts(notification: Notification) -> bool:
    return any(told.alerts for told in notification.events)


def alerts_only(config: dict[str, Any]) -> bool:
    only: bool = SETTINGS.validate_python({"name": "it", **config}).alerts_only
    return only


EVERYTHING = {
    **{name: single(told) for name, told in STORIES.items()},
    **{f"awkward {number}": single(told) for number, told in enumerate(awkward())},
    **{f"digest of {count}": digest(*many(count)) for count in (1, 2, 300, 2000)},
    "digest of all kinds": digest(*STORIES.values(), held_by="maintenance patching"),
    "digest of awkward ones": digest(*awkward(), held_by=HOSTILE * 20),
    "held back": single(STORIES["built"], held_by="maintenance patching"),
    "held back by words": single(STORIES["built"], held_by=HOSTILE * 20),
    "test": single(STORIES["built"], test=True),
}
"""All that a receiver can be asked to say."""


@pytest.fixture
async def sink() -> AsyncIterator[Sink]:
    async with Sink() as sink:
        yield sink


def test_there_is_a_story_of_every_kind_and_alert_in_both_directions() -> None:
    assert {told.kind for told in STORIES.values()} == set(EventKind)
    told = {(alert.name, alert.status) for event in STORIES.values() for alert in event.alerts}
    names = ("error", "build_failed", "stuck", "missing", "unreachable", "flapping")
    assert told == {(name, status) for name in names for status in AlertStatus}


def shown_title(notification: Notification) -> str:
    message = describe(notification, links=Links())
    title = f"{message.emoji} {message.title}"
    return title if units(title) <= 150 else title.encode("utf-16-le")[:298].decode("utf-16-le", "ignore") + "…"


@pytest.mark.parametrize("type_name", [name for name in (*HTTP_CASES, *OTHER_CASES) if name != "slack-bot"])
async def test_everything_can_be_said(type_name: str, sink: Sink) -> None:
    config = HTTP_CASES[type_name].config(sink.url) if type_name in HTTP_CASES else OTHER_CASES[type_name]
    async with opened(config) as receiver:
        for name, notification in EVERYTHING.items():
            assert await receiver.send(notification), name
    if type_name not in HTTP_CASES or HTTP_CASES[type_name].one_request:
        said = [told for told in EVERYTHING.values() if has_alerts(told) or not alerts_only(config)]
        assert len(sink.received) == (len(said) if type_name in HTTP_CASES else 0)


@pytest.mark.parametrize("kind", ["webhook", "bot"])
async def test_a_strict_slack_takes_everything(kind: str) -> None:
    async with Slack() as slack:
        config = slack.bot if kind == "bot" else {"type": "slack", "webhook_url": slack.webhook_url}
        for name, notification in EVERYTHING.items():
            async with opened(config) as receiver:  # of which each has a notebook of its own
                assert await receiver.send(notification), name
        assert slack.refusals == []
        told = [message for message in slack.messages if message.thread_ts or not slack.replies(message)]
    assert [message.title for message in told] == [shown_title(notification) for notification in EVERYTHING.values()]


@pytest.mark.parametrize("type_name", HTTP_CASES)
@pytest.mark.parametrize("notification", [NOTIFICATION, digest(*many(30))], ids=["event", "digest"])
async def test_a_template_takes_the_place_of_the_texts(type_name: str, notification: Notification, sink: Sink) -> None:
    case = HTTP_CASES[type_name]
    sink.good = Reply(body=case.good)
    template = {"title": "of {{ event.instance_name }}", "body": "first {{ event.to }}\nthen"}
    async with opened(case.config(sink.url), template=template) as receiver:
        await receiver.send(notification)
    said = " ".join(request.body for request in sink.received)
    for text in (r"of office-\w+", r"first [A-Z]+", "then"):
        assert re.search(text, said)
    for text in (describe(notification, links=Links()).title, "Severity"):
        assert text not in said


@pytest.mark.parametrize("name", EVERYTHING)
def test_a_message_is_made_of_single_lines_that_say_something(name: str) -> None:
    message = describe(EVERYTHING[name], links=Links())
    pairs = [part for pair in (*message.fields, *message.groups) for part in pair]
    for text in (message.emoji, message.title, message.summary, message.seen, *pairs):
        assert all(char.isprintable() or char == "\N{VARIATION SELECTOR-16}" for char in text)
        assert "None" not in text
        assert text == text.strip()
        assert not text.endswith((";", ":", ","))
    assert message.title
    assert message.summary
    assert message.emoji not in message.title


@pytest.mark.parametrize("name", STORIES)
def test_the_alerts_of_an_event_are_visible(name: str) -> None:
    told = STORIES[name]
    shown = dict(describe(single(told), links=Links()).fields).get("Alerts", "")
    for alert in told.alerts:
        assert f"{alert.name} {alert.status.value}" in shown
    assert bool(shown) == bool(told.alerts)


class TestWebhook:
    async def sent(self, sink: Sink, notification: Notification) -> Any:
        async with opened(HTTP_CASES["webhook"].config(sink.url)) as receiver:
            await receiver.send(notification)
        request = sink.received[-1]
        assert request.headers["webhook-id"] == notification.id
        assert Webhook(SECRET).verify(request.body, request.headers) == request.json
        return request.json

    @pytest.mark.parametrize("name", STORIES)
    async def test_an_event(self, sink: Sink, name: str) -> None:
        told = STORIES[name]
        assert await self.sent(sink, single(told)) == {
            "type": f"instance.{told.kind.value}",
            "timestamp": format_time(told.observed_at),
            "data": to_json(told),
        }

    async def test_what_was_changed_on_the_way_is_seen(self, sink: Sink) -> None:
        await self.sent(sink, NOTIFICATION)
        [request] = sink.received
        with pytest.raises(WebhookVerificationError):
            Webhook(SECRET).verify(request.body.replace("BUILT", "ERROR"), request.headers)

    async def test_an_event_held_back_is_the_same_event(self, sink: Sink) -> None:
        body = await self.sent(sink, single(event(), held_by="maintenance patching"))
        assert body.pop("held_by") == "maintenance patching"
        assert body == await self.sent(sink, single(event()))

    @pytest.mark.parametrize("count", [2, 300, 2000])
    async def test_a_digest(self, sink: Sink, count: int) -> None:
        events = many(count)
        body = await self.sent(sink, digest(*events))
        assert set(body) == {"type", "timestamp", "data"}
        assert (body["type"], body["timestamp"]) == ("instance.digest", format_time(max(e.observed_at for e in events)))
        data = body["data"]
        assert set(data) == {"id", "count", "severity", "groups", "held_by", "events"}
        assert (data["id"], data["count"], data["held_by"]) == (digest(*events).id, count, None)
        assert data["severity"] == max((each.severity for each in events), key=lambda severity: severity.rank)
        assert data["events"] == [to_json(each) for each in events]
        groups = {(group["source"], group["kind"], group["to"]): group for group in data["groups"]}
        assert len(groups) == len(data["groups"])
        for (source, kind, to_status), group in groups.items():
            mine = [each for each in events if (each.source, each.kind, each.to_status) == (source, kind, to_status)]
            assert group["count"] == len(mine)
            assert group["severity"] == max((each.severity for each in mine), key=lambda severity: severity.rank)
            named = dict.fromkeys(each.instance_name for each in mine if each.instance_id)
            assert group["instances"] == list(named)[:3]
        assert sum(group["count"] for group in groups.values()) == count

    async def test_a_digest_begins_with_the_worst(self, sink: Sink) -> None:
        body = await self.sent(sink, digest(*many(300), held_by="maintenance patching"))
        assert body["data"]["held_by"] == "maintenance patching"
        assert body["data"]["groups"][0] == {
            "source": "prod",
            "kind": "transition",
            "to": "ERROR",
            "severity": "critical",
            "count": 11,
            "instances": ["office-024", "office-049", "office-074"],
        }

    @pytest.mark.parametrize("notification", [single(event()), digest(*many(300))], ids=["event", "digest"])
    async def test_every_try_is_the_same_to_the_byte(self, sink: Sink, notification: Notification) -> None:
        sink.replies.extend([Reply(status=503), Reply(status=503)])
        clock = FakeClock(at(0))
        section = SETTINGS.validate_python({"name": "it", **HTTP_CASES["webhook"].config(sink.url)})
        for _ in range(3):  # as after a restart
            receiver: Receiver = section.build(ReceiverTools(clock=clock, output=io.StringIO()))
            try:
                await receiver.send(notification)
            except DeliveryError as error:
                assert not error.permanent  # noqa: PT017 - two of three tries fail
            await receiver.close()
            clock.jump(60)
        assert len({request.body for request in sink.received}) == 1
        assert {request.headers["webhook-id"] for request in sink.received} == {notification.id}
        for header in ("webhook-timestamp", "webhook-signature"):
            assert len({request.headers[header] for request in sink.received}) == 3

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
        assert (await self.sent(sink, replace(NOTIFICATION, test=True)))["type"] == "instance.test"


def parts(shown: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Every text object of the blocks."""
    for block in shown:
        yield from ([block["text"]] if "text" in block else block.get("fields") or block["elements"])


def units(text: str) -> int:
    """The length of a text as JavaScript counts it."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


class TestSlack:
    def shown(self, notification: Notification) -> list[dict[str, Any]]:
        return blocks_of(content(describe(notification, links=Links(external_url="https://w.example/"))))

    @pytest.mark.parametrize("name", EVERYTHING)
    def test_within_slacks_limits(self, name: str) -> None:
        shown = self.shown(EVERYTHING[name])
        assert 2 <= len(shown) <= 20  # of an attachment, no more may be taken: slackapi/bolt-python#914
        for block in shown:
            if block["type"] == "header":
                assert 1 <= units(block["text"]["text"]) <= 150
            elif "text" in block:
                assert 1 <= units(block["text"]["text"]) <= 3000
            else:
                texts = block.get("fields") or block["elements"]
                assert 1 <= len(texts) <= 10
                assert all(1 <= units(part["text"]) <= 2000 for part in texts)
        assert units(json.dumps(shown, ensure_ascii=False)) <= 12_000

    @pytest.mark.parametrize("name", EVERYTHING)
    def test_what_others_wrote_styles_mentions_and_links_nothing(self, name: str) -> None:
        for part in parts(self.shown(EVERYTHING[name])):
            assert part["type"] in ("plain_text", "mrkdwn")
            if part["type"] == "plain_text":
                assert part["emoji"] is False
            elif not re.fullmatch(r"<https://w\.example/(#/instances/[\w.%~-]+/[\w.%~-]+)?\|Watcher>", part["text"]):
                inside = part["text"].removeprefix("*").removesuffix("*")
                assert len(part["text"]) == len(inside) + 2
                assert not set(inside) & set("<>*_~`\n")

    @pytest.mark.parametrize("name", EVERYTHING)
    async def test_the_text_for_screen_readers_mentions_nobody(self, sink: Sink, name: str) -> None:
        async with opened(HTTP_CASES["slack"].config(sink.url)) as receiver:
            await receiver.send(EVERYTHING[name])
        [request] = sink.received
        text = request.json["text"]
        assert not set(text) & set("<>\n")
        assert units(text) <= 3000
        assert text.startswith(describe(EVERYTHING[name], links=Links()).emoji)

    def test_a_failure_reads_well(self) -> None:
        _, [_, failed] = history("BUILDING", "ERROR", step_s=1412)
        shown = self.shown(single(replace(failed, reason=replace(REASON, exact=False))))
        texts = [part["text"] for part in parts(shown)]
        assert texts[:3] == [
            "🔴 office-2026 is ERROR",
            "BUILDING → ERROR after 23 min 32 s",
            "Likely reason: WKS.0017 sysprep failed",
        ]
        assert texts[3:7] == ["*Severity*", "critical", "*Alerts*", "error firing (critical)"]
        assert texts[-1] == "<https://w.example/#/instances/prod/697612196993040384|Watcher>"

    def test_a_digest_reads_well(self) -> None:
        shown = self.shown(digest(*many(300), held_by="maintenance patching"))
        texts = [part["text"] for part in parts(shown)]
        assert texts[0] == "🔴 300 events: 11 ERROR, 1 cannot be reached, 281 BUILT, 7 others"
        assert texts[2] == "🔴 prod → ERROR\n11: office-024, office-049, office-074 and 8 more"
        assert "✅ prod → BUILT\n281: office-000, office-001, office-002 and 278 more" in texts
        assert texts[texts.index("*Held back*") + 1] == "maintenance patching"
        assert sum("\n" in text for text in texts) == 9

    def test_a_mark_in_a_label_is_shown_as_it_is(self) -> None:
        shown = self.shown(single(event(labels={"cost_center": "a_b_c", "*": "`rm`", "a&b": "<@U1>"})))
        texts = {part["text"]: part["type"] for part in parts(shown)}
        plain = {"cost_center", "a_b_c", "*", "`rm`", "<@U1>"}
        assert {text for text in plain if texts[text] == "plain_text"} == plain
        assert texts["*a&amp;b*"] == "mrkdwn"

    def test_more_labels_than_fit_are_counted(self) -> None:
        shown = self.shown(single(event(labels={f"label{number}": "v" for number in range(60)})))
        texts = [part["text"] for part in parts(shown)]
        labels = [text for text in texts if text.startswith("*label")]
        assert f"… and {60 - len(labels)} more labels" in texts
        assert "*Seen*" in texts

    async def test_there_is_a_text_for_screen_readers(self, sink: Sink) -> None:
        async with opened(HTTP_CASES["slack"].config(sink.url)) as receiver:
            await receiver.send(NOTIFICATION)
        assert sink.received[0].json["text"] == "✅ office-2026 is BUILT: BUILDING → BUILT after 23 min 32 s"

    @pytest.mark.parametrize(
        ("status", "word", "reason", "permanent", "advice"),
        [
            (410, "channel_is_archived", FailureReason.CLIENT_ERROR, True, "unarchive it"),
            (404, "channel_not_found", FailureReason.CLIENT_ERROR, True, "no such channel"),
            (404, "no_service", FailureReason.AUTH_ERROR, True, "new incoming webhook"),
            (404, "no_active_hooks", FailureReason.AUTH_ERROR, True, "new incoming webhook"),
            (403, "invalid_token", FailureReason.AUTH_ERROR, True, "new incoming webhook"),
            (403, "action_prohibited", FailureReason.AUTH_ERROR, True, "administrator"),
            (403, "posting_to_general_channel_denied", FailureReason.CLIENT_ERROR, True, "another channel"),
            (400, "invalid_payload", FailureReason.CLIENT_ERROR, True, "report"),
            (400, "invalid_attachments\n", FailureReason.CLIENT_ERROR, True, "report"),
            (429, "rate_limited", FailureReason.RATE_LIMITED, False, "tried again"),
            (500, "rollup_error", FailureReason.SERVER_ERROR, False, "tried again"),
        ],
    )
    async def test_slacks_own_words_are_kept_and_explained(
        self, sink: Sink, status: int, word: str, reason: FailureReason, permanent: bool, advice: str
    ) -> None:
        sink.replies.append(Reply(status=status, body=word, headers={"Retry-After": "7"}))
        async with opened(HTTP_CASES["slack"].config(sink.url)) as receiver:
            with pytest.raises(
                DeliveryError, match=f"^answered HTTP {status}: {word.strip()} \\(.*{advice}"
            ) as failure:
                await receiver.send(NOTIFICATION)
        error = failure.value
        assert (error.reason, error.permanent, error.retry_after_s) == (reason, permanent, None if permanent else 7.0)

    @pytest.mark.parametrize("name", EVERYTHING)
    def test_the_bar_has_the_colour_of_the_tone(self, name: str) -> None:
        message = describe(EVERYTHING[name], links=Links())
        shown = content(message)
        assert [block["type"] for block in shown["blocks"]] == ["header"]
        assert [set(each) for each in shown["attachments"]] == [{"color", "blocks"}]
        assert shown["attachments"][0]["color"] == message.tone.colour

    @pytest.mark.parametrize(
        "lines",
        [
            (),
            ("",),
            ("a", "", "b"),
            tuple(letter * 900 for letter in "abcdefg"),
            ("办" * 2800, "公"),
            ("x" * 5000,) * 5,
            (HOSTILE,) * 99,
            ("\N{ROCKET}" * 90,) * 90,
            ('"' * 50,) * 200,
        ],
    )
    def test_a_body_of_any_size_is_within_slacks_limits(self, lines: tuple[str, ...]) -> None:
        message = replace(describe(NOTIFICATION, links=Links()), body=lines)
        shown = blocks_of(content(message))
        assert all(1 <= units(part["text"]) <= 3000 for part in parts(shown))
        assert units(json.dumps(shown, ensure_ascii=False)) <= 12_000
        text = "\n".join(part["text"] for part in [*parts(shown)][1:])
        assert text == ("\n".join(lines).strip() or "-") or (len("\n".join(lines)) > 7000 and text.endswith("…"))

    def test_an_address_is_shown_whole_or_not_at_all(self) -> None:
        links = (("Long", "https://w/" + "x" * 3000), ("Short", "https://w/"))
        shown = blocks_of(content(replace(describe(NOTIFICATION, links=Links()), links=links)))
        assert shown[-1]["elements"][0]["text"] == "<https://w/|Short>"


class TestConsole:
    async def printed(self, notification: Notification) -> list[str]:
        output = io.StringIO()
        async with opened({"type": "console"}, output=output) as receiver:
            await receiver.reach()
            assert await receiver.send(notification) == "printed"
        assert output.getvalue().endswith("\n")
        return output.getvalue().removesuffix("\n").split("\n")

    @pytest.mark.parametrize("name", EVERYTHING)
    async def test_one_line_an_event_and_one_a_group(self, name: str) -> None:
        lines = await self.printed(EVERYTHING[name])
        assert len(lines) == 1 + len(describe(EVERYTHING[name], links=Links()).groups)
        assert all(char.isprintable() or char == "\N{VARIATION SELECTOR-16}" for line in lines for char in line)
        assert all(line.startswith("  ") for line in lines[1:])
        assert lines[0].startswith("20")

    async def test_it_reads_well(self) -> None:
        [line] = await self.printed(single(event(severity=Severity.INFO), test=True))
        assert line == (
            "2026-01-01T00:00:15.123Z ✅ [TEST] office-2026 is BUILT: BUILDING → BUILT after 23 min 32 s"
            " (severity: info; source: prod; instance: 697612196993040384; image: img-2; team: vdi)"
        )

    async def test_a_digest_reads_well(self) -> None:
        headline, *groups = await self.printed(digest(*many(300), held_by="maintenance patching"))
        assert headline == (
            "2026-01-01T01:00:00.000Z 🔴 300 events: 11 ERROR, 1 cannot be reached, 281 BUILT, 7 others: 300 events of"
            " 299 instances and 1 source within 40 min, from 2026-01-01T00:20:00.000Z to 2026-01-01T01:00:00.000Z"
            " (severity: critical; alerts: error: 12 firing, 1 resolved; unreachable: 1 firing; stuck: 1 firing;"
            " missing: 1 firing, 1 resolved; flapping: 1 firing, 1 resolved; held back: maintenance patching)"
        )
        assert groups[:2] == [
            "  🔴 prod → ERROR  11: office-024, office-049, office-074 and 8 more",
            "  🔴 prod: cannot be reached  1 event",
        ]

    async def test_an_output_that_is_gone_is_an_error(self) -> None:
        output = io.StringIO()
        async with opened({"type": "console"}, output=output) as receiver:
            output.close()
            with pytest.raises(ValueError, match="closed"):
                await receiver.send(NOTIFICATION)
