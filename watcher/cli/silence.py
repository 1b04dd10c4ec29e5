"""`watcher silence`: what people asked not to be told for a while."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any
from urllib.parse import quote

import typer

from watcher.cli.client import ApiError, Client, address_of, ask
from watcher.cli.options import (
    AuthorOption,
    DaemonConfigOption,
    OutputFormat,
    OutputOption,
    UrlOption,
    parse_duration_option,
    parse_labels,
    print_errors,
    print_json,
    warn_of_statuses,
)
from watcher.cli.tables import Since, plain_text, print_table
from watcher.cli.times import parse_time
from watcher.core.event_json import format_time
from watcher.core.model import EventKind, Severity
from watcher.fields import format_duration

silence = typer.Typer(no_args_is_help=True, help="Keep notifications back for a while.")
Texts = list[str] | None


@silence.command()
def add(
    *,
    comment: Annotated[str, typer.Option(help="Why.")],
    author: AuthorOption,
    source: Annotated[Texts, typer.Option(help="Only of this source (each can be repeated: either).")] = None,
    instance_id: Annotated[Texts, typer.Option(help="Only of this instance.")] = None,
    name: Annotated[Texts, typer.Option(help="Only of instances of this name; * ? [...] as in a shell.")] = None,
    kind: Annotated[list[EventKind] | None, typer.Option(help="Only news of this kind.")] = None,
    from_status: Annotated[Texts, typer.Option("--from", help="Only from this status.")] = None,
    to_status: Annotated[Texts, typer.Option("--to", help="Only to this status.")] = None,
    severity: Annotated[list[Severity] | None, typer.Option(help="Only what matters this much.")] = None,
    label: Annotated[Texts, typer.Option(help="Only of instances with this label.", metavar="NAME=VALUE")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Everything.")] = False,
    duration: Annotated[
        timedelta | None, typer.Option(parser=parse_duration_option, metavar="DURATION", help="How long, such as 2h.")
    ] = None,
    until: Annotated[datetime | None, typer.Option(parser=parse_time, metavar="TIME", help="Until when.")] = None,
    start: Annotated[
        datetime | None, typer.Option(parser=parse_time, metavar="TIME", help="From when; default: now.")
    ] = None,
    url: UrlOption = None,
    config: DaemonConfigOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> int:
    """Keep back what matches all that is given, and print the silence's id."""
    if (duration is None) is (until is None):
        raise typer.BadParameter("say --duration or --until, one of the two")
    match: dict[str, Any] = {
        "source": source,
        "instance_id": instance_id,
        "name": name,
        "kind": [each.value for each in kind or ()],
        "from": from_status,
        "to": to_status,
        "severity": [each.value for each in severity or ()],
        "labels": parse_labels(label or ()),
    }
    match = {key: value for key, value in match.items() if value}
    if bool(match) is everything:
        raise typer.BadParameter("say what is to be silenced, such as --source, --name or --to, or --all")
    warn_of_statuses([*(from_status or ()), *(to_status or ())])
    body: dict[str, Any] = {"author": author, "comment": comment, "match": match, "all": everything}
    if duration is not None:
        body["duration"] = format_duration(duration)
    for key, time in (("starts_at", start), ("ends_at", until)):
        if time is not None:
            body[key] = format_time(time)
    made = ask(address_of(url, config, os.environ), lambda client: client.call("POST", "/api/v1/silences", body=body))
    if output is OutputFormat.JSON:
        print_json(made)
    else:
        typer.echo(plain_text(made.get("id")))
    return 0


@silence.command("list")
def list_(
    everything: Annotated[bool, typer.Option("--all", help="Those that are over, too.")] = False,
    url: UrlOption = None,
    config: DaemonConfigOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> int:
    """Show the silences that are or will be."""
    query = {} if everything else {"state": ["pending", "active"]}
    items = ask(address_of(url, config, os.environ), lambda client: client.items("/api/v1/silences", query))
    if output is OutputFormat.JSON:
        print_json({"items": items})
        return 0
    print_table(
        ("ID", "STATE", "STARTS", "ENDS", "AUTHOR", "MATCH", "COMMENT"),
        [
            [
                item.get("id"),
                item.get("state"),
                Since(item.get("starts_at")),
                Since(item.get("ends_at")),
                item.get("author"),
                in_words(item.get("match")),
                item.get("comment"),
            ]
            for item in items
        ],
        flexible=("MATCH", "COMMENT"),
        spare=("STARTS",),
    )
    return 0


@silence.command()
def expire(
    ids: Annotated[list[str], typer.Argument(help="The silences' ids.", metavar="ID...")],
    url: UrlOption = None,
    config: DaemonConfigOption = None,
) -> int:
    """End silences now. Exit code 1 if one of them could not be."""

    async def work(client: Client) -> list[ApiError]:
        failed = []
        for silence_id in ids:
            try:
                await client.call("DELETE", f"/api/v1/silences/{quote(silence_id, safe='')}")
            except ApiError as error:
                failed.append(error)
            else:
                typer.echo(f"{plain_text(silence_id)} is over")
        return failed

    failed = ask(address_of(url, config, os.environ), work)
    print_errors(failed)
    return 1 if failed else 0


def in_words(match: object) -> str:
    """What a matcher means: `to=ERROR name=office-*,lab-* label:team=vdi`."""
    if not isinstance(match, Mapping) or not match:
        return "(everything)"
    words = []
    for key, value in match.items():
        if isinstance(value, Mapping):
            words += [f"label:{label}={wanted}" for label, wanted in value.items()]
        else:
            words.append(f"{key}={','.join(map(str, value)) if isinstance(value, list) else value}")
    return " ".join(words)
