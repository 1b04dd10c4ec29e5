"""Which events are meant, as people write it: in routes, maintenance windows and silences.

Beside `fields`, because the configuration and the API ask for it alike.
"""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, ConfigDict, Field, WithJsonSchema

from watcher.core.model import EventKind, Severity
from watcher.core.routing import Matcher, matcher_from_json
from watcher.fields import OneOrMany, Section

_LABEL = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*")


def _check_label(value: str) -> str:
    if not _LABEL.fullmatch(value):
        raise ValueError("a label's name is letters, digits and underscores, begins with no digit and not with '__'")
    return value


LabelName = Annotated[str, AfterValidator(_check_label)]
"""A name that Prometheus accepts for a label."""

Labels = Annotated[
    dict[LabelName, str],
    WithJsonSchema(
        {
            "type": "object",
            "propertyNames": {"pattern": f"^{_LABEL.pattern}$"},
            "additionalProperties": {"type": "string"},
        }
    ),
]
"""Label names and their values."""

Text = Annotated[str, Field(min_length=1)]


class MatchSettings(Section):
    """Which events are meant: all keys given must hold; of a list one must. Nothing given: every event."""

    model_config = ConfigDict(populate_by_name=False)  # only `from`: what the loader sees to, the API does not

    kind: OneOrMany[EventKind] = ()
    """What the event tells."""
    from_status: OneOrMany[Text] = Field((), alias="from")
    """The status before."""
    to_status: OneOrMany[Text] = Field((), alias="to")
    """The status after."""
    source: OneOrMany[Text] = ()
    """The source's name."""
    instance_id: OneOrMany[Text] = ()
    """The instance's id."""
    name: OneOrMany[Text] = ()
    """The instance's name; `*`, `?` and `[...]` as in a shell."""
    severity: OneOrMany[Severity] = ()
    """How much the event matters: exactly these."""
    labels: Labels = Field(default_factory=dict)
    """Labels the instance must have, with these values."""

    def matcher(self) -> Matcher:
        """The same as a value."""
        return matcher_from_json(self.model_dump(mode="json", by_alias=True))
