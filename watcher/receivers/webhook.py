"""Webhooks: events as JSON over HTTP, signed as Standard Webhooks say."""

from __future__ import annotations

import base64
import binascii
import io
import json
from pathlib import Path
from typing import Any, Literal

import aiohttp
from pydantic import SecretStr, field_validator
from standardwebhooks import Webhook

from watcher.core.clock import Clock
from watcher.core.errors import ConfigurationError
from watcher.core.event_json import format_time, to_json
from watcher.core.model import Event, Notification
from watcher.core.ports import Receiver
from watcher.fields import HttpUrl, Secret
from watcher.receivers.base import ReceiverSettings, ReceiverTools
from watcher.receivers.digest import NAMED, Group, grouped, worst_of
from watcher.receivers.http import check_answer, delivery_errors, open_session, reach, secrets_of
from watcher.receivers.planned import PlannedReceiver

_PREFIX = "whsec_"


class WebhookSettings(ReceiverSettings):
    """A receiver that is sent JSON by POST."""

    type: Literal["webhook"] = "webhook"
    url: HttpUrl
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

    def build(self, tools: ReceiverTools) -> Receiver:
        """A receiver that POSTs to `url`."""
        if self.format != "standard":
            return PlannedReceiver(name=self.name, type=self.type, feature=f"a webhook of format {self.format}")
        return WebhookReceiver(
            name=self.name,
            url=str(self.url),
            secret=self.optional_secret("secret"),
            session=open_session(timeout_s=self.timeout.total_seconds()),
            clock=tools.clock,
        )


class WebhookReceiver:
    """POSTs an event or a digest as JSON: `{"type": "instance.<kind>", "timestamp": …, "data": …}`.

    With a secret, signed by the Standard Webhooks specification (https://www.standardwebhooks.com): the signature
    covers id, time of sending and body. The id is that of the event or digest, and the body is the same to the byte on
    every retry, so that a receiver can tell.
    """

    type = "webhook"
    digest_bytes = 500_000  # many servers take a megabyte at most

    def __init__(
        self, *, name: str, url: str, secret: Secret | None, session: aiohttp.ClientSession, clock: Clock
    ) -> None:
        self.name = name
        self._url = url
        self._secret = secret
        self._session = session
        self._clock = clock

    async def send(self, notification: Notification) -> str:
        """POST it; raises DeliveryError unless the answer is 2xx."""
        body = _body(notification)
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
            "Content-Type": "application/json",
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


def _body(notification: Notification) -> str:
    body = _digest(notification) if notification.is_digest else _single(notification)
    text = json.dumps(body, separators=(",", ":"), ensure_ascii=False)
    return text.encode(errors="replace").decode()  # half a surrogate pair can be neither signed nor sent


def _single(notification: Notification) -> dict[str, Any]:
    event = notification.event
    kind = "test" if notification.test else event.kind.value
    body = {"type": f"instance.{kind}", "timestamp": format_time(event.observed_at), "data": to_json(event)}
    return body if notification.held_by is None else {**body, "held_by": notification.held_by}


def _digest(notification: Notification) -> dict[str, Any]:
    events = notification.events
    data = {
        "id": notification.id,
        "count": len(events),
        "severity": worst_of(events).value,
        "groups": [_group(group) for group in grouped(events, by=_sort)],
        "held_by": notification.held_by,
        "events": [to_json(event) for event in events],
    }
    latest = max(event.observed_at for event in events)
    return {"type": "instance.digest", "timestamp": format_time(latest), "data": data}


def _sort(event: Event) -> tuple[str, str, str | None]:
    return event.source, event.kind.value, event.to_status


def _group(group: Group) -> dict[str, Any]:
    source, kind, to_status = _sort(group.first)
    return {
        "source": source,
        "kind": kind,
        "to": to_status,
        "severity": group.severity.value,
        "count": len(group.events),
        "instances": [event.instance_name or event.instance_id for event in group.instances[:NAMED]],
    }
