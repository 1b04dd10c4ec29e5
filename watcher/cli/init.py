"""`watcher init`: a first configuration, from the credential that is there and the instances it can see."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from watcher.cloud.client import CloudClient
from watcher.cloud.regions import endpoint_variable
from watcher.cloud.settings import ConnectionSettings
from watcher.core.clock import SystemClock
from watcher.core.errors import ConfigurationError
from watcher.core.model import Instance
from watcher.logging import configure_logging

_HEAD = """\
# watcher: what to watch and whom to tell; docs/configuration.md has every key.
# Check it with: watcher check -c {name} --online
sources:
  - name: {region}
    region: {region}
    project_id: "{project_id}"
{endpoints}\
    # The credential is looked for where the vendor's SDK looks: environment, ~/.huaweicloud/credentials, pod, ECS.
    auth: {{method: auto}}
    instances:{none}
"""
_TAIL = """\
# poll: {interval: 15s, steady_interval: 60s}
receivers:
  - {name: screen, type: console}
  # - {name: chat, type: slack, webhook_url: "${SLACK_WEBHOOK_URL}"}
  # - {name: hooks, type: webhook, url: "https://example.com/hook", secret: "${WEBHOOK_SECRET}"}
store: {url: "sqlite:///watcher.db"}
"""


def init(
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Write it here.", metavar="FILE")] = None,
    region: Annotated[str | None, typer.Option(help="The region, such as ap-southeast-3.")] = None,
    endpoint: Annotated[str | None, typer.Option(help="The API's address; default: from the region.")] = None,
    iam_endpoint: Annotated[str | None, typer.Option(help="IAM's address; default: from the region.")] = None,
) -> int:
    """Find credentials as the vendor's SDK does, list the instances they can see, and write a configuration."""
    if output is not None and output.exists():
        raise ConfigurationError(f"{output}: is already there; choose another name or remove it")
    configure_logging(level="warning", style="console")
    region = region or _region_of(os.environ)
    try:
        connection = ConnectionSettings.model_validate(
            {"region": region, "endpoint": endpoint, "iam_endpoint": iam_endpoint}
        )
    except ValidationError as error:
        raise ConfigurationError("--endpoint and --iam-endpoint must be http or https addresses") from error
    project_id, instances = asyncio.run(_look(connection))
    text = _configuration(
        region=region,
        project_id=project_id,
        endpoints={"endpoint": endpoint, "iam_endpoint": iam_endpoint},
        instances=instances,
        name=str(output or "watcher.yaml"),
    )
    if output is None:
        typer.echo(text, nl=False)
        return 0
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{output}: cannot write it: {error.strerror}") from error
    typer.echo(f"{output}: written, {len(instances)} instances; next: watcher check -c {output} --online")
    return 0


def _region_of(environment: Mapping[str, str]) -> str:
    """The region that an endpoint variable of the vendor's SDK names."""
    prefix = endpoint_variable("")
    named = [name.removeprefix(prefix) for name in environment if name.startswith(prefix)]
    if len(named) != 1:
        raise ConfigurationError("which region? say --region, such as --region ap-southeast-3")
    return named[0].lower().replace("_", "-")


async def _look(connection: ConnectionSettings) -> tuple[str, Sequence[Instance]]:
    client = CloudClient(settings=connection, clock=SystemClock(), environment=os.environ, on_request=lambda *_: None)
    try:
        return await client.project_id(), await client.list_all()
    finally:
        await client.close()


def _configuration(
    *, region: str, project_id: str, endpoints: Mapping[str, str | None], instances: Sequence[Instance], name: str
) -> str:
    lines = [f"      - {json.dumps(instance.id)}  # {_comment(instance)}\n" for instance in instances]
    given = "".join(f"    {key}: {url}\n" for key, url in endpoints.items() if url)
    none = "" if lines else " []  # none is there yet"
    head = _HEAD.format(region=region, project_id=project_id, endpoints=given, none=none, name=name)
    return head + "".join(lines) + _TAIL


def _comment(instance: Instance) -> str:
    # A name is anybody's text: it must not end its comment.
    return "".join(char if char.isprintable() else " " for char in f"{instance.name} ({instance.status})")
