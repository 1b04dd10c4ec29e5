"""The webhook body of Alertmanager, version 4, for programs that take Alertmanager's notifications.

https://prometheus.io/docs/alerting/latest/configuration/#webhook_config; what Go writes of a group's labels is `%q`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from watcher.core.event_json import format_time
from watcher.core.model import AlertStatus, Notification
from watcher.receivers.alerts import LabelledAlert, Labeller
from watcher.receivers.webhook.formats import to_text

_GROUPED_BY = ("alertname", "instance_id", "source")
_NEVER = "0001-01-01T00:00:00Z"  # Go's zero time: what an alert that fires ends at
_ESCAPES = {
    "\a": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
    '"': '\\"',
    "\\": "\\\\",
}
_ASCII_END, _TWO_BYTES_END = 0x7F, 0xFFFF


class AlertmanagerBody:
    """Renders the alerts of a notification as the body that Alertmanager would post of such a group."""

    def __init__(self, *, receiver: str, external_url: str | None, labeller: Labeller) -> None:
        self._receiver = receiver
        self._external_url = (external_url or "").rstrip("/")
        self._labeller = labeller

    def __call__(self, notification: Notification) -> str | None:
        """The body as JSON text; None for a notification without alerts."""
        alerts = self._labeller.told(notification)
        if not alerts:
            return None
        common = _common([alert.labels for alert in alerts])
        group_labels = {name: common[name] for name in _GROUPED_BY if name in common}
        fires = any(alert.ends_at is None for alert in alerts)
        body = {
            "receiver": self._receiver,
            "status": _status(fires=fires),
            "alerts": [_alert(alert) for alert in alerts],
            "groupLabels": group_labels,
            "commonLabels": common,
            "commonAnnotations": _common([alert.annotations for alert in alerts]),
            "externalURL": self._external_url,
            "version": "4",
            "groupKey": f"{{}}:{_label_set(group_labels)}",
            "truncatedAlerts": 0,
        }
        return to_text(body)


def _alert(alert: LabelledAlert) -> dict[str, Any]:
    return {
        "status": _status(fires=alert.ends_at is None),
        "labels": alert.labels,
        "annotations": alert.annotations,
        "startsAt": format_time(alert.starts_at),
        "endsAt": format_time(alert.ends_at) if alert.ends_at is not None else _NEVER,
        "generatorURL": alert.generator_url or "",
        "fingerprint": alert.fingerprint,
    }


def _status(*, fires: bool) -> str:
    return (AlertStatus.FIRING if fires else AlertStatus.RESOLVED).value


def _common(maps: Sequence[Mapping[str, str]]) -> dict[str, str]:
    first, *others = maps
    return {name: text for name, text in first.items() if all(other.get(name) == text for other in others)}


def _label_set(labels: Mapping[str, str]) -> str:
    return "{" + ", ".join(f"{name}={_quoted(value)}" for name, value in sorted(labels.items())) + "}"


def _quoted(text: str) -> str:
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(char: str) -> str:
    code = ord(char)
    if char in _ESCAPES:
        return _ESCAPES[char]
    if char.isprintable():
        return char
    if code < ord(" ") or code == _ASCII_END:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= _TWO_BYTES_END else f"\\U{code:08x}"
