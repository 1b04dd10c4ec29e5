"""The stage that keeps quiet: which of the deliveries that are due are to be sent, and what of them.

What is sent to a receiver that was not told of an alert does not tell its end. Whoever was told of it is told of its
end, whatever is quiet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from watcher.core.model import Alert, AlertStatus, Delivery, Event, EventKind, Suppression
from watcher.core.quiet import Held

WhyQuiet = Callable[[Event], Held | None]
_Begun = tuple[str, datetime]
"""The fingerprint and the beginning of an alert that fires: the same may have fired before, untold."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do with one delivery: send it as it is here, or keep it back."""

    delivery: Delivery
    suppression: Suppression | None = None
    held_by: str | None = None


def judge(deliveries: Iterable[Delivery], *, send_resolved: bool, why_quiet: WhyQuiet) -> list[Verdict]:
    """A verdict for each, in order."""
    fired: set[_Begun] = set()
    verdicts = []
    for delivery in deliveries:
        verdict = _judge(delivery, fired, send_resolved=send_resolved, why_quiet=why_quiet)
        if verdict.suppression is None:
            fired |= _begun(delivery.event)
            verdict = replace(verdict, delivery=_trimmed(delivery, fired, send_resolved=send_resolved))
        verdicts.append(verdict)
    return verdicts


def as_judged(deliveries: Iterable[Delivery], *, send_resolved: bool) -> list[Delivery]:
    """The same deliveries as they were judged before, all to be sent: a digest is the same at every try."""
    fired: set[_Begun] = set()
    again = []
    for delivery in deliveries:
        fired |= _begun(delivery.event)
        again.append(_trimmed(delivery, fired, send_resolved=send_resolved))
    return again


def _judge(delivery: Delivery, fired: set[_Begun], *, send_resolved: bool, why_quiet: WhyQuiet) -> Verdict:
    event = delivery.event
    told = any(alert.status is AlertStatus.RESOLVED and _is_told(alert, delivery, fired) for alert in event.alerts)
    if told and send_resolved:
        return Verdict(delivery)
    if not delivery.is_routed or _only_ends(event):
        return Verdict(delivery, Suppression.SEND_RESOLVED if told else Suppression.NEVER_FIRED)
    if event.flapping:
        return Verdict(delivery, Suppression.FLAPPING)
    if event.kind is EventKind.REMINDER and {fingerprint for fingerprint, _ in _begun(event)} <= delivery.acknowledged:
        return Verdict(delivery, Suppression.ACKNOWLEDGED)
    # What was tried once goes on being tried: the receiver may have taken it, though it did not say so.
    held = why_quiet(event) if delivery.attempts == 0 else None
    return Verdict(delivery, held.reason, held.by) if held is not None else Verdict(delivery)


def _only_ends(event: Event) -> bool:
    """Whether the event is nothing but the end of alerts."""
    return event.kind in (EventKind.RECOVERED, EventKind.FLAPPING) and not _begun(event)


def _trimmed(delivery: Delivery, fired: set[_Begun], *, send_resolved: bool) -> Delivery:
    def is_told(alert: Alert) -> bool:
        return alert.status is AlertStatus.FIRING or (send_resolved and _is_told(alert, delivery, fired))

    event = delivery.event
    if all(map(is_told, event.alerts)):
        return delivery
    alerts = tuple(filter(is_told, event.alerts))
    return replace(delivery, event=replace(event, alerts=alerts))


def _is_told(alert: Alert, delivery: Delivery, fired: set[_Begun]) -> bool:
    """Whether the receiver was told that the alert fires, or is told in the same digest."""
    return alert.fingerprint in delivery.owed or (alert.fingerprint, alert.starts_at) in fired


def _begun(event: Event) -> set[_Begun]:
    return {(alert.fingerprint, alert.starts_at) for alert in event.alerts if alert.status is AlertStatus.FIRING}
