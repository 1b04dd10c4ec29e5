"""The `watcher` command: its sub-commands, and what its exit codes mean.

0 done · 1 failed at run time · 2 bad usage or configuration · 3 `wait` ran out of time · 130 interrupted. Errors are
lines on standard error.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_group

from watcher import __version__
from watcher.cli.completion import finish_installing
from watcher.core.errors import ConfigurationError, WatcherError

FAILED = 1
BAD_USAGE = 2
INTERRUPTED = 130
_INTERRUPTED = "watcher: interrupted"

# In the order of the help: where each is, to be imported when it is called, because all of them together take a second.
_COMMANDS: Mapping[str, str] = {
    "run": "watcher.cli.run:run",
    "check": "watcher.cli.check:check",
    "once": "watcher.cli.once:once",
    "init": "watcher.cli.init:init",
    "wait": "watcher.cli.wait:wait",
    "simulate": "watcher.cli.simulate:simulate",
    "demo": "watcher.cli.demo:demo",
    "schema": "watcher.cli.schema:schema",
    "status": "watcher.cli.status:status",
    "events": "watcher.cli.events:events",
    "report": "watcher.cli.report:report",
    "alerts": "watcher.cli.alerts:alerts",
    "ack": "watcher.cli.alerts:ack",
    "test-receiver": "watcher.cli.receiver_test:test_receiver",
    "silence": "watcher.cli.silence:silence",
    "deliveries": "watcher.cli.deliveries:deliveries",
    "routes": "watcher.cli.routes:routes",
    "store": "watcher.cli.store:store",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = _application()(args=given, prog_name="watcher", standalone_mode=False)
    except typer.TyperException as error:
        # Without a command the help was shown and there is nothing to add.
        return _fail(BAD_USAGE, _usage(error)) if error.format_message() else BAD_USAGE
    except ConfigurationError as error:
        return _fail(BAD_USAGE, str(error))
    except WatcherError as error:
        return _fail(FAILED, str(error))
    except (typer.Abort, KeyboardInterrupt):
        return _fail(INTERRUPTED, _INTERRUPTED)
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output went away; there is nobody to tell
        return FAILED
    except SystemExit:
        if "--install-completion" in given:
            finish_installing()
        raise
    if code == INTERRUPTED:  # what typer makes of Ctrl-C
        _fail(INTERRUPTED, _INTERRUPTED)
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


class _Commands(TyperGroup):
    """The commands of the table, each imported when it is asked for; for one that is not there, all, to suggest one."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - typer's signature
        return list(_COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        for name in [cmd_name] if cmd_name in _COMMANDS else _COMMANDS:
            if name not in self.commands:
                self.commands[name] = _load(name)
        return super().get_command(ctx, cmd_name)


def _load(name: str) -> Any:
    module, _, attribute = _COMMANDS[name].partition(":")
    found = getattr(import_module(module), attribute)
    around = typer.Typer(pretty_exceptions_enable=False)
    if isinstance(found, typer.Typer):
        around.add_typer(found, name=name)
    else:
        around.command(name)(found)
    return get_group(around).commands[name]


def _application() -> typer.Typer:
    application = typer.Typer(
        cls=_Commands,
        help="Watches image instances on Huawei Cloud Workspace and tells the moment one changes.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    application.callback()(_root)
    return application


def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass
