"""The configuration's JSON Schema, for editors and linters.

It takes what the loader takes, as a YAML parser hands it over: texts that look like numbers come as numbers, any scalar
may hold a `${VAR}`, and a key that is not required may be there without a value.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

from pydantic import SecretStr
from pydantic.json_schema import GenerateJsonSchema

from watcher.fields import Rate, format_duration
from watcher.settings.model import Settings
from watcher.settings.service import Listen

_INTERPOLATED = {"$ref": "#/$defs/Interpolated"}
_NULL = {"type": "null"}
_ANNOTATIONS = ("title", "description", "default", "examples")
_LOOKALIKES = {"number": "12", "boolean": "true"}


class _Generator(GenerateJsonSchema):
    def encode_default(self, dft: Any) -> Any:
        """Defaults as the file has them, not as Python does."""
        if isinstance(dft, timedelta):
            return format_duration(dft)
        if isinstance(dft, Rate | Listen):
            return str(dft)
        return dft.get_secret_value() if isinstance(dft, SecretStr) else super().encode_default(dft)


def json_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of a configuration file."""
    schema = _loosened(Settings.model_json_schema(schema_generator=_Generator))
    schema["$defs"]["Interpolated"] = {
        "type": "string",
        "pattern": r"\$\{",
        "description": "A text with ${VAR} or ${VAR:-default} in it, read from the environment.",
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Configuration of the watcher",
        **schema,
    }


def _loosened(schema: dict[str, Any], *, numbers: bool = True) -> dict[str, Any]:
    """`numbers`: a text may come as a number."""
    loose = {key: value for key, value in schema.items() if key not in ("title", "discriminator")}
    if loose.get("default") is None or isinstance(loose["default"], dict) or "const" in loose:
        loose.pop("default", None)  # a section's defaults stand at its keys, and a tag is required
    for key in ("$defs", "properties", "patternProperties"):
        if key in loose:
            loose[key] = {name: _loosened(part) for name, part in loose[key].items()}
    for key in ("items", "additionalProperties"):
        if isinstance(loose.get(key), dict):
            loose[key] = _loosened(loose[key])
    for key in ("anyOf", "oneOf"):
        if key in loose:
            numbers = not any(part.get("type") in ("number", "integer") for part in loose[key])
            loose[key] = _flat([_loosened(part, numbers=numbers) for part in loose[key]])
    if "patternProperties" in loose:
        loose["additionalProperties"] = False
    if "properties" in loose:
        return _with_optional_values(loose)
    return _with_lookalikes(loose, numbers=numbers)


def _with_optional_values(section: dict[str, Any]) -> dict[str, Any]:
    """A key that is not required may have no value; the key that tells a section from its like is required."""
    properties = section["properties"]
    tags = [name for name, part in properties.items() if "const" in part]
    required = sorted({*section.get("required", ()), *tags})
    loose = {name: part if name in required else _or(part, _NULL) for name, part in properties.items()}
    return {**section, "properties": loose, **({"required": required} if required else {})}


def _with_lookalikes(schema: dict[str, Any], *, numbers: bool) -> dict[str, Any]:
    """A scalar as YAML may hand it over: a number for a text of digits, or a text with `${VAR}` for anything."""
    if "const" in schema or schema.get("type") not in ("string", "integer", "number", "boolean"):
        return schema
    if schema["type"] != "string" or "enum" in schema or schema.get("format") == "uri":
        return _or(schema, _INTERPOLATED)
    pattern = schema.get("pattern", "")
    alike = [name for name, text in _LOOKALIKES.items() if re.search(pattern, text)] if numbers else []
    return _or({**schema, "type": ["string", *alike] if alike else "string"}, *([_INTERPOLATED] if pattern else []))


def _or(schema: dict[str, Any], *others: dict[str, Any]) -> dict[str, Any]:
    """The schema or any of `others`; what is said about it stays outside."""
    about = {key: value for key, value in schema.items() if key in _ANNOTATIONS}
    core = {key: value for key, value in schema.items() if key not in _ANNOTATIONS}
    allowed = _flat([core, *others])
    return {**about, "anyOf": allowed} if len(allowed) > 1 else schema


def _flat(schemas: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Alternatives within alternatives, each once."""
    flat: list[dict[str, Any]] = []
    for schema in schemas:
        flat += [one for one in (schema["anyOf"] if set(schema) == {"anyOf"} else [schema]) if one not in flat]
    return flat
