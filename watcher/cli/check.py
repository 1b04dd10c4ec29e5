"""`watcher check`: is the configuration good, and with `--online`: does everything it names answer."""

from __future__ import annotations

import asyncio
import os
from typing import Annotated, Literal

import typer

from watcher.cli.look import look_at_all
from watcher.cli.options import ConfigOption, print_errors
from watcher.cli.receiver_test import open_receiver
from watcher.cli.routes import where_errors_go
from watcher.core.errors import ConfigurationError, DeliveryError, StoreError
from watcher.logging import configure_logging
from watcher.policies import tls
from watcher.settings import Finding, InvalidConfiguration, Settings, load


def check(
    config: ConfigOption,
    online: Annotated[
        bool,
        typer.Option(
            "--online",
            help="Also authenticate, look each instance up, reach the database, and each receiver without sending.",
        ),
    ] = False,
) -> int:
    """Validate the configuration: one line a finding, all at once. Exit code 2 on errors, 1 on findings online."""
    loaded = load(config, os.environ)
    errors = [finding for finding in loaded.findings if finding.level == "error"]
    for finding in loaded.findings:
        if finding not in errors:
            typer.echo(str(finding))
    if loaded.settings is None:
        raise InvalidConfiguration(errors)
    tls(loaded.settings)  # raises what is wrong with the pair
    for outlook in where_errors_go(loaded.settings):
        level: Literal["warning", "notice"] = "warning" if outlook.is_bad else "notice"
        typer.echo(str(Finding(file=str(config), line=0, column=0, path="", message=outlook.message, level=level)))
    if online:
        configure_logging(level="warning", style="console")
        problems = asyncio.run(_look_online(loaded.settings))
        print_errors(f"{config}: {problem}" for problem in problems)
        if problems:
            return 1
    settings = loaded.settings
    instances = sum(len(source.instances) for source in settings.sources)
    more = " and those discovered" if any(source.discover for source in settings.sources) else ""
    typer.echo(
        f"{config}: good: {len(settings.sources)} sources, {instances} instances{more}, "
        f"{len(settings.receivers)} receivers"
    )
    return 0


async def _look_online(settings: Settings) -> list[str]:
    looks = await look_at_all(settings)
    problems = [problem for look in looks for problem in look.problems]
    from watcher.store import reach_store  # noqa: PLC0415 - only this needs it, and it takes long

    try:
        await reach_store(settings.store.required_secret("url").reveal())
    except (ConfigurationError, StoreError) as error:
        problems.append(str(error))
    for section in settings.receivers:
        receiver = open_receiver(section, settings)
        try:
            async with asyncio.timeout(section.timeout.total_seconds()):
                await receiver.reach()
        except DeliveryError as error:
            problems.append(f"receiver {section.name}: {error}")
        except TimeoutError:
            problems.append(f"receiver {section.name}: no connection within {section.timeout.total_seconds():g} s")
        finally:
            await receiver.close()
    return problems
