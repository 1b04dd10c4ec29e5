"""Slack: messages by an incoming webhook, or by a bot that keeps threads."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, Literal

import aiohttp
from pydantic import Field, SecretStr, field_validator
from slack_sdk.webhook.async_client import AsyncWebhookClient

from watcher.core.clock import Clock
from watcher.core.model import Notification
from watcher.core.ports import Receiver
from watcher.fields import Secret
from watcher.receivers.base import ReceiverSettings, ReceiverTools
from watcher.receivers.http import check_answer, delivery_errors, open_session, reach
from watcher.receivers.message import Message, describe
from watcher.receivers.planned import PlannedReceiver

# Slack's limits on Block Kit (https://docs.slack.dev/reference/block-kit/blocks)
_HEADER_CHARS = 150
_SECTION_CHARS = 3000
_FIELD_CHARS = 2000
_FIELDS = 10


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
            external_url=tools.external_url,
        )


class SlackWebhookReceiver:
    """Posts one Block Kit message for each event to an incoming webhook."""

    type = "slack"
    digest_bytes = None

    def __init__(
        self,
        *,
        name: str,
        webhook_url: Secret,
        session: aiohttp.ClientSession,
        clock: Clock,
        external_url: str | None = None,
    ) -> None:
        self.name = name
        self._webhook_url = webhook_url
        self._session = session
        self._clock = clock
        self._external_url = external_url

    async def send(self, notification: Notification) -> str:
        """Post the event; raises DeliveryError unless Slack took it."""
        message = describe(notification, external_url=self._external_url)
        with delivery_errors():
            client = AsyncWebhookClient(self._webhook_url.reveal(), session=self._session, retry_handlers=[])
            client.proxy = None  # the session itself honours HTTPS_PROXY, and NO_PROXY with it
            answer = await client.send(text=fallback_text(message), blocks=blocks(message), unfurl_links=False)
            return check_answer(
                answer.status_code, headers=answer.headers, body=answer.body or "", now=self._clock.now()
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
    return _cut(f"{message.emoji} {_escape(message.title)}: {_escape(message.summary)}", _SECTION_CHARS)


def blocks(message: Message) -> list[dict[str, Any]]:
    """The message as Block Kit: a header, what happened, the facts in two columns, and links."""
    shown: list[dict[str, Any]] = [
        {
            "type": "header",
            "text": {
                "type": "plain_text",
                "text": _cut(f"{message.emoji} {message.title}", _HEADER_CHARS),
                "emoji": True,
            },
        },
        _section(f"*{_escape(message.summary)}*"),
    ]
    reasons = [(label, value) for label, value in message.fields if "reason" in label.lower()]
    shown += [_section(f"*{label}:* {_escape(value)}") for label, value in reasons]
    facts = [pair for pair in message.fields if pair not in reasons]
    fields = [_mrkdwn(f"*{_escape(label)}*\n{_escape(value) or '-'}", _FIELD_CHARS) for label, value in facts]
    shown += [{"type": "section", "fields": fields[at : at + _FIELDS]} for at in range(0, len(fields), _FIELDS)][:20]
    if message.links:
        links = " · ".join(f"<{_escape(url)}|{_escape(text)}>" for text, url in message.links)
        shown.append({"type": "context", "elements": [_mrkdwn(links, _SECTION_CHARS)]})
    return shown


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": _mrkdwn(text, _SECTION_CHARS)}


def _mrkdwn(text: str, limit: int) -> dict[str, Any]:
    return {"type": "mrkdwn", "text": _cut(text, limit)}


def _escape(text: str) -> str:
    # https://docs.slack.dev/messaging/formatting-message-text#escaping; the broken-up marks keep names from styling.
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
