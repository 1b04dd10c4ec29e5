"""Slack by an incoming webhook: one message for each event or digest."""

from __future__ import annotations

import aiohttp
from slack_sdk.webhook.async_client import AsyncWebhookClient

from watcher.core.clock import Clock
from watcher.core.errors import DeliveryError
from watcher.core.model import Notification
from watcher.fields import Secret
from watcher.receivers.base import Describer
from watcher.receivers.http import check_answer, delivery_errors, reach, secrets_of
from watcher.receivers.slack.api import SILENT
from watcher.receivers.slack.blocks import content
from watcher.receivers.slack.errors import explained


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
            client = AsyncWebhookClient(url, session=self._session, retry_handlers=[], logger=SILENT)
            client.proxy = None  # the session itself honours HTTPS_PROXY, and NO_PROXY with it
            answer = await client.send(**content(message), unfurl_links=False, unfurl_media=False)
            body = answer.body or ""
            try:
                return check_answer(
                    answer.status_code,
                    headers=answer.headers,
                    body=body,
                    now=self._clock.now(),
                    secrets=secrets_of(url, path=True),
                )
            except DeliveryError as error:
                raise explained(error, body) from None

    async def reach(self) -> None:
        """Connect to Slack; raises DeliveryError."""
        with delivery_errors():
            await reach(self._webhook_url.reveal())

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()
