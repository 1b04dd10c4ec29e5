"""The section of a Slack receiver: an incoming webhook, or a bot and its channel."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, field_validator

from watcher.core.ports import Receiver
from watcher.fields import DestinationUrl, HttpUrl, Rate, RateLimit, check_destination
from watcher.receivers.base import ReceiverSettings, ReceiverTools
from watcher.receivers.http import open_session
from watcher.receivers.slack.api import SlackApi
from watcher.receivers.slack.bot import SlackBotReceiver
from watcher.receivers.slack.incoming import SlackWebhookReceiver


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
    api_url: DestinationUrl = HttpUrl("https://slack.com/api/")
    """Where the bot's Web API is; GovSlack has another address."""
    rate_limit: RateLimit | None = Rate(1, 1.0)
    """The most notifications in a length of time; Slack takes one a second."""

    @field_validator("webhook_url")
    @classmethod
    def _check_webhook_url(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            check_destination(value.get_secret_value())
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
        elif webhook:
            if "channel" in given:
                yield "channel", "goes with 'bot_token'; an incoming webhook has its own channel"
            if "api_url" in given:
                yield "api_url", "goes with 'bot_token'; an incoming webhook has its own address"

    @property
    def updates(self) -> bool:
        """A bot edits what it told when the same event comes with more known."""
        return self.webhook_url is None and self.webhook_url_file is None

    def build(self, tools: ReceiverTools) -> Receiver:
        """A receiver that posts to an incoming webhook, or as a bot."""
        session = open_session(timeout_s=self.timeout.total_seconds())
        webhook_url = self.optional_secret("webhook_url")
        if webhook_url is None:
            token = self.required_secret("bot_token")
            return SlackBotReceiver(
                name=self.name,
                api=SlackApi(token=token, api_url=str(self.api_url), session=session, clock=tools.clock),
                channel=self.channel or "",
                describe=self.describer(tools),
                notebook=tools.notebook,
                clock=tools.clock,
            )
        return SlackWebhookReceiver(
            name=self.name,
            webhook_url=webhook_url,
            session=session,
            clock=tools.clock,
            describe=self.describer(tools),
        )
