"""The `watcher` command: its sub-commands, and what its exit codes mean.

0 done · 1 failed at run time · 2 bad usage or configuration · 130 interrupted. Errors are lines on standard error.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from watcher import __version__
from watcher.cli.alerts import ack, alerts
from watcher.cli.check import check
from watcher.cli.deliveries import deliveries
from watcher.cli.demo import demo
from watcher.cli.events import events
from watcher.cli.init import init
from watcher.cli.once import once
from watcher.cli.receiver_test import test_receiver
from watcher.cli.report import report
from watcher.cli.routes import routes
from watcher.cli.run import run
from watcher.cli.schema import schema
from watcher.cli.silence import silence
from watcher.cli.simulate import simulate
from watcher.cli.status import status
from watcher.core.errors import ConfigurationError, WatcherError

FAILED = 1
BAD_USAGE = 2
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    try:
        code = _application()(
            args=list(sys.argv[1:] if arguments is None else arguments), prog_name="watcher", standalone_mode=False
        )
    except typer.TyperException as error:
        # Without a command the help was shown and there is nothing to add.
        return _fail(BAD_USAGE, _usage(error)) if error.format_message() else BAD_USAGE
    except ConfigurationError as error:
        return _fail(BAD_USAGE, str(error))
    except WatcherError as error:
        return _fail(FAILED, str(error))
    except (typer.Abort, KeyboardInterrupt):
        return _fail(INTERRUPTED, "watcher: interrupted")
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output went away; there is nobody to tell
        return FAILED
    return code if isinstance(code, int) else 0


def _fail(code: int, message: str) -> int:
    print(message, file=sys.stderr)  # noqa: T201 - commands print
    return code


def _usage(error: typer.TyperException) -> str:
    context = getattr(error, "ctx", None)  # some of typer's exceptions know their command; its types do not say which
    command = context.command_path if context is not None else "watcher"
    return f"watcher: {error.format_message()} (try '{command} --help')"


def _version(wanted: bool) -> None:  # noqa: FBT001 - typer calls it with the flag
    if wanted:
        typer.echo(f"watcher {__version__}")
        raise typer.Exit


def _application() -> typer.Typer:
    application = typer.Typer(
        help="Watches image instances on Huawei Cloud Workspace and tells the moment one changes.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    application.callback()(_root)
    for command in (run, check, once, init, simulate, demo, schema, status, events, report, alerts, ack):
        application.command()(command)
    application.command("test-receiver")(test_receiver)
    application.add_typer(silence, name="silence")
    application.add_typer(deliveries, name="deliveries")
    application.add_typer(routes, name="routes")
    return application


def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass
