"""A Slack that is as strict as its documentation: the Web API of a bot and one incoming webhook, on a real HTTP server.

Limits: https://docs.slack.dev/reference/block-kit/blocks, its composition objects, chat.postMessage (100 attachments,
40,000 characters), chat.update; about 13,200 characters of blocks a message (https://github.com/slackapi/bolt-js/issues/2509).
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal, Self

from aiohttp import web

TOKEN = "xoxb-canary-0123456789"
_COLOUR = re.compile(r"good|warning|danger|#[0-9a-f]{6}", re.IGNORECASE)
_ALL_BLOCKS_CHARS = 13_200
_MESSAGE = {"text", "blocks", "attachments", "unfurl_links", "unfurl_media"}
_POST = {"channel", "thread_ts", "reply_broadcast", *_MESSAGE}
_UPDATE = {"channel", "ts", "text", "blocks", "attachments", "parse"}


class Refused(Exception):  # noqa: N818 - as Slack would say
    """Slack's word for it, and what it says beside it."""

    def __init__(self, word: str, **more: Any) -> None:
        super().__init__(word)
        self.word = word
        self.more = more


@dataclass
class Told:
    """One message as it stands: `edits` are what it said before."""

    channel: str
    ts: str
    content: dict[str, Any]
    thread_ts: str | None = None
    is_broadcast: bool = False
    edits: list[dict[str, Any]] = field(default_factory=list)

    @property
    def title(self) -> str:
        """Its header."""
        return str(self.content["blocks"][0]["text"]["text"])

    @property
    def lines(self) -> list[str]:
        """All its texts."""
        return list(texts(self.content))

    @property
    def colour(self) -> str:
        """The colour of its bar."""
        return str(self.content["attachments"][0]["color"])


@dataclass(frozen=True)
class Trouble:
    """How a call goes wrong: with a word, or a status and a body; `late`: it was done, and then the answer was lost."""

    word: str = ""
    status: int = 200
    body: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    more: dict[str, Any] = field(default_factory=dict)
    late: bool = False


