"""`watcher store`: what is done with the store itself, while no watcher uses it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from watcher.cli.options import OutputFormat, OutputOption, print_json, read_settings
from watcher.cli.tables import print_table
from watcher.fields import hide_credentials
from watcher.settings.service import check_store_url
from watcher.store.moving import OnProgress, move

store = typer.Typer(no_args_is_help=True, help="Move the store to another database.")
FromOption = Annotated[
    str | None,
    typer.Option("--from", help="The store to move, written as store.url is; `ps` shows it.", metavar="URL"),
]
ToOption = Annotated[str | None, typer.Option("--to", help="Where to, in the same way: must be empty.", metavar="URL")]
FromFileOption = Annotated[Path | None, typer.Option(help="A file that holds the URL of --from.", metavar="PATH")]
ToFileOption = Annotated[Path | None, typer.Option(help="A file that holds the URL of --to.", metavar="PATH")]
SideOption = Annotated[
    Path | None,
    typer.Option("-c", "--config", help="A configuration: its store is the side that is not given.", metavar="FILE"),
]


@store.callback()
def group() -> None:
    """Without this typer would make the only command the group."""


@store.command()
def migrate(
    *,
    from_url: FromOption = None,
    from_file: FromFileOption = None,
    to_url: ToOption = None,
    to_file: ToFileOption = None,
    config: SideOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> int:
    """Copy a store into an empty database, of either kind, while no watcher runs; the source stays as it is."""
    source, target = _given("from", from_url, from_file), _given("to", to_url, to_file)
    if (source is None) + (target is None) != (config is not None):
        raise typer.BadParameter("say both --from and --to, or -c and the one that it does not say")
    configured = _configured(config) if config is not None else ""
    source, target = source or configured, target or configured
    with _progress() as on_progress:
        moved = asyncio.run(move(source=source, target=target, on_progress=on_progress))
    if output is OutputFormat.JSON:
        print_json({"from": hide_credentials(source), "to": hide_credentials(target), "rows": dict(moved)})
        return 0
    print_table(("MOVED", "ROWS"), [[name, str(rows)] for name, rows in moved.items()])
    return 0


def _given(side: str, url: str | None, file: Path | None) -> str | None:
    if url is not None and file is not None:
        raise typer.BadParameter(f"say --{side} or --{side}-file, not both")
    where = f"--{side}"
    if file is not None:
        where = f"--{side}-file {file}"
        try:
            url = file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise typer.BadParameter(f"{where}: {getattr(error, 'strerror', None) or 'not text'}") from error
    if url is not None:
        try:
            check_store_url(url)
        except ValueError as error:
            raise typer.BadParameter(f"{where}: {error}") from error
    return url


def _configured(config: Path) -> str:
    settings, _ = read_settings(config)
    url: str = settings.store.required_secret("url").reveal()
    return url


@contextmanager
def _progress() -> Iterator[OnProgress]:
    """A bar for each table on a terminal; where nobody looks, nothing."""
    console = Console(stderr=True, highlight=False)
    if not sys.stderr.isatty() or console.is_dumb_terminal:
        yield lambda _table, _moved, _total: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        tasks = {}

        def moved(table: str, rows: int, total: int) -> None:
            if table not in tasks:
                tasks[table] = progress.add_task(table, total=total)
            progress.update(tasks[table], completed=rows)

        yield moved
