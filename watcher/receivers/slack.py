"""Slack: messages by an incoming webhook, or by a bot that keeps threads."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import aiohttp
from pydantic import Field, SecretStr, field_validator
from slack_sdk.webhook.async_client import AsyncWebhookClient

from watcher.core.clock import Clock
from watcher.core.model import Notification
from watcher.core.ports import Receiver
from watcher.fields import Rate, RateLimit, Secret
from watcher.receivers.base import Describer, ReceiverSettings, ReceiverTools
from watcher.receivers.http import check_answer, delivery_errors, open_session, reach, secrets_of
from watcher.receivers.message import LIKELY_REASON, REASON, Message
from watcher.receivers.planned import PlannedReceiver

# Slack's limits on Block Kit (https://docs.slack.dev/reference/block-kit/blocks)
_HEADER_CHARS = 150
_FIELDS = 10
# Ours, far below Slack's for single texts: of all blocks of a message together it takes about 12000 characters
# (https://github.com/slackapi/bolt-js/issues/2509).
_SECTION_CHARS = 1000
_LABEL_CHARS = 40
_VALUE_CHARS = 400
_FACTS = 15
_MARKS = frozenset("*_~`")
# The SDK writes down the address, which is a secret, as soon as anybody asks for debug logs.
_SILENT = logging.Logger("slack_sdk", level=logging.CRITICAL)  # noqa: LOG001 - one that nobody can turn on


class SlackSettings(ReceiverSettings):
    """A Slack channel, reached by `webhook_url` or by `bot_token` and `channel`."""

    type: Literal["slack"] = "slack"
    webhook_url: SecretStr | None = None
    """The address of an incoming webhook; whoever knows it can post, so it is a secret."""
    webhook_url_file: Path | None = None
    """A file that holds `webhook_url`."""
    bot_token: SecretStr | None = Field(None, min_length=1)
    """A bot's token (`xoxb-…`); needs `channel`."""
    bot_token_file: Path | None = None
    """A file that holds `bot_token`."""
    channel: str | None = Field(None, min_length=1)
    """The channel's id or name the bot posts to."""
    rate_limit: RateLimit | None = Rate(1, 1.0)
    """The most notifications in a length of time; Slack takes one a second."""

    @field_validator("webhook_url")
    @classmethod
    def _check_webhook_url(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not value.get_secret_value().startswith(("https://", "http://")):
            raise ValueError("must begin with https:// or http://")
        return value

    @classmethod
    def pair_problems(cls, given: Collection[str]) -> Iterator[tuple[str, str]]:
        """An incoming webhook or a bot with its channel: exactly one of the two."""
        yield from super().pair_problems(given)
        webhook = "webhook_url" in given or "webhook_url_file" in given
        bot = "bot_token" in given or "bot_token_file" in given
        if webhook and bot:
            yield "", "give 'webhook_url' or 'bot_token' with 'channel', not both"
        elif bot and "channel" not in given:
            yield "", "missing required key 'channel' (it goes with 'bot_token')"
        elif not webhook and not bot:
            yield "", "missing required key 'webhook_url' (or 'bot_token' with 'channel')"
        elif webhook and "channel" in given:
            yield "channel", "goes with 'bot_token'; an incoming webhook has its own channel"

    def build(self, tools: ReceiverTools) -> Receiver:
        """A receiver that posts to an incoming webhook."""
        webhook_url = self.optional_secret("webhook_url")
        if webhook_url is None:
            return PlannedReceiver(name=self.name, type=self.type, feature="a slack receiver with a bot token")
        return SlackWebhookReceiver(
            name=self.name,
            webhook_url=webhook_url,
            session=open_session(timeout_s=self.timeout.total_seconds()),
            clock=tools.clock,
            describe=self.describer(tools),
        )


class SlackWebhookReceiver:
    """Posts one Block Kit message for each event or digest to an incoming webhook."""

    type = "slack"
    digest_bytes = None

    def __init__(
        self,
        *,
        name: str,
        webhook_url: Secret,
        session: aiohttp.ClientSession,
        clock: Clock,
        describe: Describer,
    ) -> None:
        self.name = name
        self._webhook_url = webhook_url
        self._session = session
        self._clock = clock
        self._describe = describe

    async def send(self, notification: Notification) -> str:
        """Post it; raises DeliveryError unless Slack took it."""
        message = self._describe(notification)
        with delivery_errors():
            url = self._webhook_url.reveal()
            client = AsyncWebhookClient(url, session=self._session, retry_handlers=[], logger=_SILENT)
            client.proxy = None  # the session itself honours HTTPS_PROXY, and NO_PROXY with it
            answer = await client.send(text=fallback_text(message), blocks=blocks(message), unfurl_links=False)
            return check_answer(
                answer.status_code,
                headers=answer.headers,
                body=answer.body or "",
                now=self._clock.now(),
                secrets=secrets_of(url, path=True),
            )

    async def reach(self) -> None:
        """Connect to Slack; raises DeliveryError."""
        with delivery_errors():
            await reach(self._webhook_url.reveal())

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()


def fallback_text(message: Message) -> str:
    """The line that notifications and screen readers show."""
    return _escape(_cut(f"{message.emoji} {message.title}: {message.summary}", _SECTION_CHARS))


def blocks(message: Message) -> list[dict[str, Any]]:
    """The message as Block Kit: a header, what happened, why, the groups of a digest, a table of facts, and links.

    All that others can have written is `plain_text`, in which nothing mentions, links or styles.
    """
    reasons = [(label, value) for label, value in message.fields if label in (REASON, LIKELY_REASON)]
    facts = [*(pair for pair in message.fields if pair not in reasons), ("Seen", message.seen)]
    return [
        {"type": "header", "text": _plain(f"{message.emoji} {message.title}", _HEADER_CHARS)},
        _section(message.summary),
        *(_section(f"{label}: {value}") for label, value in reasons),
        *(_section(f"{label}\n{whom}") for label, whom in message.groups),
        *_table(facts),
        *_links(message.links),
    ]


def _table(facts: Sequence[tuple[str, str]]) -> Iterator[dict[str, Any]]:
    """Sections show their fields in two columns: labels at the left, values at the right."""
    shown = facts if len(facts) <= _FACTS else [*facts[: _FACTS - 2], facts[-1]]
    fields = [text for label, value in shown for text in (_label(label), _plain(value or "-", _VALUE_CHARS))]
    for at in range(0, len(fields), _FIELDS):
        yield {"type": "section", "fields": fields[at : at + _FIELDS]}
    if len(facts) > len(shown):
        yield _section(f"… and {len(facts) - len(shown)} more labels")


def _links(links: Sequence[tuple[str, str]]) -> Iterator[dict[str, Any]]:
    if links:
        shown = " · ".join(f"<{_escape(url)}|{_escape(text)}>" for text, url in links)
        yield {"type": "context", "elements": [{"type": "mrkdwn", "text": shown}]}


def _label(text: str) -> dict[str, Any]:
    if not text or _MARKS & set(text):
        return _plain(text or "-", _LABEL_CHARS)
    return {"type": "mrkdwn", "text": f"*{_escape(_cut(text, _LABEL_CHARS))}*"}


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": _plain(text or "-", _SECTION_CHARS)}


def _plain(text: str, chars: int) -> dict[str, Any]:
    return {"type": "plain_text", "text": _cut(text, chars), "emoji": False}


def _escape(text: str) -> str:
    # https://docs.slack.dev/messaging/formatting-message-text#escaping
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _cut(text: str, chars: int) -> str:
    """The text, or its beginning and `…`; counted as UTF-16, as the larger of what a limit may mean."""
    units = text.encode("utf-16-le")
    if len(units) <= 2 * chars:
        return text
    return units[: 2 * (chars - 1)].decode("utf-16-le", errors="ignore") + "…"
