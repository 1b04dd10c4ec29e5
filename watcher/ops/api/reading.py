"""Requests read into models, and what is wrong with them in words for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, TypeVar, get_origin

from multidict import MultiMapping
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from watcher.ops.problems import Problem

POINTER = "pointer"
PARAMETER = "parameter"
_WORDS = {
    "missing": "is missing",
    "string_too_short": "must not be empty",
    "string_type": "must be one text",
    "int_type": "must be one whole number",
    "int_parsing": "must be a whole number",
}
_Model = TypeVar("_Model", bound=BaseModel)
_Location = tuple[int | str, ...]


def read_body(model: type[_Model], content: bytes) -> _Model:
    """The body of a request; raises a Problem that says where it is wrong."""
    try:
        return model.model_validate_json(content or b"{}")
    except ValidationError as error:
        raise _problem(error, model, at=POINTER) from None


def read_query(model: type[_Model], query: MultiMapping[str]) -> _Model:
    """The query parameters of a request; raises a Problem that says which is wrong."""
    fields = model.model_fields
    given: dict[str, Any] = {}
    for key in query:
        values = query.getall(key)
        is_list = key in fields and get_origin(fields[key].annotation) is tuple
        given[key] = values if is_list or len(values) > 1 else values[0]
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise _problem(error, model, at=PARAMETER) from None


def read_path(model: type[_Model], given: Mapping[str, str]) -> _Model:
    """What is named in the path of a request; raises a Problem: there can be no such thing."""
    try:
        return model.model_validate(dict(given))
    except ValidationError as error:
        raise Problem(404, _problem(error, model, at=PARAMETER).detail) from None


def conflict(errors: Iterable[tuple[_Location, str]]) -> Problem:
    """What is written well and cannot be at present, as a problem."""
    return invalid(errors, status=409)


def invalid(errors: Iterable[tuple[_Location, str]], *, at: str = POINTER, status: int = 400) -> Problem:
    """What is wrong where, as a problem."""
    told = list(errors)
    where = [
        {at: "#" + "".join(f"/{step}" for step in location) if at == POINTER else str(location[0]), "detail": words}
        for location, words in told
        if location
    ]
    lines = [f"{_path(location)}: {words}" if location else words for location, words in told]
    return Problem(status, "; ".join(lines), errors=where)


def _problem(error: ValidationError, model: type[BaseModel], *, at: str) -> Problem:
    found = error.errors(include_url=False, include_input=False)
    return invalid([(each["loc"], _words(each, model)) for each in found], at=at)


def _path(location: Sequence[int | str]) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in location).removeprefix(".")


def _words(error: ErrorDetails, model: type[BaseModel]) -> str:
    context: Mapping[str, Any] = error.get("ctx", {})
    match error["type"]:
        case "value_error":
            return str(context["error"])
        case "json_invalid":
            return f"the body is not JSON: {context['error']}"
        case "model_type":
            return "must be a JSON object" if error["loc"] else "the body must be a JSON object"
        case "extra_forbidden":
            return _unknown(error["loc"], model)
        case kind:
            return _WORDS.get(kind) or error["msg"].replace("Input should", "must")


def _unknown(location: _Location, model: type[BaseModel]) -> str:
    *way, key = location
    for step in way:
        field = next((field for name, field in model.model_fields.items() if step in (name, field.alias)), None)
        if field is not None and isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            model = field.annotation
    known = [field.alias or name for name, field in model.model_fields.items()]
    close = get_close_matches(str(key), known, n=1)
    return f"unknown, did you mean '{close[0]}'?" if close else f"unknown; known are {', '.join(known)}"
