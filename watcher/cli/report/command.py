"""The command: reads from a watcher, writes the file."""

from __future__ import annotations

import os
import secrets
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from watcher.cli.client import Address, Client, address_of, ask
from watcher.cli.history import alerts_in, known_of, load_history
from watcher.cli.options import DaemonConfigOption, UrlOption
from watcher.cli.report.page import Material, page_of
from watcher.cli.tables import plain_text
from watcher.cli.timeline import warn_of_gaps
from watcher.cli.times import Moment, parse_moment, read_time
from watcher.core.clock import SystemClock
from watcher.core.errors import WatcherError
from watcher.fields import hide_credentials

_USUAL = Moment(timedelta(days=7))
_STDOUT = "-"


class ReportError(WatcherError):
    """The report cannot be written."""


def report(
    *,
    since: Annotated[
        Moment | None,
        typer.Option(parser=parse_moment, metavar="TIME", help="From when on: 7d (ago; the default), or a time."),
    ] = None,
    until: Annotated[
        Moment | None, typer.Option(parser=parse_moment, metavar="TIME", help="Until when; default: now.")
    ] = None,
    output: Annotated[
        str, typer.Option("-o", "--output", help="Write it here (`-`: standard output).", metavar="FILE")
    ] = "report.html",
    url: UrlOption = None,
    config: DaemonConfigOption = None,
) -> int:
    """Write a report of builds, failures and alerts as one HTML file that needs nothing else."""
    address = address_of(url, config, os.environ)
    now = SystemClock().now()
    begins_at, ends_at = (since or _USUAL).at(now), until.at(now) if until is not None else now
    if begins_at >= min(ends_at, now):
        raise typer.BadParameter("--since must be before --until, and before now")
    text, summary = page_of(ask(address, lambda client: _load(client, address, begins_at, min(ends_at, now), now)))
    if output == _STDOUT:
        sys.stdout.write(text)
        sys.stdout.flush()
        return 0
    _write(Path(output), text)
    told = f"{summary.builds} builds of {summary.instances} instances, {summary.failed} failed"
    typer.echo(f"{plain_text(output)}: written: {told}")
    return 0


async def _load(client: Client, address: Address, begins_at: datetime, ends_at: datetime, now: datetime) -> Material:
    status = await client.call("GET", "/api/v1/status")
    # Asked for before the events: who changes meanwhile has an event that says so.
    known = known_of(await client.items("/api/v1/instances", {}))
    firing = alerts_in(await client.items("/api/v1/alerts", {}))
    history = await load_history(client, {}, since=begins_at, until=ends_at)
    warn_of_gaps(history)
    return Material(
        history=history,
        # What is so now was so at the end of the time if it has been so since before that.
        known=[each for each in known if each.since < ends_at],
        firing=[alert for alert in firing if alert.starts_at < ends_at],
        begins_at=begins_at,
        ends_at=ends_at,
        made_at=read_time(status.get("now")) or now,
        where=hide_credentials(str(status.get("external_url") or address.url)),
        version=str(status.get("version") or "?"),
    )


def _write(path: Path, text: str) -> None:
    """Write the whole file or nothing, in place of what is there; raises ReportError."""
    try:
        target = path.resolve()
        if target.exists() and not target.is_file():
            target.write_text(text, encoding="utf-8")  # /dev/stdout, a pipe: nothing to put in its place
            return
        beside = target.with_name(f".{target.name[:100]}.{secrets.token_hex(6)}")
        try:
            beside.write_text(text, encoding="utf-8")
            beside.replace(target)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise ReportError(f"{plain_text(path)}: cannot write it: {error.strerror}") from error
