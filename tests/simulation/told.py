"""What must hold between the history and the receivers: everybody told, in order, once, in pairs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from tests.fakes.model_queue import Row, alert_key
from tests.fakes.values import at
from tests.simulation.history import as_told
from tests.simulation.inbox import Inbox
from tests.simulation.story import Story, seconds_of
from watcher.core.model import Alert, AlertStatus, DeliveryState, Event, InstanceKey, Notification, Suppression
from watcher.core.sharing import RECEIVER, lease_name

_SOON_S = 30.0  # a receiver that takes again is told all that waits within this time
_TAKEN_TO_BE_DOWN = 3  # so many different notifications refused, with none accepted in between
_MS = timedelta(milliseconds=2)
_STORE_TAKES = timedelta(seconds=5)  # at most: what is sent was read before, and what was sent is recorded after

Violations = Iterator[str]
_Rows = dict[str, Row]


def check_told(story: Story) -> Violations:
    """Everything that can be wrong with what receivers were told."""
    if not story.settled:
        yield f"deliveries wait for ever: {[row.delivery for row in _pending(story)][:3]}"
    for inbox in story.inboxes:
        rows = {row.delivery.event.id: row for row in story.store.rows.values() if row.delivery.receiver == inbox.name}
        yield from _complete(story, inbox, rows)
        yield from _content(story, inbox, rows)
        yield from _order(story, inbox, rows)
        yield from _duplicates(story, inbox, rows)
        yield from _digests(inbox)
        yield from _updates(story, inbox, rows)
        yield from _pairs(story, inbox, rows)
        yield from _open(story, inbox, rows)
        yield from _promptness(story, inbox, rows)
        for row in rows.values():
            yield from _finished(story, inbox, rows, row)


def _pending(story: Story) -> list[Row]:
    return [row for row in story.store.rows.values() if row.state is DeliveryState.PENDING]


def _complete(story: Story, inbox: Inbox, rows: _Rows) -> Violations:
    for event in story.store.events.values():
        if inbox.name in story.setup.table.receivers_for(event) and event.id not in rows:
            yield f"{inbox.name}: nothing to deliver of {_name(event)}"


def _finished(story: Story, inbox: Inbox, rows: _Rows, row: Row) -> Violations:
    """Delivered is what was accepted, dead what was refused for good or too old, suppressed what had a reason."""
    event, where = row.delivery.event, f"{inbox.name}: {_name(row.delivery.event)}"
    policy = story.setup.policies[inbox.name]
    if row.state is DeliveryState.DELIVERED and not any(
        event.id == each.id for accepted in inbox.accepted for each in accepted.notification.events
    ):
        yield f"{where} is delivered, and was not accepted"
    if row.state is DeliveryState.DEAD and row.finished_at is not None and event.id not in inbox.refused_for_good:
        together = [row, *(each for each in rows.values() if row.delivery.digest_id == each.delivery.digest_id)]
        oldest = min(each.delivery.queued_at for each in (together if row.delivery.digest_id else [row]))
        age = row.finished_at - oldest  # a digest is as old as the oldest that it holds
        if age < policy.max_age - policy.backoff.max_s * timedelta(seconds=1) - timedelta(seconds=200):
            yield f"{where} is dead after {age}"
    if row.state is not DeliveryState.SUPPRESSED or row.finished_at is None:
        return
    reason = Suppression(row.reason or "")
    if reason is Suppression.FLAPPING and not event.flapping:
        yield f"{where} is held back as flapping"
    if reason is Suppression.SEND_RESOLVED and policy.send_resolved:
        yield f"{where} is held back as if nobody wanted to know of ends"
    if reason is Suppression.SILENCE and not any(
        silence.match.matches(event) and silence.starts_at - _MS <= row.finished_at <= silence.ends_at + _MS
        for silence in story.operators.silences.values()
    ):
        yield f"{where} is held back by no silence"
    if reason is Suppression.NEVER_FIRED and row.delivery.is_routed and _firing(event) and not row.delivery.is_late:
        yield f"{where} begins an alert, and is held back as if it only ended some"


def _content(story: Story, inbox: Inbox, rows: _Rows) -> Violations:
    """The same event is the same to everybody, but for ends of what a receiver was not told."""
    for accepted in inbox.accepted:
        for event in accepted.notification.events:
            kept = story.store.events.get(event.id)
            if kept is None or event.id not in rows:
                yield f"{inbox.name}: told of {_name(event)}, which is not kept"
            elif event != kept:
                lacking = [alert for alert in kept.alerts if alert not in event.alerts]
                if event.reason not in (None, kept.reason):
                    yield f"{inbox.name}: {_name(event)} with another reason than is kept"
                if as_told(event) != as_told(kept) or len(lacking) + len(event.alerts) != len(kept.alerts):
                    yield f"{inbox.name}: {_name(event)} is not as it is kept"
                for alert in lacking:
                    is_over = rows[event.id].delivery.is_late  # and its end was told, or passed over
                    is_meant = inbox.name in story.setup.table.receivers_for(kept) and not is_over
                    if alert.status is AlertStatus.FIRING and is_meant:
                        yield f"{inbox.name}: {_name(event)} does not tell what fires"


def _order(story: Story, inbox: Inbox, rows: _Rows) -> Violations:
    """First arrivals are in order for each instance; only what was taken up again may come late."""
    latest: dict[InstanceKey, Event] = {}
    for _, event in inbox.first_arrivals():
        if rows[event.id].delivery.id in story.requeued | story.operators.retried:
            continue
        if story.served and (inbox.name, event.id) in story.in_flight:
            continue  # of a replica that is stopped a try may arrive when another has gone on for long
        before = latest.setdefault(event.key, event)
        if event.sequence < before.sequence:
            yield f"{inbox.name}: told of {_name(event)} after {_name(before)}"
        latest[event.key] = event


def _duplicates(story: Story, inbox: Inbox, rows: _Rows) -> Violations:
    """Twice is only what the watcher could not know to have been accepted; a digest stays what it was."""
    unknown, digest_of = dict[str, bool](), dict[str, str]()
    for accepted in inbox.accepted:
        notification = accepted.notification
        for event in notification.events:
            if rows[event.id].delivery.id in story.operators.retried or _is_updated(story, inbox, event):
                continue
            if not unknown.get(event.id, True) and (inbox.name, event.id) not in story.in_flight:
                yield f"{inbox.name}: told twice of {_name(event)}"
            unknown[event.id] = not accepted.answered
            if digest_of.setdefault(event.id, notification.id) != notification.id and digest_of[event.id] != event.id:
                yield f"{inbox.name}: {_name(event)} in digest {digest_of[event.id]}, then in {notification.id}"


def _is_updated(story: Story, inbox: Inbox, event: Event) -> bool:
    """Whether it may be told again, because its reason was found later."""
    return inbox.name in story.setup.sources[0].updating and event.id in story.explained


def _updates(story: Story, inbox: Inbox, rows: _Rows) -> Violations:
    """Who can update what it sent has the reason in the end, unless it took the event in a digest, or just then."""
    last: dict[str, tuple[Notification, Event]] = {}
    for accepted in inbox.accepted:
        last |= {event.id: (accepted.notification, event) for event in accepted.notification.events}
    for notification, event in last.values():
        row = rows[event.id]
        is_done = row.state is DeliveryState.DELIVERED and not notification.is_digest
        if not is_done or event.reason is not None or not _is_updated(story, inbox, event):
            continue
        if story.served and story.store.events[event.id].reason is None:
            continue  # who had found it was dead before it was written down
        explained_at = story.explained[event.id]
        began_at, ended_at = at(inbox.tried[event.id][-1]), row.finished_at or explained_at
        if not began_at - _STORE_TAKES <= explained_at <= ended_at + _STORE_TAKES:
            yield f"{inbox.name}: {_name(event)} was not updated"


def _digests(inbox: Inbox) -> Violations:
    """A digest holds the same at every try."""
    known: dict[str, tuple[Event, ...]] = {}
    for accepted in inbox.accepted:
        notification = accepted.notification
        events = tuple(replace(event, reason=None) for event in notification.events)
        if notification.is_digest and known.setdefault(notification.id, events) != events:
            yield f"{inbox.name}: {notification.id} holds something else than before"


def _pairs(story: Story, inbox: Inbox, rows: _Rows) -> Violations:
    """Who is told that an alert fires is told of its end; nobody else is."""
    sends_resolved = story.setup.policies[inbox.name].send_resolved
    told: dict[str, dict[datetime, list[AlertStatus]]] = defaultdict(lambda: defaultdict(list))
    for _, event in inbox.first_arrivals():
        for alert in event.alerts:
            seen = told[alert.fingerprint][alert.starts_at]
            seen.append(alert.status)
            if alert.status is AlertStatus.RESOLVED:
                if AlertStatus.FIRING not in seen or not sends_resolved:
                    yield f"{inbox.name}: {_name(event)} ends {alert.name}, of which it was not told"
            elif AlertStatus.RESOLVED in seen:
                yield f"{inbox.name}: {_name(event)}: {alert.name} fires after it had ended"
    if not sends_resolved:
        return
    ended = [
        (event, alert)
        for event in story.store.events.values()
        for alert in event.alerts
        if alert.status is AlertStatus.RESOLVED
    ]
    for event, alert in ended:
        seen, row = told[alert.fingerprint][alert.starts_at], rows.get(event.id)
        is_dead = row is not None and row.state is DeliveryState.DEAD
        if seen and AlertStatus.RESOLVED not in seen and not is_dead and not _is_excused(story, inbox, rows, alert):
            yield f"{inbox.name}: told of {alert.name} and not of its end, {_name(event)}"


def _is_excused(story: Story, inbox: Inbox, rows: _Rows, alert: Alert) -> bool:
    """It was told that the alert fires, and the watcher does not know it: it could not be asked again."""
    telling = [
        (event, accepted)
        for accepted, event in inbox.first_arrivals()
        if alert_key(alert) in map(alert_key, _firing(event))
    ]
    return all(
        rows[event.id].delivery.id in story.operators.retried
        or (
            rows[event.id].state is not DeliveryState.DELIVERED
            and (not accepted.answered or (inbox.name, event.id) in story.in_flight)
        )
        for event, accepted in telling
    )


def _open(story: Story, inbox: Inbox, rows: _Rows) -> Violations:
    """Whatever fires at the end, when nothing is silenced, was told to everybody who is to be told."""
    for state in story.store.states.values():
        for alert in state.alerts:
            bound = story.store.bound[alert_key(alert)].get(inbox.name)
            if bound is None or bound.told_at is not None:
                continue
            telling = [row for row in rows.values() if alert_key(alert) in map(alert_key, _firing(row.delivery.event))]
            if not any(row.state is DeliveryState.DEAD or row.reason == Suppression.ACKNOWLEDGED for row in telling):
                why = [(_name(row.delivery.event), row.state.value, row.reason) for row in telling]
                yield f"{inbox.name}: never told that {alert.name} of {state.key.id} fires: {why}"


def _promptness(story: Story, inbox: Inbox, rows: _Rows) -> Violations:
    """When a receiver takes again, all that waits is sent at once."""
    policy = story.setup.policies[inbox.name]
    if policy.rate is not None or policy.digest_over or story.faults.receiver_refuses_for_good:
        return
    first_s = min((each.at_s for each in inbox.accepted if each.at_s > story.busy_s + 60), default=None)
    if first_s is None:
        return
    last_s = max((each.at_s for each in inbox.accepted if each.at_s < first_s), default=0.0)
    last_s = max(last_s, story.served_since(lease_name(RECEIVER, inbox.name), first_s)[0])
    refused = sum(any(last_s < at_s < first_s for at_s in tries) for tries in inbox.tried.values())
    if refused < _TAKEN_TO_BE_DOWN:
        return
    for accepted, event in inbox.first_arrivals():
        row = rows[event.id]
        queued_s = seconds_of(event)
        is_new = row.delivery.id in story.requeued | story.operators.retried
        if queued_s < story.busy_s and not is_new and accepted.at_s > first_s + _SOON_S:
            yield f"{inbox.name}: told of {_name(event)} at {accepted.at_s:.0f} s, and it takes since {first_s:.0f} s"


def _firing(event: Event) -> list[Alert]:
    return [alert for alert in event.alerts if alert.status is AlertStatus.FIRING]


def _name(event: Event) -> str:
    return f"{event.instance_id}#{event.sequence} ({event.kind.value} {event.from_status}→{event.to_status})"
