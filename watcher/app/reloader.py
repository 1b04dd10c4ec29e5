"""Reading the configuration again, and what is told of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from watcher.app.configuration import ConfigurationFile, applicable
from watcher.app.systemd import ServiceManager
from watcher.core.clock import Clock
from watcher.core.errors import ConfigurationError, StoreError
from watcher.core.facts import ConfigurationApplied, ConfigurationRefused, Observer
from watcher.settings import Settings

_STORE_AGAIN_S = 10.0


class Reloader:
    """Reads the file when it has changed and when somebody asks, one time after another.

    `running` are the settings that apply; `apply` has others apply, or raises ConfigurationError or StoreError and has
    changed nothing.
    """

    def __init__(
        self,
        *,
        file: ConfigurationFile | None,
        running: Callable[[], Settings],
        apply: Callable[[Settings], Awaitable[None]],
        service: ServiceManager,
        clock: Clock,
        observer: Observer,
    ) -> None:
        self._file = file
        self._running = running
        self._apply = apply
        self._service = service
        self._clock = clock
        self._observer = observer
        self._asked = asyncio.Event()
        self._one_at_a_time = asyncio.Lock()

    def ask(self) -> None:
        """Have it read again soon."""
        self._asked.set()

    async def run(self) -> None:
        """Read it again whenever there is reason to, until cancelled."""
        async with asyncio.TaskGroup() as group:
            if self._file is not None:
                group.create_task(self._ask_when_changed(self._file))
            while True:
                await self._asked.wait()
                self._asked.clear()
                try:
                    await self.reload()
                except ConfigurationError:
                    pass  # the observer was told
                except StoreError:  # not the file is to be mended, but the store
                    await self._clock.wait(self._asked, _STORE_AGAIN_S)
                    self.ask()

    async def reload(self) -> tuple[str, ...]:
        """Apply what the file holds now; the keys that wait for a restart.

        Raises ConfigurationError or StoreError when that cannot be: nothing has changed then.
        """
        async with self._one_at_a_time:
            self._service.reloading()
            try:
                waiting, remarks = await self._reload()
            except (ConfigurationError, StoreError) as error:
                self._observer(ConfigurationRefused(str(error).splitlines()))
                self._service.ready(f"the configuration is refused: {error}")
                raise
            self._observer(ConfigurationApplied(self._clock.now(), waiting, remarks))
            self._service.ready("the configuration applies")
            return waiting

    async def _reload(self) -> tuple[tuple[str, ...], list[str]]:
        if self._file is None:
            raise ConfigurationError("this watcher runs without a configuration file")
        wanted, findings = await asyncio.to_thread(self._file.load)
        settings, waiting = applicable(wanted, self._running())
        if settings != self._running():
            await self._apply(settings)
        return waiting, list(map(str, findings))

    async def _ask_when_changed(self, file: ConfigurationFile) -> None:
        while True:
            await file.changed()
            self.ask()
