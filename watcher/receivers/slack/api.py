"""Slack's Web API: messages posted and edited, and what every answer means."""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard, cast

import aiohttp
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from watcher.core.clock import Clock
from watcher.core.errors import DeliveryError, FailureReason
from watcher.core.http_headers import retry_after_s
from watcher.fields import Secret
from watcher.receivers.http import check_answer, delivery_errors, object_of, redacted, secrets_of
from watcher.receivers.slack.errors import MEANINGS, SlackError
from watcher.receivers.words import plain, shortened

# The SDK writes down addresses and messages as soon as anybody asks for debug logs.
SILENT = logging.Logger("slack_sdk", level=logging.CRITICAL)  # noqa: LOG001 - one that nobody can turn on
_EXCERPT_CHARS = 200
_WORD = re.compile(r"[a-z0-9_]{1,80}")
_TS = re.compile(r"[0-9]{1,20}\.[0-9]{1,20}")
_CHANNEL = re.compile(r"[A-Z0-9]{1,40}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    """Where a message is: the channel's id, and its `ts`. `alone`: it was to be a reply and is none."""

    channel: str
    ts: str
    alone: bool = False


class _Client(AsyncWebClient):
    """The SDK's client, but whatever comes is handed over as it is.

    The SDK takes texts, lists and most statuses for mistakes of its own, and its errors quote all that was sent.
    """

    async def _request(self, *, http_verb: str, api_url: str, req_args: dict[str, Any]) -> dict[str, Any]:
        headers = {name: value for name, value in req_args["headers"].items() if name != "User-Agent"}
        session = cast("aiohttp.ClientSession", self.session)
        async with session.request(http_verb, api_url, json=req_args["json"], headers=headers) as response:
            heard = {"ok": True, "status": response.status, "body": await response.text()}
            return {"data": heard, "headers": response.headers, "status_code": 200}


class SlackApi:
    """The few methods a bot needs. Each raises DeliveryError, a SlackError where Slack gave a word for it."""

    def __init__(self, *, token: Secret, api_url: str, session: aiohttp.ClientSession, clock: Clock) -> None:
        self._token = token
        self._api_url = api_url
        self._session = session
        self._clock = clock

    async def post(
        self, channel: str, content: Mapping[str, Any], *, thread_ts: str | None = None, broadcast: bool = False
    ) -> Posted:
        """Post a message, or a reply, which `broadcast` shows in the channel as well.

        A reply to a message that is deleted is posted all the same, by itself: only the answer tells
        (https://github.com/slack-go/slack/issues/1571).
        """
        more: dict[str, Any] = {} if thread_ts is None else {"thread_ts": thread_ts}
        if broadcast:
            more["reply_broadcast"] = True
        answer = await self._call(
            lambda client: client.chat_postMessage(
                channel=channel, unfurl_links=False, unfurl_media=False, **content, **more
            )
        )
        channel_id, ts, message = answer.get("channel"), answer.get("ts"), answer.get("message")
        if not (isinstance(ts, str) and _TS.fullmatch(ts) and isinstance(channel_id, str)):
            channel_id = ts = ""
        if not ts or not _CHANNEL.fullmatch(channel_id):
            # It may have been posted: another try would post it again, for as long as tries are made.
            raise DeliveryError("answered ok, but not where the message is", reason=FailureReason.OTHER, permanent=True)
        alone = thread_ts is not None and isinstance(message, dict) and message.get("thread_ts") != thread_ts
        return Posted(channel=channel_id, ts=ts, alone=alone)

    async def update(self, at: Posted, content: Mapping[str, Any]) -> None:
        """Put this in place of a message of ours."""
        # Not given, `parse` becomes `client`, which links names.
        await self._call(lambda client: client.chat_update(channel=at.channel, ts=at.ts, parse="none", **content))

    async def test(self) -> None:
        """Whether the token is good; posts nothing."""
        await self._call(lambda client: client.api_call("auth.test", json={}))

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    async def _call(self, method: Callable[[AsyncWebClient], Awaitable[AsyncSlackResponse]]) -> dict[str, Any]:
        with delivery_errors():
            token = self._token.reveal()
            client = _Client(
                token=token, base_url=self._api_url, session=self._session, retry_handlers=[], logger=SILENT
            )
            heard = await method(client)
            return self._judged(
                heard["status"], heard.headers, heard["body"], secrets=[token, *secrets_of(self._api_url)]
            )

    def _judged(self, status: int, headers: Mapping[str, str], body: str, *, secrets: Iterable[str]) -> dict[str, Any]:
        """What a good answer says; raises DeliveryError for any other."""
        now = self._clock.now()
        answer = object_of(body)
        word = answer.get("error")
        if answer.get("ok") is False and _is_word(word, status):
            raise SlackError(
                f"answered HTTP {status}: {redacted(word, secrets)}",
                word=word,
                detail=shortened(plain(redacted(_detail(answer), secrets)), _EXCERPT_CHARS),
                retry_after_s=retry_after_s(headers, now=now),
            )
        told = check_answer(status, headers=headers, body=body, now=now, secrets=secrets)
        if answer.get("ok") is not True:
            message = f"answered {told}: not an answer of Slack's API"
            raise DeliveryError(message, reason=FailureReason.OTHER, permanent=False)
        return answer


def _is_word(word: object, status: int) -> TypeGuard[str]:
    # Slack refuses with 200; with another status, only a word that is known says more than the status.
    is_refusal = 200 <= status < 300 or word in MEANINGS  # noqa: PLR2004 - the class of success
    return isinstance(word, str) and _WORD.fullmatch(word) is not None and is_refusal


def _detail(answer: Mapping[str, Any]) -> str:
    """What an answer says beside its word: the scope that is needed, or which block is wrong."""
    needed, metadata = answer.get("needed"), answer.get("response_metadata")
    detail = f": {needed}" if isinstance(needed, str) and needed else ""
    messages = metadata.get("messages") if isinstance(metadata, dict) else None
    if isinstance(messages, list) and messages and isinstance(messages[0], str):
        detail += f": {messages[0]}"
    return detail
