"""What people asked not to be told for a while."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from watcher.core.clock import Clock
from watcher.core.quiet import Silence
from watcher.ops.api.endpoint import Endpoint
from watcher.ops.api.requests import SilenceBody, SilencePath, SilencesQuery
from watcher.ops.api.shapes import SilenceList, SilenceShape
from watcher.ops.api.views import page_of, silence_state, silence_to_json
from watcher.ops.problems import Problem


class SilenceKeeper(Protocol):
    """Where silences are made and ended. Writing raises StoreError."""

    def silences(self) -> Sequence[Silence]:
        """All silences, ended ones, too."""
        ...

    async def add(self, silence: Silence) -> None:
        """A new silence."""
        ...

    async def expire(self, silence_id: str) -> bool:
        """End a silence; False when there is none that could."""
        ...


class Silences:
    """The handlers of `/silences`."""

    def __init__(self, *, keeper: SilenceKeeper, clock: Clock) -> None:
        self._keeper = keeper
        self._clock = clock

    def endpoints(self) -> Iterator[Endpoint]:
        """What may be asked."""
        yield Endpoint(
            method="GET",
            path="/silences",
            summary="The silences, the first made first",
            handler=self._list,
            query=SilencesQuery,
            answer=SilenceList,
        )
        yield Endpoint(
            method="POST",
            path="/silences",
            summary="Make a silence",
            handler=self._add,
            body=SilenceBody,
            answer=SilenceShape,
            status=201,
            leads_to={"Silences_expire": {"id": "/id"}},
            problems={409: "It would be over before it begins"},
        )
        yield Endpoint(
            method="DELETE",
            path="/silences/{id}",
            summary="End a silence now",
            handler=self._expire,
            in_path=SilencePath,
            answer=None,
            status=204,
            problems={404: "There is no such silence"},
        )

    async def _list(self, query: SilencesQuery) -> Mapping[str, Any]:
        now = self._clock.now()
        return page_of(
            [
                silence_to_json(silence, now=now)
                for silence in self._keeper.silences()
                if not query.state or silence_state(silence, now=now) in query.state
            ],
            query,
            key=lambda shown: (shown["created_at"], shown["id"]),
            show=lambda shown: shown,
        )

    async def _add(self, body: SilenceBody) -> Mapping[str, Any]:
        now = self._clock.now()
        silence = body.silence(id=f"sil_{uuid.uuid4().hex[:16]}", now=now)
        await self._keeper.add(silence)
        return silence_to_json(silence, now=now)

    async def _expire(self, path: SilencePath) -> None:
        if not any(silence.id == path.id for silence in self._keeper.silences()):
            raise Problem(404, f"there is no silence {path.id!r}: see /api/v1/silences")
        await self._keeper.expire(path.id)  # one that is over already is as was asked for
