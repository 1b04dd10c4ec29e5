"""The file that the settings come from, and what of them a running watcher can take up."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from watcher.app.files import FileWatch
from watcher.core.clock import Clock
from watcher.settings import Finding, Settings, load_or_raise


class ConfigurationFile:
    """A configuration file, read again and again with the same environment."""

    def __init__(self, path: Path, environment: Mapping[str, str], *, clock: Clock) -> None:
        self._path = path
        self._environment = environment
        self._watch = FileWatch([path], clock=clock)

    def load(self) -> tuple[Settings, tuple[Finding, ...]]:
        """The settings it holds now, with warnings and notices; raises InvalidConfiguration."""
        self._watch.settle()
        return load_or_raise(self._path, self._environment)

    async def changed(self) -> None:
        """Wait until it is another than when it was last loaded."""
        await self._watch.changed()


def applicable(wanted: Settings, running: Settings) -> tuple[Settings, tuple[str, ...]]:
    """The wanted settings as far as a running watcher can take them up, and the keys that wait for its restart."""
    old, new = running.store, wanted.store
    store = new.model_copy(update={"url": old.url, "url_file": old.url_file})
    web = wanted.web.model_copy(update={"listen": running.web.listen, "tls": running.web.tls})
    settings = wanted.model_copy(update={"store": store, "cluster": running.cluster, "web": web})
    fixed = {
        "store.url": (old.url, old.url_file) != (new.url, new.url_file),
        "cluster": wanted.cluster != running.cluster,
        "web.listen": wanted.web.listen != running.web.listen,
        "web.tls": wanted.web.tls != running.web.tls,
    }
    return settings, tuple(key for key, differs in fixed.items() if differs)
