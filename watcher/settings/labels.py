"""Labels: words an operator hangs on instances, to route and to show them by."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, WithJsonSchema

_LABEL = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*")


def _check_label(value: str) -> str:
    if not _LABEL.fullmatch(value):
        raise ValueError("a label's name is letters, digits and underscores, begins with no digit and not with '__'")
    return value


LabelName = Annotated[
    str, AfterValidator(_check_label), WithJsonSchema({"type": "string", "pattern": f"^{_LABEL.pattern}$"})
]
"""A name that Prometheus accepts for a label."""

Labels = dict[LabelName, str]
"""Label names and their values."""
