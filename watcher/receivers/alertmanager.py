"""Alertmanager: alerts are posted to its API, and kept firing there until they are over.

`POST /api/v2/alerts` (https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml) sets no limit to its
body; reverse proxies before it often do, at a megabyte. Prometheus posts 256 alerts at once, and so does a refresh.
"""

from __future__ import annotations

import asyncio
import io
import json
import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal
from urllib.parse import urlsplit

import aiohttp
from pydantic import Field, ValidationInfo, field_validator
from yarl import URL

from watcher.core.clock import Clock
from watcher.core.errors import DeliveryError, FailureReason
from watcher.core.event_json import format_time
from watcher.core.model import Notification
from watcher.core.ports import Standing, StandingReceiver
from watcher.fields import DestinationUrl, HttpUrl, PositiveDuration
from watcher.receivers.alerts import LabelledAlert, Labeller
from watcher.receivers.base import ReceiverSettings, ReceiverTools
from watcher.receivers.http import check_answer, delivery_errors, json_of, open_session, secrets_of

_ALERTS = "api/v2/alerts"
_API = re.compile(r"/api/v\d+(/|$)")
_NONE_OF_THEM = {"active": "false", "silenced": "false", "inhibited": "false"}
_AT_ONCE = 256
_REMEMBERED = 10_000
_TEST_LASTS = timedelta(minutes=1)
_NOT_FOUND = 404
_ASTRAY = "no Alertmanager's API is there: is the path prefix right (its --web.route-prefix)?"


class AlertmanagerSettings(ReceiverSettings):
    """An Alertmanager."""

    type: Literal["alertmanager"] = "alertmanager"
    url: DestinationUrl
    """The Alertmanager's address, without `/api/v2`."""
    resend_interval: PositiveDuration = timedelta(minutes=1)
    """How often the alerts that fire are sent again."""
    expires_after: PositiveDuration = Field(timedelta(hours=1), validate_default=True)
    """How long Alertmanager believes that an alert fires which it is told of no more."""

    @field_validator("url")
    @classmethod
    def _check_url(cls, value: HttpUrl) -> HttpUrl:
        if _API.search(urlsplit(str(value)).path):
            raise ValueError("give the Alertmanager's address without /api/v2")
        return value

    @field_validator("expires_after")
    @classmethod
    def _check_expiry(cls, value: timedelta, info: ValidationInfo) -> timedelta:
        if value <= info.data.get("resend_interval", timedelta()):
            raise ValueError("must be more than resend_interval, or alerts end between two sendings")
        return value

    @property
    def alerts_only(self) -> bool:
        """It knows of nothing but alerts."""
        return True

    def build(self, tools: ReceiverTools) -> StandingReceiver:
        """A receiver that posts to `url`."""
        return AlertmanagerReceiver(
            name=self.name,
            url=str(self.url),
            refresh_s=self.resend_interval.total_seconds(),
            expires_after=self.expires_after,
            labeller=Labeller(describer=self.describer(tools), links=tools.links),
            session=open_session(timeout_s=self.timeout.total_seconds()),
            clock=tools.clock,
        )


