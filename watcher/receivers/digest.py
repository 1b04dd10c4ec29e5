"""Many events as a few groups, those that matter most first; people and machines are told the same."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass

from watcher.core.model import AlertStatus, Event, InstanceKey, Severity
from watcher.receivers.words import name_of

NAMED = 3


@dataclass(frozen=True, slots=True)
class Group:
    """Events that are told together, oldest first."""

    events: tuple[Event, ...]

    @property
    def first(self) -> Event:
        """The event that stands for all."""
        return self.events[0]

    @property
    def severity(self) -> Severity:
        """The worst of them."""
        return worst_of(self.events)

    @property
    def instances(self) -> list[Event]:
        """The first event of each instance, in order; a source as a whole is none."""
        firsts: dict[InstanceKey, Event] = {}
        for event in self.events:
            if event.instance_id:
                firsts.setdefault(event.key, event)
        return list(firsts.values())

    def listed(self) -> str:
        """How many there are, and whom they are about: `12: a, b, c and 9 more`."""
        instances, count = self.instances, len(self.events)
        if not instances:
            return counted(count, "event")
        names = ", ".join(name_of(event) for event in instances[:NAMED])
        more = f" and {len(instances) - NAMED} more" if len(instances) > NAMED else ""
        events = str(count)
        if count > len(instances):
            events = f"{counted(count, 'event')} of {counted(len(instances), 'instance')}"
        return f"{events}: {names}{more}"


def grouped(events: Iterable[Event], *, by: Callable[[Event], Hashable]) -> list[Group]:
    """The events in groups: what fires before what is over, the worst first, then the largest."""
    members: dict[Hashable, list[Event]] = {}
    for event in events:
        members.setdefault(by(event), []).append(event)
    return sorted((Group(tuple(each)) for each in members.values()), key=_weight, reverse=True)


def chosen(groups: Sequence[Group], most: int) -> Sequence[Group]:
    """So many of the groups: the first, but never without the largest."""
    if len(groups) <= most:
        return groups
    largest = max(groups, key=lambda group: len(group.events))
    return groups[:most] if largest in groups[:most] else [*groups[: most - 1], largest]


def _weight(group: Group) -> tuple[int, int, int]:
    # The end of an alert is as severe as the alert, but it must not hide what goes on.
    firing = [alert.severity.rank for event in group.events for alert in event.alerts if _fires(alert.status)]
    return max(firing, default=-1), group.severity.rank, len(group.events)


def _fires(status: AlertStatus) -> bool:
    return status is AlertStatus.FIRING


def worst_of(events: Iterable[Event]) -> Severity:
    """The greatest severity of any."""
    return max((event.severity for event in events), key=lambda severity: severity.rank)


def alert_counts(events: Sequence[Event]) -> str:
    """How many alerts of each name fire in the end, and how many are over: `error: 12 firing, 3 resolved`."""
    latest = {alert.fingerprint: alert for event in events for alert in event.alerts}
    told: dict[str, dict[AlertStatus, int]] = {}
    for alert in sorted(latest.values(), key=lambda alert: (not _fires(alert.status), -alert.severity.rank)):
        counts = told.setdefault(alert.name, {})
        counts[alert.status] = counts.get(alert.status, 0) + 1
    return "; ".join(
        f"{name}: " + ", ".join(f"{count} {status.value}" for status, count in counts.items())
        for name, counts in told.items()
    )


def counted(count: int, what: str) -> str:
    """`1 event`, `2 events`."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
