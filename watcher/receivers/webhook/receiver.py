"""Webhooks: events as JSON over HTTP, signed as Standard Webhooks say."""

from __future__ import annotations

import base64
import binascii
import io
from functools import partial
from pathlib import Path
from typing import Literal

import aiohttp
from pydantic import SecretStr, field_validator
from standardwebhooks import Webhook

from watcher.core.clock import Clock
from watcher.core.errors import ConfigurationError
from watcher.core.model import Notification
from watcher.core.ports import Receiver
from watcher.fields import DestinationUrl, Secret
from watcher.receivers.alerts import Labeller
from watcher.receivers.base import ReceiverSettings, ReceiverTools
from watcher.receivers.http import check_answer, delivery_errors, open_session, reach, secrets_of
from watcher.receivers.webhook.alertmanager import AlertmanagerBody
from watcher.receivers.webhook.formats import Format, cloudevents, standard

_PREFIX = "whsec_"


class WebhookSettings(ReceiverSettings):
    """A receiver that is sent JSON by POST."""

    type: Literal["webhook"] = "webhook"
    url: DestinationUrl
    """Where to POST."""
    secret: SecretStr | None = None
    """Signs each request as Standard Webhooks say: `whsec_` and base64. None: unsigned."""
    secret_file: Path | None = None
    """A file that holds `secret`."""
    format: Literal["standard", "cloudevents", "alertmanager"] = "standard"
    """The shape of the body."""

    @field_validator("secret")
    @classmethod
    def _check_secret(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None:
            return None
        try:
            key = base64.b64decode(value.get_secret_value().removeprefix(_PREFIX), validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if not key:
            raise ValueError("not a signing secret: write whsec_ and base64")
        return value

    @property
    def alerts_only(self) -> bool:
        """What Alertmanager posts tells of nothing but alerts."""
        return self.format == "alertmanager"

    def build(self, tools: ReceiverTools) -> Receiver:
        """A receiver that POSTs to `url`."""
        return WebhookReceiver(
            name=self.name,
            url=str(self.url),
            format=self._format(tools),
            secret=self.optional_secret("secret"),
            session=open_session(timeout_s=self.timeout.total_seconds()),
            clock=tools.clock,
        )

    def _format(self, tools: ReceiverTools) -> Format:
        describe = self.describer(tools)
        texts = describe if self.template is not None else None
        if self.format == "standard":
            return Format("application/json", partial(standard, describe=texts))
        if self.format == "cloudevents":
            return Format("application/cloudevents+json", partial(cloudevents, describe=texts))
        labeller = Labeller(describer=describe, links=tools.links)
        body = AlertmanagerBody(receiver=self.name, external_url=tools.links.external_url, labeller=labeller)
        return Format("application/json", body)


class WebhookReceiver:
    """POSTs an event or a digest as JSON of one format.

    With a secret, signed by the Standard Webhooks specification (https://www.standardwebhooks.com): the signature
    covers id, time of sending and body. The id is that of the event or digest, and the body is the same to the byte on
    every retry, so that a receiver can tell.
    """

    type = "webhook"
    digest_bytes = 500_000  # many servers take a megabyte at most

    def __init__(
        self,
        *,
        name: str,
        url: str,
        format: Format,  # noqa: A002 - the configuration's word
        secret: Secret | None,
        session: aiohttp.ClientSession,
        clock: Clock,
    ) -> None:
        self.name = name
        self._url = url
        self._format = format
        self._secret = secret
        self._session = session
        self._clock = clock

    async def send(self, notification: Notification) -> str:
        """POST it; raises DeliveryError unless the answer is 2xx."""
        body = self._format.render(notification)
        if body is None:
            return "nothing to send: no alert began or ended"
        with delivery_errors():
            key = self._secret.reveal() if self._secret is not None else None
            headers = self._headers(notification.id, body, key)
            # A stream is sent in pieces: the loop is not held up by a large body.
            data = io.BytesIO(body.encode())
            async with self._session.post(self._url, data=data, headers=headers) as response:
                return check_answer(
                    response.status,
                    headers=response.headers,
                    body=await response.text(),
                    now=self._clock.now(),
                    secrets=[*secrets_of(self._url), *((key, key.removeprefix(_PREFIX)) if key else ())],
                )

    async def reach(self) -> None:
        """Connect to the address; raises DeliveryError."""
        await reach(self._url)

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    def _headers(self, message_id: str, body: str, key: str | None) -> dict[str, str]:
        now = self._clock.now()
        headers = {
            "Content-Type": self._format.content_type,
            "webhook-id": message_id,
            "webhook-timestamp": str(int(now.timestamp())),
        }
        if key is not None:
            headers["webhook-signature"] = _signer(key).sign(msg_id=message_id, timestamp=now, data=body)
        return headers


def _signer(key: str) -> Webhook:
    try:
        return Webhook(key)
    except (ValueError, RuntimeError) as error:
        raise ConfigurationError("the signing secret is not whsec_ and base64") from error