class AlertmanagerReceiver:
    """Posts alerts with when they end: in `expires_after` while they fire, and when they did once they are over.

    A refresh can have been read before what was sent since: it says nothing of an alert that was told to be over, or to
    have begun anew, in the meantime.
    """

    type = "alertmanager"
    digest_bytes = 500_000  # an event and its alert in labels and texts are about as long

    def __init__(
        self,
        *,
        name: str,
        url: str,
        refresh_s: float,
        expires_after: timedelta,
        labeller: Labeller,
        session: aiohttp.ClientSession,
        clock: Clock,
    ) -> None:
        self.name = name
        self.refresh_s = refresh_s
        self._expires_after = expires_after
        self._labeller = labeller
        self._session = session
        self._clock = clock
        base = URL(url)
        self._url = (base / _ALERTS).with_query(base.query)
        self._secrets = secrets_of(url)
        self._newest = _Newest()
        self._refreshing = asyncio.Lock()

    async def send(self, notification: Notification) -> str:
        """POST its alerts; raises DeliveryError unless the answer is 2xx."""
        alerts = self._labeller.told(notification)
        if not alerts:
            return "nothing to send: no alert began or ended"
        self._newest.learn(alerts)
        async with self._refreshing:
            pass  # one under way was read before, and must not be the last to speak
        lasts = _TEST_LASTS if notification.test else self._expires_after
        return await self._post(alerts, lasts=lasts)

    async def refresh(self, standing: Sequence[Standing]) -> None:
        """POST all of them again; raises DeliveryError. What is refused is no reason to keep back the others."""
        refused: DeliveryError | None = None
        async with self._refreshing:
            alerts = self._newest.still_true([self._labeller.standing(each) for each in standing])
            for start in range(0, len(alerts), _AT_ONCE):
                try:
                    await self._post(alerts[start : start + _AT_ONCE], lasts=self._expires_after)
                except DeliveryError as error:
                    if not error.permanent:
                        raise
                    refused = error
        if refused is not None:
            raise refused

    async def reach(self) -> None:
        """Ask it for none of its alerts; raises DeliveryError where no Alertmanager answers."""
        _, body = await self._exchange("GET", self._url.update_query(_NONE_OF_THEM))
        if not isinstance(json_of(body), list):
            message = f"answered, but not as an Alertmanager does: {_ASTRAY}"
            raise DeliveryError(message, reason=FailureReason.OTHER, permanent=True)

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    async def _post(self, alerts: Sequence[LabelledAlert], *, lasts: timedelta) -> str:
        now = self._clock.now()
        body = [_postable(alert, now=now, lasts=lasts) for alert in alerts]
        text = json.dumps(body, separators=(",", ":"), ensure_ascii=False)
        answer, _ = await self._exchange("POST", self._url, text.encode())
        return answer

    async def _exchange(self, method: str, url: URL, body: bytes | None = None) -> tuple[str, str]:
        # A stream is sent in pieces: the loop is not held up by a large body.
        data = io.BytesIO(body) if body is not None else None
        headers = {"Content-Type": "application/json"} if body is not None else {}
        with delivery_errors():
            async with self._session.request(method, url, data=data, headers=headers) as response:
                said = await response.text()
                try:
                    answer = check_answer(
                        response.status,
                        headers=response.headers,
                        body=said,
                        now=self._clock.now(),
                        secrets=self._secrets,
                    )
                except DeliveryError as error:
                    if response.status != _NOT_FOUND:
                        raise
                    raise DeliveryError(f"{error} ({_ASTRAY})", reason=error.reason, permanent=True) from error
        return answer, said


class _Newest:
    """The newest that was sent of each alert, as Alertmanager tells them apart: when it began, and whether it ended."""

    def __init__(self) -> None:
        self._sent = dict[frozenset[tuple[str, str]], tuple[datetime, bool]]()

    def learn(self, alerts: Iterable[LabelledAlert]) -> None:
        for alert in alerts:
            known = self._sent.pop(alert.identity, None)
            state = _state(alert)
            self._sent[alert.identity] = state if known is None else max(known, state)
        while len(self._sent) > _REMEMBERED:
            del self._sent[next(iter(self._sent))]

    def still_true(self, alerts: Sequence[LabelledAlert]) -> list[LabelledAlert]:
        """Those that nothing newer is known of, from what was sent or among themselves."""
        newest = dict[frozenset[tuple[str, str]], tuple[datetime, bool]]()
        for alert in alerts:
            states = [_state(alert)]
            states += [known[alert.identity] for known in (newest, self._sent) if alert.identity in known]
            newest[alert.identity] = max(states)
        return [alert for alert in alerts if _state(alert) == newest[alert.identity]]


def _state(alert: LabelledAlert) -> tuple[datetime, bool]:
    return alert.starts_at, alert.ends_at is not None


def _postable(alert: LabelledAlert, *, now: datetime, lasts: timedelta) -> dict[str, Any]:
    # An end to come says that it fires, and a beginning after the end is refused: a clock may have been set back.
    ends_at = now + lasts if alert.ends_at is None else min(alert.ends_at, now)
    body = {
        "labels": alert.labels,
        "annotations": alert.annotations,
        "startsAt": format_time(min(alert.starts_at, ends_at)),
        "endsAt": format_time(ends_at),
    }
    return body if alert.generator_url is None else {**body, "generatorURL": alert.generator_url}
