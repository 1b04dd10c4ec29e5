"""`POST /-/reload`: have the configuration file read again; and what became of that."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from aiohttp import web

from watcher.core.errors import WatcherError
from watcher.core.facts import ConfigurationApplied, ConfigurationRefused, Fact

PATH = "/-/reload"


class ReloadLog:
    """An observer that remembers why the configuration is `refused`, and which keys are `waiting` for a restart."""

    def __init__(self) -> None:
        self.refused: tuple[str, ...] = ()
        self.waiting: tuple[str, ...] = ()

    def __call__(self, fact: Fact) -> None:
        """Note what happened."""
        match fact:
            case ConfigurationApplied():
                self.refused, self.waiting = (), tuple(fact.waiting)
            case ConfigurationRefused():
                self.refused = tuple(fact.problems)
            case _:
                pass


class ReloadRoute:
    """Answers 200 when the configuration applies, and 500 with the reasons when it is refused, a line each.

    `reload` returns the keys that wait for a restart; it raises ConfigurationError or StoreError.
    """

    def __init__(self, reload: Callable[[], Awaitable[Sequence[str]]]) -> None:
        self._reload = reload

    def routes(self) -> list[web.RouteDef]:
        """Where it is."""
        return [web.post(PATH, self._answer), web.put(PATH, self._answer)]

    async def _answer(self, _request: web.Request) -> web.Response:
        try:
            waits = await self._reload()
        except WatcherError as error:
            return web.Response(status=500, text=f"{error}\nThe configuration before it goes on.\n")
        told = "".join(f"{key} waits for a restart.\n" for key in waits)
        return web.Response(text=f"The configuration applies.\n{told}")
