"""Alerts as Alertmanager sees them: recognised by their labels, explained by annotations."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from watcher.core.model import Alert, AlertStatus, Event, Notification
from watcher.core.ports import Standing
from watcher.receivers.base import Describer
from watcher.receivers.links import Links
from watcher.receivers.words import plain

# Alertmanager takes any UTF-8 since 0.28 and only these names before; the configuration takes no others, either.
_LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledAlert:
    """One alert as Alertmanager's API and its webhooks have it; `ends_at` is None while it fires.

    `labels` are the same from beginning to end: they are what Alertmanager recognises it by.
    """

    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    generator_url: str | None
    starts_at: datetime
    ends_at: datetime | None
    fingerprint: str

    @property
    def identity(self) -> frozenset[tuple[str, str]]:
        """What Alertmanager tells alerts apart by."""
        return frozenset(self.labels.items())


class Labeller:
    """Turns what is to be told into labelled alerts."""

    def __init__(self, *, describer: Describer, links: Links) -> None:
        self._describer = describer
        self._links = links

    def told(self, notification: Notification) -> list[LabelledAlert]:
        """The alerts of an event or a digest: the last state of each, in the order in which these came about."""
        latest = dict[tuple[str, datetime], tuple[Alert, Event]]()
        for event in notification.events:
            for alert in event.alerts:
                key = (alert.fingerprint, alert.starts_at)
                latest.pop(key, None)
                latest[key] = (alert, event)
        alone = replace(notification, is_digest=False)
        return [
            self._labelled(alert, event, replace(alone, id=event.id, events=(event,)))
            for alert, event in latest.values()
        ]

    def standing(self, standing: Standing) -> LabelledAlert:
        """An alert that was told of before, as it stands."""
        event, taken = standing.event, standing.acknowledged
        found = self._labelled(standing.alert, event, Notification(id=event.id, events=(event,)))
        if taken is None:
            return found
        words = f"{taken.author}: {taken.comment}" if taken.comment else taken.author
        return replace(found, annotations={**found.annotations, "acknowledged_by": _text(plain(words))})

    def _labelled(self, alert: Alert, event: Event, notification: Notification) -> LabelledAlert:
        message = self._describer(notification)
        console = self._links.console(event.source, instance_id=event.instance_id, instance_name=event.instance_name)
        reason = plain(f"{event.reason.code} {event.reason.message}") if event.reason is not None else ""
        annotations = {
            "summary": message.title,
            "description": "\n".join(message.lines),
            "reason": reason,
            "runbook_url": self._links.runbooks.get(alert.name, ""),
            "console_url": console or "",
            "event_id": event.id,
        }
        return LabelledAlert(
            labels=_labels(alert, event),
            annotations={name: _text(text) for name, text in annotations.items() if text},
            generator_url=self._links.page([event]),
            starts_at=alert.starts_at,
            ends_at=alert.ends_at if alert.status is AlertStatus.RESOLVED else None,
            fingerprint=alert.fingerprint,
        )


def _labels(alert: Alert, event: Event) -> dict[str, str]:
    theirs = alert.labels or _labels_of(event, alert.status)
    ours = {
        "alertname": alert.name,
        "source": event.source,
        "instance_id": event.instance_id,
        "instance_name": theirs.get("instance_name", ""),
        "status": theirs.get("status", ""),
        "severity": alert.severity.value,
    }
    found = {name: _text(value) for name, value in {**theirs, **ours}.items() if _LABEL_NAME.fullmatch(name)}
    return {name: value for name, value in sorted(found.items()) if value}


def _labels_of(event: Event, status: AlertStatus) -> dict[str, str]:
    # Alerts of earlier versions have no labels: the status is the one they fire in, so that both ends have the same.
    during = event.to_status if status is AlertStatus.FIRING else event.from_status
    return {**event.labels, "instance_name": event.instance_name, "status": during or ""}


def _text(text: str) -> str:
    return text.encode(errors="replace").decode()  # half a surrogate pair cannot be sent
