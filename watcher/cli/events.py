"""`watcher events`: what happened, what happens, and both as a picture."""

from __future__ import annotations

import asyncio
import os
import random
import stat
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated

import typer

from watcher.cli.client import Client, Item, address_of, ask
from watcher.cli.event_lines import EventPrinter, JsonPrinter
from watcher.cli.follow import Follower, Query, latest
from watcher.cli.history import MOST_EVENTS
from watcher.cli.options import (
    DaemonConfigOption,
    OutputFormat,
    OutputOption,
    UrlOption,
    print_errors,
    print_json,
)
from watcher.cli.timeline import print_timeline
from watcher.cli.times import Moment, parse_moment
from watcher.core.clock import Clock, SystemClock
from watcher.core.event_json import format_time
from watcher.core.model import EventKind

_LATEST = 50


def events(
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what happens, until Ctrl-C.")] = False,
    timeline: Annotated[bool, typer.Option("--timeline", help="Each instance as a bar of what it was when.")] = False,
    since: Annotated[
        Moment | None,
        typer.Option(parser=parse_moment, metavar="TIME", help="From when on: 2h (ago), or a time."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(help="The latest so many; default: 50, or all since --since.", min=1)
    ] = None,
    kind: Annotated[list[EventKind] | None, typer.Option(help="Only of this kind (each can be repeated).")] = None,
    source: Annotated[list[str] | None, typer.Option(help="Only of this source.")] = None,
    instance_id: Annotated[list[str] | None, typer.Option(help="Only of this instance.")] = None,
    url: UrlOption = None,
    config: DaemonConfigOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> int:
    """Show the latest events, oldest first."""
    clock = SystemClock()
    address = address_of(url, config, os.environ)
    query = {"source": source or [], "instance_id": instance_id or []}
    if timeline:
        if follow or kind:
            raise typer.BadParameter("--timeline goes with neither --follow nor --kind")
        return print_timeline(address, query, since=since, limit=limit, output=output, now=clock.now())
    query |= {
        "kind": [each.value for each in kind or ()],
        "since": [format_time(since.at(clock.now()))] if since is not None else [],
    }
    most = limit or (_LATEST if since is None else MOST_EVENTS)
    if not follow:
        found = ask(address, lambda client: latest(client, query, limit=most))
        if limit is None and len(found) == MOST_EVENTS:
            print_errors([f"warning: these are the latest {MOST_EVENTS} events only: say --limit, or a later --since"])
        _print(found, output)
        return 0
    printer = JsonPrinter() if output is OutputFormat.JSON else EventPrinter.on_stdout()
    ask(address, lambda client: _follow(client, query, printer=printer, limit=most, clock=clock))
    return 0


def _print(found: Sequence[Item], output: OutputFormat) -> None:
    if output is OutputFormat.JSON:
        print_json({"items": list(found)})
        return
    printer = EventPrinter.on_stdout()
    printer.head()
    printer.show(found)


async def _follow(
    client: Client, query: Query, *, printer: EventPrinter | JsonPrinter, limit: int, clock: Clock
) -> None:
    """First the latest, then live; raises BrokenPipeError when nobody reads any more."""
    follower = Follower(
        client,
        {key: values for key, values in query.items() if key != "since"},
        show=printer.show,
        tell=lambda line: print_errors([line]),
        clock=clock,
        rng=random.Random(),  # noqa: S311 - jitter, not secrets
    )
    if query["since"]:
        # Should nothing have happened since then, what is new comes after the last thing before.
        for event in await latest(client, {**query, "since": []}, limit=1):
            follower.begin_behind(event)
    found = await latest(client, query, limit=limit)
    printer.head()
    follower.catch_up(found)
    with _ended_when_nobody_reads():
        await follower.run()


@contextmanager
def _ended_when_nobody_reads() -> Iterator[None]:
    """Raises BrokenPipeError inside when the pipe that is written to loses its reader, though nothing is written."""
    number = sys.stdout.fileno()
    if not stat.S_ISFIFO(os.fstat(number).st_mode):
        yield
        return
    task, loop, gone = asyncio.current_task(), asyncio.get_running_loop(), False

    def leave() -> None:
        nonlocal gone
        gone = True
        loop.remove_reader(number)
        if task is not None:
            task.cancel()

    loop.add_reader(number, leave)  # the end that is written to is readable only when the other is closed
    try:
        yield
    except asyncio.CancelledError:
        if not gone:
            raise
        raise BrokenPipeError from None
    finally:
        loop.remove_reader(number)
