"""`watcher alerts` and `watcher ack`: what fires, and who has taken it on."""

from __future__ import annotations

import os
from typing import Annotated
from urllib.parse import quote

import typer

from watcher.cli.client import address_of, ask
from watcher.cli.event_lines import reason_in_words
from watcher.cli.options import (
    AuthorOption,
    DaemonConfigOption,
    OutputFormat,
    OutputOption,
    UrlOption,
    print_json,
)
from watcher.cli.status_tables import print_alerts
from watcher.cli.tables import plain_text

_WORST_FIRST = {"order": ["problems"]}


def alerts(url: UrlOption = None, config: DaemonConfigOption = None, output: OutputOption = OutputFormat.TABLE) -> int:
    """Show the alerts that fire, those nobody has taken on first."""
    items = ask(address_of(url, config, os.environ), lambda client: client.items("/api/v1/alerts", _WORST_FIRST))
    if output is OutputFormat.JSON:
        print_json({"items": items})
        return 0
    print_alerts(items)
    return 0


def ack(
    fingerprint: Annotated[
        str, typer.Argument(help="The alert's, as `watcher alerts` shows it.", metavar="FINGERPRINT")
    ],
    author: AuthorOption,
    comment: Annotated[str, typer.Option(help="What you know of it.")] = "",
    url: UrlOption = None,
    config: DaemonConfigOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> int:
    """Take on an alert: it is not reminded of any more."""
    path = f"/api/v1/alerts/{quote(fingerprint, safe='')}/ack"
    body = {"author": author, "comment": comment}
    alert = ask(address_of(url, config, os.environ), lambda client: client.call("POST", path, body=body))
    if output is OutputFormat.JSON:
        print_json(alert)
        return 0
    what = alert.get("instance_name") or alert.get("instance_id") or alert.get("source")
    typer.echo(plain_text(f"{author} has acknowledged: {alert.get('name')} of {what}, since {alert.get('starts_at')}"))
    if reason := reason_in_words(alert.get("reason")):
        typer.echo(f"reason: {reason}")
    if alert.get("runbook_url"):
        typer.echo(plain_text(f"runbook: {alert.get('runbook_url')}"))
    return 0
