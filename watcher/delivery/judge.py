"""The stage that keeps quiet: which of the deliveries that are due are to be sent, and what of them.

What is sent to a receiver that was not told of an alert does not tell its end. Whoever was told of it is told of its
end, whatever is quiet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from watcher.core.alerts import worst
from watcher.core.model import Alert, AlertStatus, Delivery, Event, EventKind, Suppression
from watcher.core.quiet import Held

WhyQuiet = Callable[[Event], Held | None]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do with one delivery: send it as it is here, or keep it back."""

    delivery: Delivery
    suppression: Suppression | None = None
    held_by: str | None = None


def judge(deliveries: Iterable[Delivery], *, send_resolved: bool, why_quiet: WhyQuiet) -> list[Verdict]:
    """A verdict for each, in order."""
    fired: set[str] = set()
    verdicts = []
    for delivery in deliveries:
        verdict = _judge(delivery, fired, send_resolved=send_resolved, why_quiet=why_quiet)
        if verdict.suppression is None:
            fired |= _fingerprints(delivery.event, AlertStatus.FIRING)
            verdict = replace(verdict, delivery=_trimmed(delivery, fired, send_resolved=send_resolved))
        verdicts.append(verdict)
    return verdicts


def as_judged(deliveries: Iterable[Delivery], *, send_resolved: bool) -> list[Delivery]:
    """The same deliveries as they were judged before, all to be sent: a digest is the same at every try."""
    fired: set[str] = set()
    again = []
    for delivery in deliveries:
        fired |= _fingerprints(delivery.event, AlertStatus.FIRING)
        again.append(_trimmed(delivery, fired, send_resolved=send_resolved))
    return again


def _judge(delivery: Delivery, fired: set[str], *, send_resolved: bool, why_quiet: WhyQuiet) -> Verdict:
    event = delivery.event
    told = _fingerprints(event, AlertStatus.RESOLVED) & (delivery.owed | fired)
    if told and send_resolved:
        return Verdict(delivery)
    if not delivery.is_routed or _only_ends(event):
        return Verdict(delivery, Suppression.SEND_RESOLVED if told else Suppression.NEVER_FIRED)
    if event.flapping:
        return Verdict(delivery, Suppression.FLAPPING)
    if event.kind is EventKind.REMINDER and _fingerprints(event, AlertStatus.FIRING) <= delivery.acknowledged:
        return Verdict(delivery, Suppression.ACKNOWLEDGED)
    # What was tried once goes on being tried: the receiver may have taken it, though it did not say so.
    held = why_quiet(event) if delivery.attempts == 0 else None
    return Verdict(delivery, held.reason, held.by) if held is not None else Verdict(delivery)


def _only_ends(event: Event) -> bool:
    """Whether the event is nothing but the end of alerts."""
    return event.kind in (EventKind.RECOVERED, EventKind.FLAPPING) and not _fingerprints(event, AlertStatus.FIRING)


def _trimmed(delivery: Delivery, fired: set[str], *, send_resolved: bool) -> Delivery:
    told = delivery.owed | fired if send_resolved else frozenset[str]()

    def is_told(alert: Alert) -> bool:
        return alert.status is AlertStatus.FIRING or alert.fingerprint in told

    event = delivery.event
    if all(map(is_told, event.alerts)):
        return delivery
    alerts = tuple(filter(is_told, event.alerts))
    return replace(delivery, event=replace(event, alerts=alerts, severity=worst(alerts)))


def _fingerprints(event: Event, status: AlertStatus) -> set[str]:
    return {alert.fingerprint for alert in event.alerts if alert.status is status}
