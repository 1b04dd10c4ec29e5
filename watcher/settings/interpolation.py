"""`${VAR}`, `${VAR:-default}` and `$$` in the texts of a configuration."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

_TOKEN = re.compile(r"\$\$|\$\{(?P<inside>[^}]*)(?P<end>\}?)", re.DOTALL)
_VARIABLE = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<fallback>:-(?P<default>.*))?", re.DOTALL)


class InterpolationError(ValueError):
    """A reference that cannot be followed; `str()` names the variable, never a value."""


class Interpolated(NamedTuple):
    """A text with its references followed; `from_environment`: some of it is a variable's value."""

    text: str
    from_environment: bool


def interpolate(text: str, environment: Mapping[str, str]) -> Interpolated:
    """Follow the references in `text`; raises InterpolationError.

    As in a shell, a default is used for a variable that is unset or empty. A lone `$` stays as it is, and values are
    not looked through again.
    """
    used_environment = False

    def follow(token: re.Match[str]) -> str:
        nonlocal used_environment
        if token[0] == "$$":
            return "$"
        reference = _VARIABLE.fullmatch(token["inside"])
        if not token["end"] or reference is None:
            raise InterpolationError("not a reference: write ${VAR} or ${VAR:-default}, and $$ for a dollar sign")
        value = environment.get(reference["name"])
        if reference["fallback"] is not None and not value:
            return reference["default"]
        if value is None:
            raise InterpolationError(
                f"the environment variable {reference['name']} is not set; "
                f"${{{reference['name']}:-default}} gives a default"
            )
        used_environment = True
        return value

    return Interpolated(_TOKEN.sub(follow, text), used_environment)
