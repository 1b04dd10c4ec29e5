"""The store as one replica sees it: on a server, over a network that may fail for it alone."""

from __future__ import annotations

import asyncio
import contextvars
import copy
from collections.abc import Awaitable, Callable, Collection, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar

from tests.fakes.model_store import ModelStore
from tests.simulation.disk import UnreliableStore
from tests.simulation.faults import Faults
from tests.simulation.freezing import PROCESS
from watcher.core.clock import Clock
from watcher.core.errors import StoreError
from watcher.core.ports import Attempt
from watcher.core.sharing import Lease, Replica, Roster, Wish

T = TypeVar("T")

_ANSWERS_WITHIN_S = 20.0  # what a database client waits for at most
_ELSEWHERE = 0.3  # of the calls are under way in the network while the process may be stopped
_GOES_ON = 0.5  # of the calls that are given up are done nevertheless
_OF_HOLDERS = ("commit", "claim", "form digest", "record", "make due", "requeue")


@dataclass(slots=True)
class Line:
    """One replica's way to the others. `open_tries` are those of which nobody wrote down how they ended."""

    name: str
    is_dead: bool = False
    cut_until_s: float = float("-inf")
    hangs: bool = False
    open_tries: set[tuple[str, str]] = field(default_factory=set)

    def is_cut(self, now_s: float) -> bool:
        """Whether nothing gets through."""
        return now_s < self.cut_until_s


async def elsewhere(work: Coroutine[Any, Any, T]) -> T:
    """What happens outside of the process: it goes on while that is stopped, and ends with the call."""
    return await _begin(work)


def _begin(work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    outside = contextvars.copy_context()
    outside.run(PROCESS.set, "")
    return asyncio.get_running_loop().create_task(work, context=outside)


def _ignore(under_way: asyncio.Task[Any]) -> None:
    """Nobody may be there any more to whom it matters how it ended."""
    if not under_way.cancelled():
        under_way.exception()


class SharedStore(UnreliableStore):
    """A store on a server. `wrong` is told of writes of one who was known to be dead."""

    def __init__(
        self,
        store: ModelStore,
        faults: Faults,
        clock: Clock,
        *,
        tell: Callable[..., None],
        line: Line,
        replica_id: Callable[[], str],
        wrong: Callable[[str], None],
    ) -> None:
        super().__init__(store, faults, clock, tell=tell)
        self._line = line
        self._replica_id = replica_id
        self._wrong = wrong

    def under(self, lease: Lease) -> Self:
        """The same for whoever holds this lease."""
        bound = copy.copy(self)
        bound._store = self._store.under(lease)
        bound._replica_id = lambda: lease.holder
        return bound

    def is_alive(self, replica_id: str) -> bool:
        """Whether nobody can take it to be dead."""
        living = self._store.book.living.get(replica_id)
        return living is not None and self._clock.monotonic() <= living.expires_s

    async def _do(self, what: str, work: Callable[[], Awaitable[T]], *, writes: bool = True) -> T:
        if what in _OF_HOLDERS:
            work = self._checked(what, work)
        if self._line.is_dead:
            raise StoreError("it is no more")
        if not self._faults.on:
            return await super()._do(what, work, writes=writes)
        await self._meet_cut(what)
        chosen = self._faults.rng.random()
        doing = super()._do(what, work, writes=writes)
        if chosen >= _ELSEWHERE:
            result = await doing
        elif chosen >= _ELSEWHERE * _GOES_ON:
            result = await elsewhere(doing)
        else:
            under_way = _begin(doing)
            under_way.add_done_callback(_ignore)
            result = await asyncio.shield(under_way)
        if writes:
            await self._meet_cut(what)
        return result

    async def _meet_cut(self, what: str) -> None:
        line, now_s = self._line, self._clock.monotonic()
        if not line.is_cut(now_s):
            return
        self._tell(line.name, what, "is cut off")
        if line.hangs:
            wait_s = min(_ANSWERS_WITHIN_S, line.cut_until_s - now_s)
            await asyncio.sleep(wait_s)  # noqa: TID251 - virtual time
        raise StoreError(f"cannot {what}: no connection")

    def _checked(self, what: str, work: Callable[[], Awaitable[T]]) -> Callable[[], Awaitable[T]]:
        """What the store takes of one who was found dead before is wrong."""

        async def checked() -> T:
            result = await work()
            if self._replica_id() not in self._store.book.living:
                self._wrong(f"{self._replica_id()} writes though it was found dead: {what}")
            return result

        return checked

    # -- replicas --------------------------------------------------------------------------------------------------

    async def join(self, replica: Replica, *, lasts_s: float) -> None:
        await self._do("join", lambda: self._store.join(replica, lasts_s=lasts_s))

    async def beat(self, replica: Replica, *, lasts_s: float, buries: bool) -> Roster | None:
        return await self._do("beat", lambda: self._store.beat(replica, lasts_s=lasts_s, buries=buries))

    async def take(self, replica_id: str, wish: Wish) -> list[Lease]:
        taken = await self._do("take", lambda: self._store.take(replica_id, wish))
        if taken:
            self._tell(replica_id, "takes", *(f"{lease.name}/{lease.token}" for lease in taken))
        return taken

    async def release(self, held: Collection[Lease]) -> None:
        await self._do("release", lambda: self._store.release(held))
        self._tell("release", *(f"{lease.name}/{lease.token}" for lease in held))

    async def leave(self, replica_id: str) -> None:
        await self._do("leave", lambda: self._store.leave(replica_id))

    # -- deliveries ------------------------------------------------------------------------------------------------

    async def record(self, attempts: Sequence[Attempt]) -> None:
        await super().record(attempts)
        self._line.open_tries -= {(each.delivery.receiver, each.delivery.event.id) for each in attempts}
