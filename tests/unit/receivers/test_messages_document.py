"""docs/messages.md shows what the receivers really say."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.sink import Sink
from tests.fakes.slack import blocks_of
from tests.fakes.stories import many, stories
from watcher.core.clock import SystemClock
from watcher.core.model import Notification
from watcher.receivers import ConsoleSettings, SlackSettings, WebhookSettings
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
BODIES = {"An event": of("build error", held_by=HELD_BY), "The body of a digest": DIGEST}
TOOLS: dict[str, Any] = {"clock": SystemClock(), "links": Links(external_url="https://watcher.example/")}


async def printed(notification: Notification) -> str:
    output = io.StringIO()
    receiver = ConsoleSettings(name="screen").build(ReceiverTools(**TOOLS, output=output))
    await receiver.send(notification)
    return output.getvalue()


async def posted(section: type[SlackSettings | WebhookSettings], notification: Notification) -> Any:
    async with Sink() as sink:
        key = "webhook_url" if section is SlackSettings else "url"
        receiver = section.model_validate({"name": "it", key: sink.url}).build(
            ReceiverTools(**TOOLS, output=io.StringIO())
        )
        await receiver.send(notification)
        await receiver.close()
        return sink.received[0].json


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
    if body["type"] == "instance.digest":
        more = f"… {len(body['data']['events']) - 1} more"
        body["data"]["events"] = [{**body["data"]["events"][0], "instance": "…"}, more]
    return json.dumps(body, indent=2, ensure_ascii=False) + "\n"


@pytest.mark.parametrize("title", TRANSCRIPTS)
async def test_a_transcript_is_true(title: str) -> None:
    document = DOCUMENT.read_text(encoding="utf-8")
    _, _, section = document.partition(f"\n## {title}\n")
    section = section.partition("\n## ")[0]
    assert f"```text\n{await printed(TRANSCRIPTS[title])}```\n" in section
    assert f"```text\n{slack_text(await posted(SlackSettings, TRANSCRIPTS[title]))}```\n" in section


@pytest.mark.parametrize("title", BODIES)
async def test_a_body_is_true(title: str) -> None:
    document = DOCUMENT.read_text(encoding="utf-8")
    assert f"### {title}\n" in document
    assert f"```json\n{shortened(await posted(WebhookSettings, BODIES[title]))}```\n" in document
