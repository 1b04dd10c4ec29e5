"""Where people go on reading: the watcher, the cloud's console, and what to do about an alert."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote

from watcher.core.model import AlertStatus, Event

INSTANCE_ID, INSTANCE_NAME = "{instance_id}", "{instance_name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Links:
    """Addresses: this watcher's, the console's by source, and runbooks by the name of the alert.

    A console's address may hold `{instance_id}` and `{instance_name}`: that of the instance is put there.
    """

    external_url: str | None = None
    consoles: Mapping[str, str] = field(default_factory=dict)
    runbooks: Mapping[str, str] = field(default_factory=dict)

    def of(self, events: Sequence[Event]) -> tuple[tuple[str, str], ...]:
        """(text, URL) of all there is for these events, of one or of a digest."""
        found = [("Watcher", self.page(events))]
        if len({event.key for event in events}) == 1:
            [first, *_] = events
            url = self.console(first.source, instance_id=first.instance_id, instance_name=first.instance_name)
            found.append(("Console", url))
        firing = {alert.name: None for event in events for alert in event.alerts if alert.status is AlertStatus.FIRING}
        found += [(f"Runbook: {name}", self.runbooks.get(name)) for name in firing]
        return tuple((text, url) for text, url in found if url is not None)

    def page(self, events: Sequence[Event]) -> str | None:
        """The watcher's own page of the instance, or where there are several or none, its first page."""
        keys = {event.key for event in events}
        [key, *more] = keys
        if self.external_url is None or more or not key.id:
            return self.external_url
        return f"{self.external_url.rstrip('/')}/#/instances/{quote(key.source, safe='')}/{quote(key.id, safe='')}"

    def console(self, source: str, *, instance_id: str = "", instance_name: str = "") -> str | None:
        """The page of an instance, or of the source, in the cloud's console, as near as its address is known."""
        template = self.consoles.get(source)
        if not template:
            return None
        if not instance_id and (INSTANCE_ID in template or INSTANCE_NAME in template):
            return None
        name = quote(instance_name, safe="", errors="replace")
        return template.replace(INSTANCE_ID, quote(instance_id, safe="")).replace(INSTANCE_NAME, name)
