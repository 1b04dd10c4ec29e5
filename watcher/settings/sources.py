"""What is watched: `sources`, their instances and what they discover."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Annotated, Any

from pydantic import AfterValidator, Field, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from watcher.cloud.settings import ConnectionSettings
from watcher.fields import Name, Section
from watcher.matching import Labels
from watcher.settings.polling import PollOverrides

InstanceId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:-]+$", max_length=128)]


_PLACEHOLDER = re.compile(r"\{[^{}]*\}?|\}")


def _check_console_url(value: str) -> str:
    if not value.startswith(("https://", "http://")):
        raise ValueError("must begin with https:// or http://")
    if any(found not in ("{instance_id}", "{instance_name}") for found in _PLACEHOLDER.findall(value)):
        raise ValueError("holds a placeholder other than {instance_id} and {instance_name}")
    return value


ConsoleUrl = Annotated[str, AfterValidator(_check_console_url)]


class InstanceSettings(Section):
    """One image instance to watch; its id alone will do."""

    id: InstanceId
    """The cloud's id of the image server."""
    labels: Labels = Field(default_factory=dict)
    """Labels its events carry."""

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        in_full = handler(schema)
        return {"anyOf": [handler.resolve_ref_schema(in_full)["properties"]["id"], in_full]}

    @model_validator(mode="before")
    @classmethod
    def _from_id(cls, data: Any) -> Any:
        return {"id": data} if isinstance(data, str) else data


class DiscoverSettings(Section):
    """Instances to watch because the list call returns them."""

    name: str | None = Field(None, min_length=1)
    """The instance's name; `*`, `?` and `[...]` as in a shell."""
    enterprise_project_id: str | None = Field(None, min_length=1)
    """Only those of this enterprise project; `0` is the default one."""
    labels: Labels = Field(default_factory=dict)
    """Labels their events carry."""


class SourceSettings(ConnectionSettings):
    """One cloud project in one region, reached with one credential."""

    name: Name
    """Unique among the sources; metrics, routes and the API call it so."""
    console_url: ConsoleUrl | None = None
    """The cloud console's page of an instance, for links; `{instance_id}` and `{instance_name}` are put in."""
    poll: PollOverrides = PollOverrides()
    """What this source changes of the top-level `poll`."""
    instances: tuple[InstanceSettings, ...] = ()
    """The instances to watch: `{id, labels}`, or the id alone."""
    discover: tuple[DiscoverSettings, ...] = ()
    """Watch what the list call returns, too; `{}` is everything."""

    @classmethod
    def pair_problems(cls, given: Collection[str]) -> Iterator[tuple[str, str]]:
        """A source that watches nothing."""
        yield from super().pair_problems(given)
        if "instances" not in given and "discover" not in given:
            yield "", "missing required key 'instances' (or 'discover')"
