"""`watcher routes`: who would be told of what, and why others would not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Annotated

import typer

from watcher.cli.options import (
    ConfigOption,
    OutputFormat,
    OutputOption,
    parse_labels,
    print_json,
    read_settings,
    warn_of_statuses,
)
from watcher.cli.silence import in_words
from watcher.cli.tables import plain_text, print_table
from watcher.core.alerts import ERROR, MISSING, AlertRules
from watcher.core.clock import SystemClock
from watcher.core.errors import ConfigurationError
from watcher.core.model import Alert, AlertStatus, Event, EventKind, Severity, Status
from watcher.core.routing import RoutingTable, matcher_to_json
from watcher.core.watchlist import Watchlist
from watcher.policies import alert_rules, routing_table, watched_of
from watcher.settings import Settings

routes = typer.Typer(no_args_is_help=True, help="See who would be told of what.")


@routes.callback()
def _group() -> None:
    pass


@routes.command("test")
def try_out(
    config: ConfigOption,
    kind: Annotated[EventKind, typer.Option(help="What it tells.")] = EventKind.TRANSITION,
    from_status: Annotated[str | None, typer.Option("--from", help="The status before.")] = None,
    to_status: Annotated[str | None, typer.Option("--to", help="The status after.")] = None,
    source: Annotated[str | None, typer.Option(help="The source; default: the first.")] = None,
    instance_id: Annotated[str, typer.Option(help="The instance's id.")] = "",
    name: Annotated[str, typer.Option(help="The instance's name.")] = "",
    severity: Annotated[
        Severity | None, typer.Option(help="How much it matters; default: as `alerts` says of such news.")
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(help="A label beside those that are configured for it (repeatable).", metavar="NAME=VALUE"),
    ] = None,
    output: OutputOption = OutputFormat.TABLE,
) -> int:
    """Show which routes match some news, who would be told of it, and why the others would not. No watcher is asked."""
    settings, _ = read_settings(config)
    given = parse_labels(label or ())
    warn_of_statuses([status for status in (from_status, to_status) if status is not None])
    event = _event(
        kind=kind,
        source=source if source is not None else settings.sources[0].name,
        instance_id=instance_id,
        name=name,
        from_status=from_status,
        to_status=to_status,
        rules=alert_rules(settings),
        severity=severity,
    )
    event = replace(event, labels={**_labels(event, settings), **given})
    _print(event, routing_table(settings), output)
    return 0


def _labels(event: Event, settings: Settings) -> Mapping[str, str]:
    """What is configured for such an instance."""
    for source in settings.sources:
        if source.name == event.source:
            watched = watched_of(source, settings)
            watchlist = Watchlist(watched.instances, watched.discover)
            return watchlist.labels(event.instance_id, name=event.instance_name, record=event.record)
    names = ", ".join(source.name for source in settings.sources)
    raise ConfigurationError(f"no source is called {event.source!r}; configured: {names}")


def _event(
    *,
    kind: EventKind,
    source: str,
    instance_id: str,
    name: str,
    from_status: str | None,
    to_status: str | None,
    rules: AlertRules,
    severity: Severity | None = None,
) -> Event:
    """News as it would come: with the alert that it begins, repeats or ends."""
    now = SystemClock().now()
    alert = _alert_of(kind, from_status, to_status)
    if severity is None:
        severity = rules.by_name[alert] if alert is not None else Severity.INFO
    ends = kind is EventKind.RECOVERED or (
        alert == ERROR and to_status != Status.ERROR and kind is not EventKind.REMINDER
    )
    said = Alert(
        name=alert or ERROR,
        fingerprint="0" * 16,
        status=AlertStatus.RESOLVED if ends else AlertStatus.FIRING,
        severity=severity,
        starts_at=now,
        ends_at=now if ends else None,
    )
    return Event(
        id="evt_example",
        kind=kind,
        source=source,
        instance_id=instance_id,
        instance_name=name,
        from_status=from_status,
        to_status=to_status,
        severity=severity,
        observed_at=now,
        previous_observed_at=None,
        sequence=1,
        duration_s=None,
        alerts=(said,) if alert is not None or severity is not Severity.INFO else (),
    )


def _alert_of(kind: EventKind, from_status: str | None, to_status: str | None) -> str | None:
    """The alert that such news is about."""
    if kind in (EventKind.BUILD_FAILED, EventKind.MISSING, EventKind.STUCK, EventKind.FLAPPING, EventKind.UNREACHABLE):
        return kind.value
    if kind is EventKind.RECOVERED:
        return MISSING
    return ERROR if kind is EventKind.REMINDER or Status.ERROR in (from_status, to_status) else None


def _print(event: Event, table: RoutingTable, output: OutputFormat) -> None:
    why = table.explain(event)
    matched = [(index, table.routes[index]) for index in why.routes]
    if output is OutputFormat.JSON:
        print_json(
            {
                "event": {
                    "kind": event.kind.value,
                    "source": event.source,
                    "instance_id": event.instance_id,
                    "instance_name": event.instance_name,
                    "from": event.from_status,
                    "to": event.to_status,
                    "severity": event.severity.value,
                    "labels": dict(event.labels),
                },
                "routes": [
                    {
                        "index": index,
                        "match": matcher_to_json(route.match),
                        "receivers": list(route.receivers),
                        "continue": route.goes_on,
                    }
                    for index, route in matched
                ],
                "told": list(why.told),
                "not_told": dict(why.untold),
            }
        )
        return
    if not table.routes:
        typer.echo("There are no routes: everything goes to every receiver.\n")
    elif not matched:
        typer.echo("No route matches.\n")
    else:
        print_table(
            ("ROUTE", "MATCH", "RECEIVERS", "THEN"),
            [
                (
                    f"routes[{index}]",
                    in_words(matcher_to_json(route.match)),
                    ", ".join(route.receivers),
                    _then(route.goes_on),
                )
                for index, route in matched
            ],
        )
        typer.echo()
    if not table.recipients:
        typer.echo("There are no receivers: nobody is told.")
        return
    print_table(
        ("RECEIVER", "TOLD", "WHY NOT"),
        [
            (recipient.name, "yes" if recipient.name in why.told else "no", why.untold.get(recipient.name))
            for recipient in table.recipients
        ],
    )


def _then(goes_on: bool) -> str:  # noqa: FBT001 - a word for it
    return "continues" if goes_on else "ends"


@dataclass(frozen=True, slots=True)
class Outlook:
    """In words where errors of a source would go; `is_bad` when nobody would be told."""

    message: str
    is_bad: bool


def where_errors_go(settings: Settings) -> Iterator[Outlook]:
    """Who would be told of an instance that goes from BUILDING to ERROR, one for each different answer in a source."""
    table, rules = routing_table(settings), alert_rules(settings)
    for source in settings.sources:
        examples = [(instance.id, "", instance.id) for instance in source.instances]
        examples += [("", rule.name or "", f"a discovered {rule.name or 'one'}") for rule in source.discover]
        answers: dict[tuple[str, bool], str] = {}
        for instance_id, name, shown in examples:
            event = _event(
                kind=EventKind.TRANSITION,
                source=source.name,
                instance_id=instance_id,
                name=name,
                from_status=Status.BUILDING,
                to_status=Status.ERROR,
                rules=rules,
            )
            answers.setdefault(_told(replace(event, labels=dict(_labels(event, settings))), table), shown)
        for (told, is_bad), shown in answers.items():
            such = f", such as {plain_text(shown)}," if len(answers) > 1 else ""
            yield Outlook(f"an instance going to ERROR in {source.name}{such} is told to{told}", is_bad)


def _told(event: Event, table: RoutingTable) -> tuple[str, bool]:
    told = table.explain(event).told
    if told:
        return f": {', '.join(told)}", False
    # The name of an instance that is configured by its id is not known here, and may be what a route goes by.
    nameless = tuple(replace(route, match=replace(route.match, name=())) for route in table.routes)
    perhaps = replace(table, routes=nameless).explain(event).told if not event.instance_name else ()
    return (f" nobody, unless by its name: {', '.join(perhaps)}", False) if perhaps else (" nobody", True)