class Slack:
    """A workspace with one bot and the channel `#images`, C0IMAGES; `troubles` come first, by method, then all is well.

    `deleted` is what becomes of replies to a deleted parent: `alone` they stand in the channel, or they are `refused`,
    or (`kept`) the thread goes on below what says that a message was deleted.
    """

    def __init__(self, *, deleted: Literal["alone", "refused", "kept"] = "alone") -> None:
        self.url = ""
        self.messages: list[Told] = []
        self.calls: list[str] = []
        self.refusals: list[str] = []
        self.troubles: dict[str, deque[Trouble]] = defaultdict(deque)
        self.is_archived = False
        self.is_member = True
        self._deleted = deleted
        self._gone: dict[str, Told] = {}
        self._clock = 1_500_000_000
        self._news = asyncio.Event()
        self._runner: web.AppRunner | None = None

    @property
    def api_url(self) -> str:
        """Where the Web API is."""
        return f"{self.url}/api/"

    @property
    def webhook_url(self) -> str:
        """The incoming webhook."""
        return f"{self.url}/services/T0/B0/canary-path"

    @property
    def bot(self) -> dict[str, Any]:
        """A receiver's section for the bot."""
        return {"type": "slack", "bot_token": TOKEN, "channel": "#images", "api_url": self.api_url}

    @property
    def shown(self) -> list[Told]:
        """What people see in the channel: messages, and the replies that are broadcast."""
        return [told for told in self.messages if told.thread_ts is None or told.is_broadcast]

    @property
    def parents(self) -> list[Told]:
        """The messages that are no replies."""
        return [told for told in self.messages if told.thread_ts is None]

    def replies(self, parent: Told) -> list[Told]:
        """The thread below a message."""
        return [told for told in self.messages if told.thread_ts == parent.ts]

    def delete(self, told: Told) -> None:
        """Somebody deletes a message."""
        self.messages.remove(told)
        self._gone[told.ts] = told

    async def until(self, enough: Callable[[], bool], *, timeout_s: float = 30.0) -> None:
        """Wait until the channel is as awaited."""
        async with asyncio.timeout(timeout_s):
            while not enough():
                self._news.clear()
                await self._news.wait()

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/api/{method}", self._api)
        app.router.add_post("/services/T0/B0/{token}", self._hook)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    async def _api(self, request: web.Request) -> web.Response:
        method = request.match_info["method"]
        self.calls.append(method)
        trouble = self.troubles[method].popleft() if self.troubles[method] else Trouble()
        answer: dict[str, Any]
        try:
            if trouble.word and not trouble.late:
                raise Refused(trouble.word, **trouble.more)  # noqa: TRY301 - refused as anything else
            if trouble.body:
                return web.Response(status=trouble.status, text=trouble.body, headers=trouble.headers)
            self._authorize(request)
            given = await _object(request)
            answer = {"ok": True, **self._methods[method](given)}
        except Refused as refused:
            if refused.word != trouble.word:
                self.refusals.append(refused.word)
            answer = {"ok": False, "error": refused.word, **refused.more}
        self._news.set()
        if trouble.late:
            assert request.transport is not None
            request.transport.abort()
        return web.json_response(answer, status=trouble.status, headers=trouble.headers)

    async def _hook(self, request: web.Request) -> web.Response:
        self.calls.append("webhook")
        trouble = self.troubles["webhook"].popleft() if self.troubles["webhook"] else Trouble()
        if trouble.body:
            return web.Response(status=trouble.status, text=trouble.body, headers=trouble.headers)
        try:
            if request.match_info["token"] != "canary-path":
                return web.Response(status=404, text="no_service")
            content = _content(await _object(request), _MESSAGE)
        except Refused as refused:
            self.refusals.append(refused.word)
            return web.Response(status=400, text=refused.word)
        self._add(content)
        return web.Response(text="ok")

    @property
    def _methods(self) -> dict[str, Callable[[dict[str, Any]], dict[str, Any]]]:
        return {"chat.postMessage": self._post, "chat.update": self._update, "auth.test": self._test}

    def _authorize(self, request: web.Request) -> None:
        header = request.headers.get("Authorization")
        if header is None:
            raise Refused("not_authed")
        if header != f"Bearer {TOKEN}":
            raise Refused("invalid_auth")

    def _post(self, given: dict[str, Any]) -> dict[str, Any]:
        if given.get("channel") not in ("C0IMAGES", "#images", "images"):
            raise Refused("channel_not_found")
        self._check_channel()
        content, thread_ts = _content(given, _POST), given.get("thread_ts")
        if not isinstance(given.get("reply_broadcast", False), bool) or ("reply_broadcast" in given and not thread_ts):
            raise Refused("invalid_arguments")
        if thread_ts in self._gone:
            if self._deleted == "refused":
                raise Refused("thread_not_found")
            thread_ts = None if self._deleted == "alone" else thread_ts
        elif thread_ts is not None and thread_ts not in [told.ts for told in self.parents]:
            raise Refused("thread_not_found")
        told = self._add(content, thread_ts=thread_ts, is_broadcast=given.get("reply_broadcast", False) and thread_ts)
        message = {"type": "message", "text": content["text"], "ts": told.ts, "bot_id": "B0"}
        return {
            "channel": told.channel,
            "ts": told.ts,
            "message": {**message, "thread_ts": thread_ts} if thread_ts else message,
        }

    def _update(self, given: dict[str, Any]) -> dict[str, Any]:
        if given.get("channel") != "C0IMAGES":  # a name is not taken here
            raise Refused("channel_not_found")
        self._check_channel()
        content = _content(given, _UPDATE)
        told = next((told for told in self.messages if told.ts == given.get("ts")), None)
        if told is None:
            raise Refused("message_not_found")
        told.edits.append(told.content)
        told.content = content
        return {"channel": told.channel, "ts": told.ts, "text": content["text"], "message": {"text": content["text"]}}

    def _test(self, given: dict[str, Any]) -> dict[str, Any]:
        if given:
            raise Refused("invalid_arguments")
        return {"url": self.url, "team": "Images", "user": "watcher", "team_id": "T0", "user_id": "U0", "bot_id": "B0"}

    def _check_channel(self) -> None:
        if not self.is_member:
            raise Refused("not_in_channel")
        if self.is_archived:
            raise Refused("is_archived")

    def _add(self, content: dict[str, Any], *, thread_ts: str | None = None, is_broadcast: Any = False) -> Told:
        self._clock += 1
        told = Told("C0IMAGES", f"{self._clock}.000100", content, thread_ts, bool(is_broadcast))
        self.messages.append(told)
        self._news.set()
        return told


