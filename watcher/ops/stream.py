"""The event stream: each event of the history, as it comes, to any number of clients (server-sent events).

A client is no more than a place in the history and what is on its way to it: one that is slow waits by itself, and
reads from the store what the others had long ago. Source: the WHATWG HTML standard, "Server-sent events".
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Sequence
from itertools import takewhile

from aiohttp import web

from watcher.core.clock import Clock
from watcher.core.errors import StoreError
from watcher.core.facts import Committed, Fact
from watcher.core.ports import Entry, HistoryStore, Wanted
from watcher.ops.api.endpoint import PREFIX
from watcher.ops.api.reading import read_query
from watcher.ops.api.requests import StreamQuery
from watcher.ops.problems import Problem

HEARTBEAT_S = 15.0
_RETRY_MS = 2000
_AGAIN_S = 1.0
_STUCK_S = 30.0
_MAX_CLIENTS = 1000
_PAGE = 100
_CHUNK_BYTES = 64 * 1024
_RECENT_BYTES = 4 * 1024 * 1024
_HEADERS = {"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
_RESET = b"event: reset\ndata: {}\n\n"
_EVENT_ID = re.compile(r"[\w-]{1,64}", re.ASCII)
_ALL = Wanted()


class EventStream:
    """An observer of commits that serves `/api/v1/stream`. What is recent is read from the store once for everybody."""

    def __init__(
        self, *, store: HistoryStore, clock: Clock, stuck_s: float = _STUCK_S, max_clients: int = _MAX_CLIENTS
    ) -> None:
        """A client that takes nothing for `stuck_s` is dropped."""
        self._store = store
        self._clock = clock
        self._stuck_s = stuck_s
        self._max_clients = max_clients
        self._recent: deque[Entry] = deque()
        self._recent_bytes = 0
        self._recent_after: int | None = None  # all that is behind this is in `_recent`; None while nobody listens
        self._read_to = 0
        self._clients = 0
        self._news = asyncio.Event()
        self._turn = asyncio.Event()
        self._beats = 0
        self._closed = False

    @property
    def clients(self) -> int:
        """How many listen."""
        return self._clients

    @property
    def kept_bytes(self) -> int:
        """How much of what is recent is kept for all clients together."""
        return self._recent_bytes

    def __call__(self, fact: Fact) -> None:
        """Take up that there is news."""
        if isinstance(fact, Committed):
            self.notify()

    def notify(self) -> None:
        """There may be news that another replica has written."""
        self._news.set()

    def routes(self) -> list[web.RouteDef]:
        """Where it is served."""
        return [web.get(f"{PREFIX}/stream", self._serve, allow_head=False)]

    def close(self) -> None:
        """Have all clients end."""
        self._closed = True
        self._wake()

    async def run(self) -> None:
        """Read what comes, and beat, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._read_on())
            group.create_task(self._beat())

    async def _beat(self) -> None:
        while True:
            await self._clock.sleep(HEARTBEAT_S)
            self._beats += 1
            self._wake()

    async def _read_on(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            try:
                await self._read()
            except StoreError:  # told by those who have to write to it
                await self._clock.sleep(_AGAIN_S)
                self._news.set()

    async def _read(self) -> None:
        while self._recent_after is not None:
            found = await self._store.entries(_ALL, after=self._read_to, limit=_PAGE)
            for entry in found:
                self._keep(entry)
            if found:
                self._wake()
            if len(found) < _PAGE:
                return

    def _keep(self, entry: Entry) -> None:
        self._recent.append(entry)
        self._recent_bytes += len(entry.body)
        self._read_to = entry.position
        while self._recent_bytes > _RECENT_BYTES and len(self._recent) > 1:
            oldest = self._recent.popleft()
            self._recent_bytes -= len(oldest.body)
            self._recent_after = oldest.position

    def _wake(self) -> None:
        self._turn.set()
        self._turn = asyncio.Event()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        query = read_query(StreamQuery, request.query)
        if self._clients >= self._max_clients:
            why = f"{self._max_clients} clients listen already: try again later"
            raise Problem(503, why, headers={"Retry-After": "10"})
        self._clients += 1
        try:
            return await self._stream(request, query)
        finally:
            self._clients -= 1
            if not self._clients:
                self._recent.clear()
                self._recent_bytes, self._recent_after = 0, None

    async def _stream(self, request: web.Request, query: StreamQuery) -> web.StreamResponse:
        await self._begin_to_listen()
        place, is_known = await self._place(request.headers.get("Last-Event-ID") or query.after)
        response = web.StreamResponse(headers=_HEADERS)
        try:
            await response.prepare(request)
            await response.write(b": connected\nretry: %d\n\n" % _RETRY_MS + (b"" if is_known else _RESET))
            await self._follow(response, query, place)
        except (ConnectionError, TimeoutError):
            if request.transport is not None:
                request.transport.abort()  # it takes nothing: what waits for it is not kept
        return response

    async def _begin_to_listen(self) -> None:
        if self._recent_after is not None:
            return
        last = await self._store.last_position()
        if self._recent_after is None:
            self._read_to = self._recent_after = last
            self._news.set()  # for what came while it was asked

    async def _place(self, last_event_id: str | None) -> tuple[int, bool]:
        """Behind which position to begin, and whether that is where the client left off."""
        if last_event_id is None:
            return self._read_to, True
        if not last_event_id:
            return 0, True
        position = await self._store.position_of(last_event_id) if _EVENT_ID.fullmatch(last_event_id) else None
        return (position, True) if position is not None else (self._read_to, False)

    async def _follow(self, response: web.StreamResponse, query: StreamQuery, place: int) -> None:
        beats = self._beats
        while not self._closed:
            turn = self._turn
            entries = await self._behind(place)
            if entries:
                place = entries[-1].position
                await self._write(response, list(filter(query.wants, entries)))
                continue
            if beats != self._beats:
                beats = self._beats
                await self._send(response, b": heartbeat\n\n")
            await turn.wait()

    async def _behind(self, place: int) -> Sequence[Entry]:
        if self._recent_after is not None and place >= self._recent_after:
            behind = list(takewhile(lambda entry: entry.position > place, reversed(self._recent)))
            return behind[::-1]
        try:
            return await self._store.entries(_ALL, after=place, limit=_PAGE)
        except StoreError:
            return []  # again with the next turn

    async def _write(self, response: web.StreamResponse, entries: Sequence[Entry]) -> None:
        chunk = bytearray()
        for entry in entries:
            chunk += f"id: {entry.event_id}\ndata: {entry.body}\n\n".encode(errors="replace")
            if len(chunk) >= _CHUNK_BYTES:
                await self._send(response, bytes(chunk))
                chunk.clear()
        if chunk:
            await self._send(response, bytes(chunk))

    async def _send(self, response: web.StreamResponse, content: bytes) -> None:
        async with asyncio.timeout(self._stuck_s):
            await response.write(content)
