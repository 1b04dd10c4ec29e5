"""docs/messages.md shows what the receivers really say."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from tests.fakes.clock import FakeClock
from tests.fakes.sink import Sink
from tests.fakes.slack import Slack, blocks_of
from tests.fakes.stories import MINUTE, Story, many, stories
from watcher.core.model import Notification
from watcher.core.ports import Receiver
from watcher.core.routing import is_history_only
from watcher.receivers import AnyReceiverSettings
from watcher.receivers.base import ReceiverTools
from watcher.receivers.links import Links

DOCUMENT = Path(__file__).parents[3] / "docs" / "messages.md"
STORIES = stories()
HELD_BY = "maintenance patching"
DIGEST = Notification(id="dig_5d1f0c2b9a7e4f3386b0a1c2d3e4f506", events=many(300), is_digest=True)


def of(name: str, held_by: str | None = None) -> Notification:
    return Notification(id=STORIES[name].id, events=(STORIES[name],), held_by=held_by)


TRANSCRIPTS = {
    "A build begins": of("building"),
    "A build succeeds": of("built"),
    "A build fails": of("build error"),
    "A build ends without a new image": of("build failed"),
    "It has its new image after all": of("built after all"),
    "A build is stuck": of("stuck"),
    "An error goes on": of("error reminder"),
    "An error is over": of("error over"),
    "An instance begins to flap": of("flapping"),
    "It is calm again": of("calm in error"),
    "An instance is missing": of("missing"),
    "A source cannot be reached": of("outage"),
    "It goes on": of("outage reminder"),
    "It answers again": of("outage over"),
    "What a maintenance window held back": of("build error", held_by=HELD_BY),
    "What is watched no more": of("unwatched"),
    "A digest": DIGEST,
    "A digest after a maintenance window": replace(
        DIGEST, events=(STORIES["build error"], STORIES["stuck over"], STORIES["built"]), held_by=HELD_BY
    ),
}
FAILED = of("build error")
BODIES: dict[str, tuple[dict[str, Any], Notification]] = {
    "An event": ({"type": "webhook"}, of("build error", held_by=HELD_BY)),
    "The body of a digest": ({"type": "webhook"}, DIGEST),
    "A CloudEvent": ({"type": "webhook", "format": "cloudevents"}, FAILED),
    "As Alertmanager says it": ({"type": "webhook", "format": "alertmanager"}, FAILED),
    "What Alertmanager is told": ({"type": "alertmanager"}, FAILED),
    "What PagerDuty is told": ({"type": "pagerduty", "routing_key": "your-integration-key"}, FAILED),
}
LINKS = Links(
    external_url="https://watcher.example/",
    consoles={"prod": "https://console-intl.huaweicloud.com/workspace/?region=ap-southeast-3"},
    runbooks={"error": "https://wiki.example/image-in-error"},
)
SETTINGS: TypeAdapter[Any] = TypeAdapter(AnyReceiverSettings)


def built(config: dict[str, Any], **tools: Any) -> Receiver:
    given: dict[str, Any] = {
        "clock": FakeClock(FAILED.event.observed_at),
        "output": io.StringIO(),
        "links": LINKS,
        **tools,
    }
    receiver: Receiver = SETTINGS.validate_python({"name": "it", **config}).build(ReceiverTools(**given))
    return receiver


async def printed(notification: Notification) -> str:
    output = io.StringIO()
    await built({"type": "console"}, output=output).send(notification)
    return output.getvalue()


async def posted(config: dict[str, Any], notification: Notification) -> Any:
    async with Sink() as sink:
        key = "webhook_url" if config["type"] == "slack" else "url"
        receiver = built({**config, key: sink.url})
        await receiver.send(notification)
        await receiver.close()
        return sink.received[0].json


async def thread() -> str:
    """A run of an instance as it stands in the channel in the end: the first message, and the thread below it."""
    story = Story()
    events = [*story.see("CREATING", 0), *story.see("ACTIVE", 7 * MINUTE), *story.see("BUILDING", 8 * MINUTE)]
    events += story.see("ERROR", 20 * MINUTE, reason=STORIES["build error"].reason)
    events += story.see("BUILDING", 45 * MINUTE) + story.see("BUILT", 69 * MINUTE, image_id="img-1")
    async with Slack() as slack:
        receiver = built(slack.bot)
        for event in events:
            if not is_history_only(event):
                await receiver.send(Notification(id=event.id, events=(event,)))
        await receiver.close()
        [parent] = slack.parents
        told = [(reply.lines, reply.is_broadcast) for reply in slack.replies(parent)]
        first = slack_text(parent.content)
    replies = [f"  ↳ {lines[0]}: {lines[1]}{' (also sent to the channel)' * loud}" for lines, loud in told]
    return "\n".join([first, *replies]) + "\n"


def slack_text(body: Any) -> str:
    """The blocks as they are read: a fact a line, no marks but the links."""
    lines = list[str]()
    for block in blocks_of(body):
        if "fields" in block:
            texts = [text["text"].strip("*") for text in block["fields"]]
            lines += [f"{label:<10} {value}" for label, value in zip(texts[::2], texts[1::2], strict=True)]
        else:
            text = block["text"] if "text" in block else block["elements"][0]
            lines += [*text["text"].split("\n"), *([""] if block["type"] == "header" else [])]
    return "\n".join(lines) + "\n"


def shortened(body: Any) -> str:
    """The body with the first of a digest's events only."""
    if isinstance(body, dict) and body.get("type") == "instance.digest":
        more = f"… {len(body['data']['events']) - 1} more"
        body["data"]["events"] = [{**body["data"]["events"][0], "instance": "…"}, more]
    return json.dumps(body, indent=2, ensure_ascii=False) + "\n"


async def blocks_below(title: str) -> list[str]:
    """The blocks of the document that belong below this title."""
    if title == "A thread of the Slack bot":
        return [f"```text\n{await thread()}```\n"]
    if title in BODIES:
        return [f"```json\n{shortened(await posted(*BODIES[title]))}```\n"]
    told = TRANSCRIPTS[title]
    texts = [await printed(told), slack_text(await posted({"type": "slack"}, told))]
    return [f"```text\n{text}```\n" for text in texts]


@pytest.mark.parametrize("title", [*TRANSCRIPTS, *BODIES, "A thread of the Slack bot"])
async def test_what_is_shown_is_true(title: str) -> None:
    document = DOCUMENT.read_text(encoding="utf-8")
    [section] = re.findall(rf"^###? {re.escape(title)}\n(.*?)(?=^##|\Z)", document, re.DOTALL | re.MULTILINE)
    for block in await blocks_below(title):
        assert block in section
