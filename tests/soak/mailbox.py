"""Whoever is told: one real HTTP server that keeps numbers instead of letters, so that it does not grow by itself."""

from __future__ import annotations

import asyncio
import json
from collections import Counter, defaultdict
from types import TracebackType
from typing import Any, Literal, Self

from aiohttp import web

Mood = Literal["well", "down", "hanging", "cutting"]
Key = tuple[str, str]
"""Source and id of an instance; the id is empty where it is the source itself."""

_LARGEST = 16 * 1024 * 1024


class Mailbox:
    """Takes webhooks on `/hook/NAME`, alerts on `/api/v2/alerts`, and heartbeats on `/beat`.

    Each event of an instance must come once and next to the one before, in each hook; `wrong` says where it did not.
    Of those in `bothered`, whose news operators keep back for a while, each must come at most once.
    """

    def __init__(self) -> None:
        self.url = ""
        self.bothered: set[Key] = set()
        self.wrong: list[str] = []
        self.last: dict[str, dict[Key, int]] = defaultdict(dict)
        self.counts: Counter[str] = Counter()
        self.kinds: Counter[str] = Counter()
        self._seen: dict[tuple[str, Key], set[int]] = defaultdict(set)
        self._moods: dict[str, Mood] = {}
        self._better = asyncio.Event()
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=_LARGEST)
        app.add_routes(
            [
                web.post("/hook/{name}", self._hook),
                web.post("/api/v2/alerts", self._alerts),
                web.get("/beat", self._beat),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._better.set()
        assert self._runner is not None
        await self._runner.cleanup()

    def feel(self, name: str, mood: Mood) -> None:
        """From now on it answers so; who still waits for an answer is let go."""
        self._moods[name] = mood
        self._better.set()
        self._better = asyncio.Event()

    async def _hook(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        body = await request.json()
        mood = self._moods.get(name, "well")
        self.counts[f"{name} {mood}"] += 1
        if mood == "down":
            return web.Response(status=503)
        if mood == "hanging":
            await self._better.wait()
        if mood != "well":
            if request.transport is not None:  # else who asked has given up
                request.transport.abort()
            return web.Response()
        for event in body["data"]["events"] if body["type"] == "instance.digest" else [body["data"]]:
            self._take(name, event)
        return web.Response()

    def _take(self, name: str, event: dict[str, Any]) -> None:
        key, sequence = (event["source"], event["instance_id"]), event["sequence"]
        self.counts[f"{name} events"] += 1
        self.kinds[event["kind"]] += 1
        last = self.last[name].get(key)
        self.last[name][key] = max(sequence, last or 0)
        if key in self.bothered:
            if sequence in self._seen[name, key]:
                self.wrong.append(f"{name}: event {sequence} of {key} came twice")
            self._seen[name, key].add(sequence)
        elif last is not None and sequence != last + 1:
            self.wrong.append(f"{name}: event {sequence} of {key} came after {last}: {json.dumps(event)[:300]}")

    async def _alerts(self, request: web.Request) -> web.Response:
        self.counts["alerts"] += len(await request.json())
        return web.json_response({})

    async def _beat(self, _request: web.Request) -> web.Response:
        self.counts["beats"] += 1
        return web.Response()