async def _object(request: web.Request) -> dict[str, Any]:
    if request.content_type != "application/json":
        raise Refused("invalid_post_type")
    if (request.charset or "utf-8") != "utf-8":
        raise Refused("invalid_charset")
    try:
        given = json.loads((await request.read()).decode("utf-8", "strict"))
    except ValueError:
        raise Refused("invalid_json") from None
    if not isinstance(given, dict):
        raise Refused("json_not_object")
    return given


def texts(content: dict[str, Any]) -> Iterator[str]:
    """All that a message shows, in order."""
    for block in blocks_of(content):
        for part in [block["text"]] if "text" in block else block.get("fields") or block["elements"]:
            yield part["text"]


def blocks_of(content: dict[str, Any]) -> list[dict[str, Any]]:
    """The blocks of a message and of its attachments."""
    return [*content["blocks"], *(block for each in content["attachments"] for block in each["blocks"])]


def _content(given: dict[str, Any], allowed: set[str]) -> dict[str, Any]:
    """What is posted; raises Refused unless it is within the documented limits."""
    if not set(given) <= allowed:
        raise Refused("invalid_arguments")
    if any(not isinstance(given.get(name, False), bool) for name in ("unfurl_links", "unfurl_media")):
        raise Refused("invalid_arguments")
    text, blocks, attachments = given.get("text"), given.get("blocks", []), given.get("attachments", [])
    if not isinstance(text, str) or not text.strip():
        raise Refused("no_text")
    if _length(text) > 40_000:
        raise Refused("msg_too_long")
    _check_blocks(blocks, "invalid_blocks")
    if not isinstance(attachments, list) or len(attachments) > 100:
        raise Refused("too_many_attachments")
    for attachment in attachments:
        if set(attachment) != {"color", "blocks"} or not _COLOUR.fullmatch(attachment["color"]):
            raise Refused("invalid_attachments")
        _check_blocks(attachment["blocks"], "invalid_attachments")
    content = {"text": text, "blocks": blocks, "attachments": attachments}
    if len(blocks_of(content)) > 50:
        raise Refused("invalid_blocks")
    if _length(json.dumps(blocks_of(content), ensure_ascii=False)) > _ALL_BLOCKS_CHARS:
        raise Refused("msg_blocks_too_long")
    return content


def _check_blocks(blocks: Any, word: str) -> None:
    if not isinstance(blocks, list) or not 1 <= len(blocks) <= 50:
        raise Refused(word)
    for at, block in enumerate(blocks):
        if not _is_block(block):
            raise Refused(word, response_metadata={"messages": [f"[ERROR] invalid [json-pointer:/blocks/{at}]"]})


def _is_block(block: Any) -> bool:
    kind = block.get("type") if isinstance(block, dict) else None
    keys = set(block) - {"type"} if isinstance(block, dict) else set()
    if kind == "header":
        return keys == {"text"} and _is_text(block["text"], 150, plain=True)
    if kind == "section" and keys == {"text"}:
        return _is_text(block["text"], 3000)
    if kind == "section" and keys == {"fields"}:
        return 1 <= len(block["fields"]) <= 10 and all(_is_text(each, 2000) for each in block["fields"])
    if kind == "context":
        return (
            keys == {"elements"}
            and 1 <= len(block["elements"]) <= 10
            and all(_is_text(each, 3000) for each in block["elements"])
        )
    return kind == "divider" and not keys


def _is_text(text: Any, most: int, *, plain: bool = False) -> bool:
    if not isinstance(text, dict) or not isinstance(text.get("text"), str) or not 1 <= _length(text["text"]) <= most:
        return False
    if text.get("type") == "plain_text":
        return set(text) <= {"type", "text", "emoji"} and isinstance(text.get("emoji", True), bool)
    return not plain and text.get("type") == "mrkdwn" and set(text) <= {"type", "text", "verbatim"}


def _length(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2
