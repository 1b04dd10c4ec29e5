"""The resolved configuration, fit to be logged: every default filled in, no secret in it."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Any

from pydantic import AnyUrl, SecretStr

from watcher.fields import hide_credentials
from watcher.settings.model import Settings


def redacted(settings: Settings) -> dict[str, Any]:
    """The settings by the file's keys, in values that JSON has; secrets are hidden, keys without a value left out."""
    shown: dict[str, Any] = _shown(settings.model_dump(by_alias=True, exclude_none=True))
    return shown


def _shown(value: object) -> Any:
    if isinstance(value, dict):
        return {key: _shown(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_shown(item) for item in value]
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, AnyUrl):
        return hide_credentials(str(value))
    if isinstance(value, SecretStr | Path):
        return str(value)
    return value
