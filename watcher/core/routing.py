"""To whom an event goes: routes top down, first match wins unless it says `continue`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from watcher.core.alerts import worst
from watcher.core.model import AlertStatus, Event, EventKind, Severity, Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Matcher:
    """All that is given must hold; an empty tuple, None or empty mapping is "any". `name` is a list of globs."""

    kind: tuple[str, ...] = ()
    from_status: tuple[str, ...] = ()
    to_status: tuple[str, ...] = ()
    source: tuple[str, ...] = ()
    instance_id: tuple[str, ...] = ()
    name: tuple[str, ...] = ()
    severity: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)

    def matches(self, event: Event) -> bool:
        """Whether the event is meant."""
        return (
            _among(event.kind, self.kind)
            and _among(event.from_status, self.from_status)
            and _among(event.to_status, self.to_status)
            and _among(event.source, self.source)
            and _among(event.instance_id, self.instance_id)
            and _among(event.severity, self.severity)
            and (not self.name or any(fnmatchcase(event.instance_name, glob) for glob in self.name))
            and all(event.labels.get(label) == value for label, value in self.labels.items())
        )


def matcher_to_json(matcher: Matcher) -> dict[str, Any]:
    """The matcher as `match` is written in the configuration, without what is not given."""
    given: dict[str, Any] = {
        "kind": list(matcher.kind),
        "from": list(matcher.from_status),
        "to": list(matcher.to_status),
        "source": list(matcher.source),
        "instance_id": list(matcher.instance_id),
        "name": list(matcher.name),
        "severity": list(matcher.severity),
        "labels": dict(matcher.labels),
    }
    return {key: value for key, value in given.items() if value}


def matcher_from_json(body: Mapping[str, Any]) -> Matcher:
    """The matcher of an object that `matcher_to_json` wrote."""
    return Matcher(
        kind=tuple(body.get("kind", ())),
        from_status=tuple(body.get("from", ())),
        to_status=tuple(body.get("to", ())),
        source=tuple(body.get("source", ())),
        instance_id=tuple(body.get("instance_id", ())),
        name=tuple(body.get("name", ())),
        severity=tuple(body.get("severity", ())),
        labels=body.get("labels", {}),
    )


def _among(value: str | None, wanted: tuple[str, ...]) -> bool:
    return not wanted or value in wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Where events that match go; `goes_on` (the configuration's `continue`) lets later routes match too."""

    match: Matcher
    receivers: tuple[str, ...]
    goes_on: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipient:
    """A receiver as routing sees it; one of `alerts_only` takes nothing but the beginning and the end of alerts."""

    name: str
    min_severity: Severity = Severity.INFO
    send_resolved: bool = True
    alerts_only: bool = False

    def wants(self, event: Event) -> bool:
        """Whether the event matters enough: to who is not told of endings, an ending matters as any other change."""
        if self.alerts_only and not event.alerts:
            return False
        return self._severity(event).rank >= self.min_severity.rank

    def why_unwanted(self, event: Event) -> str:
        """In words why the event does not matter enough."""
        if self.alerts_only and not event.alerts:
            return "it takes alerts only"
        return f"{self._severity(event).value} is below its min_severity {self.min_severity.value}"

    def _severity(self, event: Event) -> Severity:
        if self.send_resolved:
            return event.severity
        return worst(alert for alert in event.alerts if alert.status is AlertStatus.FIRING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Why an event goes where it goes: the routes that match, by index, who is told, and why each other is not."""

    routes: tuple[int, ...]
    told: tuple[str, ...]
    untold: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingTable:
    """All routes and receivers. Without routes every event goes to every receiver."""

    recipients: tuple[Recipient, ...] = ()
    routes: tuple[Route, ...] = ()

    def receivers_for(self, event: Event) -> tuple[str, ...]:
        """The names of the receivers told of this event, each once, in the order of the configuration."""
        return self.explain(event).told

    def explain(self, event: Event) -> Explanation:
        """Who is told of this event, and why the others are not."""
        matched = self._matching(event)
        wanted = {receiver for index in matched for receiver in self.routes[index].receivers}
        told, untold = list[str](), dict[str, str]()
        for recipient in self.recipients:
            if is_history_only(event):
                untold[recipient.name] = "first sight is no news"
            elif self.routes and recipient.name not in wanted:
                untold[recipient.name] = "no route that matches names it" if matched else "no route matches"
            elif not recipient.wants(event):
                untold[recipient.name] = recipient.why_unwanted(event)
            else:
                told.append(recipient.name)
        return Explanation(routes=matched, told=tuple(told), untold=untold)

    def _matching(self, event: Event) -> tuple[int, ...]:
        matched = list[int]()
        for index, route in enumerate(self.routes):
            if route.match.matches(event):
                matched.append(index)
                if not route.goes_on:
                    break
        return tuple(matched)


def is_history_only(event: Event) -> bool:
    """First sight is no news, unless what is seen is an ERROR."""
    return event.kind is EventKind.DISCOVERED and event.to_status != Status.ERROR
