"""`watcher wait`: block until an instance is what is waited for; for pipelines."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from watcher.cli.client import Address, address_of
from watcher.cli.course import Courses
from watcher.cli.options import (
    ConfigOption,
    OutputFormat,
    OutputOption,
    parse_duration_option,
    print_errors,
    print_json,
    read_settings,
    warn_of_statuses,
)
from watcher.cli.tables import plain_text
from watcher.cli.wait_display import display, name_of
from watcher.cli.waiting import Ending, Waiter
from watcher.core.awaited import DELETED, Awaited, Outcome
from watcher.core.clock import SystemClock
from watcher.core.errors import ConfigurationError
from watcher.core.event_json import reason_to_json
from watcher.core.facts import Fact
from watcher.core.model import InstanceState, Presence, Status
from watcher.core.ports import CloudApi
from watcher.logging import configure_logging
from watcher.policies import open_source, watched_of
from watcher.settings import Settings, SourceSettings

_CODES = {Outcome.REACHED: 0, Outcome.FAILED: 1, Outcome.TIMED_OUT: 3}


def wait(
    config: ConfigOption,
    instance_id: Annotated[str, typer.Argument(help="The instance's id.", metavar="ID")],
    wanted: Annotated[
        list[str] | None,
        typer.Option(
            "--for",
            help="What to wait for: statuses, or `deleted` (repeatable: any). Default: BUILT.",
            metavar="STATUS",
        ),
    ] = None,
    source: Annotated[
        str | None, typer.Option(help="The source; default: the only one, or the one that lists the id.")
    ] = None,
    timeout: Annotated[
        timedelta,
        typer.Option(
            parser=parse_duration_option, metavar="DURATION", help="For how long; 0: ask once.", show_default="2h"
        ),
    ] = timedelta(hours=2),
    new_image: Annotated[
        bool, typer.Option("--new-image", help="BUILT counts only with another image than it has now.")
    ] = False,
    output: OutputOption = OutputFormat.TABLE,
) -> int:
    """Wait until an instance is BUILT, or what else is waited for. Exit code 1: it will not be; 3: out of time."""
    awaited = _awaited(wanted or [Status.BUILT.value], new_image=new_image)
    settings, _ = read_settings(config)
    section = _source_of(instance_id, source, settings)
    configure_logging(level="warning", style="console")
    address = _address(config)
    ending = asyncio.run(_wait(instance_id, awaited, section, settings, address=address, timeout=timeout))
    _tell(ending, awaited, source=section.name, instance_id=instance_id, output=output)
    return _CODES[ending.verdict.outcome]


def _awaited(wanted: list[str], *, new_image: bool) -> Awaited:
    awaited = Awaited.of(wanted, new_image=new_image)
    if not awaited.words:
        raise typer.BadParameter("say what to wait for, such as --for BUILT")
    if new_image and not awaited.includes(Status.BUILT):
        raise typer.BadParameter("--new-image is for --for BUILT")
    warn_of_statuses(word for word in awaited.words if word != DELETED)
    return awaited


def _source_of(instance_id: str, name: str | None, settings: Settings) -> SourceSettings:
    names = ", ".join(source.name for source in settings.sources)
    if name is not None:
        found = [source for source in settings.sources if source.name == name]
        if not found:
            raise ConfigurationError(f"no source is called {name!r}; configured: {names}")
        return found[0]
    listing = [
        source for source in settings.sources if any(instance.id == instance_id for instance in source.instances)
    ]
    for candidates in (settings.sources, listing):
        if len(candidates) == 1:
            return candidates[0]
    listed = "several list it" if listing else "none lists it"
    raise ConfigurationError(f"which source is {instance_id!r} of? {listed}: say --source, one of {names}")


def _address(config: Path) -> Address | None:
    """Where the watcher of this configuration is, if that can be told."""
    try:
        return address_of(None, config, {})
    except ConfigurationError:
        return None


async def _wait(
    instance_id: str,
    awaited: Awaited,
    source: SourceSettings,
    settings: Settings,
    *,
    address: Address | None,
    timeout: timedelta,
) -> Ending:
    clock = SystemClock()
    # As Ctrl-C does: a pipeline that is cancelled ends its commands with this signal.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, signal.raise_signal, signal.SIGINT)

    def open_api(observe: Callable[[Fact], None]) -> CloudApi:
        return open_source(source, settings, environment=os.environ, clock=clock, observer=observe)

    with display() as shown:
        waiter = Waiter(
            watched=watched_of(source, settings),
            instance_id=instance_id,
            awaited=awaited,
            display=shown,
            course_of=Courses(address).of,
            clock=clock,
        )
        return await waiter.wait(open_api, timeout_s=timeout.total_seconds())


def _tell(ending: Ending, awaited: Awaited, *, source: str, instance_id: str, output: OutputFormat) -> None:
    """The final state on standard output; why it is not what was waited for on standard error."""
    verdict, state = ending.verdict, ending.state
    message = verdict.message
    if ending.meant is not None:
        message += f": did you mean {ending.meant}, which has this name?"
    if output is OutputFormat.JSON:
        print_json(
            {
                "outcome": verdict.outcome.value,
                "message": message or None,
                "for": list(awaited.words),
                "source": source,
                "instance_id": instance_id,
                "instance_name": state.name if state is not None else "",
                "status": state.status if state is not None else None,
                "presence": state.presence.value if state is not None and state.status is not None else None,
                "image_id": state.image_id if state is not None else "",
                "waited_s": round(ending.waited_s, 3),
                "reason": reason_to_json(state.reason) if state is not None else None,
                "instance": json.loads(state.record) if state is not None else None,
            }
        )
    elif state is not None:
        typer.echo(f"{name_of(state)} is {_now(state)}")
    if message:
        who = name_of(state) if state is not None else plain_text(instance_id)
        print_errors([plain_text(f"watcher: waited for {awaited}: {who}: {message}")])


def _now(state: InstanceState) -> str:
    if state.status is None:
        return "not there"
    if state.presence is not Presence.PRESENT:
        return DELETED
    image = f", image {state.image_id}" if state.status == Status.BUILT and state.image_id else ""
    return plain_text(f"{state.status}{image}")
