"""`watcher deliveries`: what was sent to whom, what was not, and trying that anew."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from watcher.cli.client import ApiError, Client, Item, address_of, ask
from watcher.cli.options import (
    DaemonConfigOption,
    OutputFormat,
    OutputOption,
    UrlOption,
    print_errors,
    print_json,
)
from watcher.cli.tables import Since, plain_text, print_table
from watcher.core.model import DeliveryState

deliveries = typer.Typer(help="Show what was sent to whom and what was not, newest first, or try it anew.")


@deliveries.callback(invoke_without_command=True)
def show(
    context: typer.Context,
    state: Annotated[DeliveryState | None, typer.Option(help="Only those that are this.")] = None,
    receiver: Annotated[str | None, typer.Option(help="Only those to this receiver.")] = None,
    limit: Annotated[int, typer.Option(help="At most so many.", min=1)] = 100,
    url: UrlOption = None,
    config: DaemonConfigOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> int:
    """Show what was sent to whom and what was not, newest first, or try it anew."""
    context.obj = (url, config)
    if context.invoked_subcommand is not None:
        return 0
    query = {
        "state": [state.value] if state is not None else [],
        "receiver": [receiver] if receiver is not None else [],
    }
    items = ask(
        address_of(url, config, os.environ), lambda client: client.items("/api/v1/deliveries", query, limit=limit)
    )
    if output is OutputFormat.JSON:
        print_json({"items": items})
        return 0
    print_table(
        (
            *("ID", "STATE", "RECEIVER", "CREATED", "TRIES", "KIND", "SOURCE", "INSTANCE", "NAME", "FROM", "TO", "WHY"),
            *("TYPE", "NEXT TRY"),
        ),
        map(_row, items),
        flexible=("NAME", "WHY"),
        spare=("TYPE", "INSTANCE", "SOURCE", "FROM", "TO", "KIND", "NEXT TRY"),
    )
    return 0


def _row(item: Item) -> list[object]:
    event = item.get("event")
    of = event if isinstance(event, dict) else {}
    return [
        *(item.get(column) for column in ("id", "state", "receiver")),
        Since(item.get("created_at")),
        item.get("attempts"),
        *(of.get(column) for column in ("kind", "source", "instance_id", "instance_name", "from", "to")),
        ": ".join(str(item[key]) for key in ("reason", "answer", "held_by") if item.get(key)),
        item.get("receiver_type"),
        Since(item.get("next_attempt_at")),
    ]


@deliveries.command()
def retry(
    context: typer.Context,
    ids: Annotated[list[int] | None, typer.Argument(help="The deliveries' ids.", metavar="ID...")] = None,
    all_dead: Annotated[bool, typer.Option("--all-dead", help="All that are dead.")] = False,
    url: UrlOption = None,
    config: DaemonConfigOption = None,
) -> int:
    """Try again what is dead. Exit code 1 if one of them could not be."""
    if bool(ids) is all_dead:
        raise typer.BadParameter("say the ids of deliveries, or --all-dead")
    earlier: tuple[str | None, Path | None] = context.obj
    address = address_of(url or earlier[0], config or earlier[1], os.environ)

    async def work(client: Client) -> list[ApiError]:
        if all_dead:
            answer = await client.call("POST", "/api/v1/deliveries/retry", body={})
            typer.echo(f"tried again: {plain_text(answer.get('retried'))}")
            return []
        failed = []
        for delivery_id in ids or ():
            try:
                await client.call("POST", f"/api/v1/deliveries/{delivery_id}/retry", body={})
            except ApiError as error:
                failed.append(error)
            else:
                typer.echo(f"tried again: delivery {delivery_id}")
        return failed

    failed = ask(address, work)
    print_errors(failed)
    return 1 if failed else 0
