"""`watcher status`: what the running watcher knows, worst first."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import typer
from rich.console import Console

from watcher.cli.client import Client, Item, address_of, ask
from watcher.cli.headline import headline
from watcher.cli.options import DaemonConfigOption, OutputFormat, OutputOption, UrlOption, print_json
from watcher.cli.status_tables import print_alerts, print_instances, print_replicas, print_sources
from watcher.cli.tables import print_plain
from watcher.cli.times import read_number, read_time
from watcher.core.clock import SystemClock

_ON_A_SCREEN = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Present:
    """What a watcher knows now, as its API tells it."""

    status: Item
    instances: Sequence[Item]
    sources: Sequence[Item]
    alerts: Sequence[Item]
    replicas: Sequence[Item]


def status(
    *,
    source: Annotated[list[str] | None, typer.Option(help="Only of this source (can be repeated: either).")] = None,
    statuses: Annotated[
        list[str] | None, typer.Option("--status", help="Only instances in this status (can be repeated: either).")
    ] = None,
    text: Annotated[
        str | None,
        typer.Option("-q", "--query", help="Only instances with these words in name or id, or LABEL=VALUE."),
    ] = None,
    alerting: Annotated[bool, typer.Option("--alerting", help="Only instances with alerts that fire.")] = False,
    limit: Annotated[
        int | None, typer.Option(help="At most so many instances; default: 50 on a terminal, else all.", min=1)
    ] = None,
    url: UrlOption = None,
    config: DaemonConfigOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> int:
    """Show what the running watcher knows: what fires, its instances, worst first, and its sources."""
    query = {
        "source": source or [],
        "status": statuses or [],
        "q": [text] if text else [],
        "alerting": ["true"] if alerting else [],
        "order": ["problems"],
    }
    present = ask(address_of(url, config, os.environ), lambda client: _ask(client, query))
    if output is OutputFormat.JSON:
        print_json(
            {
                "items": list(present.instances[:limit]),
                "sources": list(present.sources),
                "alerts": list(present.alerts),
                "status": present.status,
                "replicas": list(present.replicas),
                "next": None,
            }
        )
        return 0
    _print(present, limit=limit)
    return 0


async def _ask(client: Client, query: Mapping[str, Sequence[str]]) -> Present:
    wanted = query["source"]
    # One after the other: when it is not there, one line says so.
    answer = await client.call("GET", "/api/v1/status")
    alerts = await client.items("/api/v1/alerts", {"source": wanted, "order": ["problems"]})
    instances = await client.items("/api/v1/instances", query)
    sources = await client.items("/api/v1/sources", {})
    is_shared = (read_number(answer.get("replicas")) or 1) > 1
    replicas = await client.items("/api/v1/replicas", {}) if is_shared else ()
    return Present(
        replicas=replicas,
        status=answer,
        instances=instances,
        sources=[each for each in sources if not wanted or each.get("name") in wanted],
        alerts=alerts,
    )


def _print(present: Present, *, limit: int | None) -> None:
    is_terminal = sys.stdout.isatty()
    console = Console(highlight=False)
    now = read_time(present.status.get("now")) or SystemClock().now()  # its clock, as the times are its, too
    style, words = headline(present.status, present.sources, now=now if is_terminal else None)
    if is_terminal:
        console.print(words, style=f"bold {style}", markup=False)
    else:
        print_plain(words)
    if present.alerts:
        shown = present.alerts[:_ON_A_SCREEN] if is_terminal else present.alerts
        _begin_section()
        print_alerts(shown, now=now, spare=("FINGERPRINT",))
        _say_how_many_more(len(present.alerts) - len(shown), "alerts: watcher alerts shows all")
    most = limit or (_ON_A_SCREEN if is_terminal else len(present.instances))
    _begin_section()
    if present.instances:
        print_instances(present.instances[:most], now=now)
    else:
        print_plain("No instance is like that.")
    more = len(present.instances) - most
    _say_how_many_more(more, f"instances, calmer ones: --limit {len(present.instances)} shows all")
    if present.sources:
        _begin_section()
        print_sources(present.sources, now=now)
    if present.replicas:
        _begin_section()
        print_replicas(present.replicas, now=now)


def _begin_section() -> None:
    print_plain("")


def _say_how_many_more(count: int, what: str) -> None:
    if count > 0:
        print_plain(f"and {count} more {what}")
