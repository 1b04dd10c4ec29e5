"""`watcher simulate`: a simulated cloud on loopback."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Annotated

import typer

from watcher.core.errors import ConfigurationError
from watcher.simulator import Scenario, ScenarioError, Simulator, load_scenario


def simulate(
    port: Annotated[int, typer.Option(help="The port to listen on; 0: any free one.", min=0, max=65535)] = 9469,
    scenario: Annotated[Path | None, typer.Option(help="What happens to whom when (YAML).", metavar="FILE")] = None,
    speed: Annotated[float, typer.Option(help="How many times faster than real time.", min=0.001)] = 1.0,
) -> int:
    """Serve a simulated cloud (API and IAM) on loopback, and print a ready configuration for it."""
    asyncio.run(_serve(read_scenario(scenario), port=port, speed=speed))
    return 0


def read_scenario(path: Path | None) -> Scenario | None:
    """The scenario of a file; raises ConfigurationError with every error, one a line."""
    if path is None:
        return None
    try:
        return load_scenario(path)
    except ScenarioError as error:
        raise ConfigurationError(str(error)) from error


async def _serve(scenario: Scenario | None, *, port: int, speed: float) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        async with Simulator(scenario, port=port, speed=speed) as simulator:
            typer.echo(configuration_for(simulator))
            typer.echo(f"# serving on {simulator.url}; control: {simulator.url}/_sim/state; Ctrl-C ends it")
            await stop.wait()
    except OSError as error:
        raise ConfigurationError(f"cannot listen on 127.0.0.1:{port}: {error.strerror}") from error


def configuration_for(simulator: Simulator) -> str:
    """A configuration that watches all the simulated instances, as YAML."""
    credentials = simulator.credentials
    instances = "".join(f'\n      - "{instance_id}"' for instance_id in simulator.world.ids())
    watched = f"instances:{instances}" if instances else "discover: [{}]  # whatever will be there"
    return f"""\
# A ready configuration for this simulated cloud.
sources:
  - name: simulated
    endpoint: {simulator.url}
    iam_endpoint: {simulator.url}
    region: {credentials.region}
    project_id: {credentials.project_id}
    auth:
      method: aksk
      access_key: {credentials.access_key}
      secret_key: {credentials.secret_key}
    # The IAM user, for `method: password`:
    #   user: {credentials.user}
    #   domain: {credentials.domain}
    #   password: {credentials.password}
    {watched}
receivers:
  - {{name: screen, type: console}}"""
