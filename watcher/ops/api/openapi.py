"""The OpenAPI document (3.1.0), made of the endpoints and their models."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from watcher import __version__
from watcher.ops.api.endpoint import PREFIX, Endpoint
from watcher.ops.api.requests import StreamQuery
from watcher.ops.api.shapes import EventShape, ProblemShape

_REF = "#/components/schemas/{model}"
_PROBLEM = {"application/problem+json": {"schema": {"$ref": _REF.format(model=ProblemShape.__name__)}}}
_ETAG = {"description": "Weak: the same as long as the list tells the same", "schema": {"type": "string"}}
_DESCRIPTION = "What a watcher knows of image instances on Huawei Cloud Workspace, and what people may ask of it."
Schema = dict[str, Any]


def document(endpoints: Sequence[Endpoint], *, security: Collection[str]) -> Schema:
    """The document of these endpoints, and of the stream; `security`: the schemes, any of which is needed."""
    shapes: set[type[BaseModel]] = {ProblemShape, EventShape}
    for each in endpoints:
        shapes |= {shape for shape in (each.answer, each.body) if shape is not None}
    ordered = sorted(shapes, key=lambda shape: shape.__name__)
    modes: list[Any] = [(shape, "validation") for shape in ordered]
    _, schemas = models_json_schema(modes, ref_template=_REF)
    paths: dict[str, Schema] = {}
    for each in endpoints:
        operation = _operation(each, is_open=not security)
        paths.setdefault(PREFIX + each.path, {})[each.method.lower()] = operation
    paths[f"{PREFIX}/stream"] = {"get": _stream(is_open=not security)}
    schemes = {name: {"type": "http", "scheme": name} for name in security}
    return {
        "openapi": "3.1.0",
        "info": {"title": "watcher", "version": __version__, "description": _DESCRIPTION},
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {"schemas": schemas.get("$defs", {})} | ({"securitySchemes": schemes} if schemes else {}),
    } | ({"security": [{name: []} for name in schemes]} if schemes else {})


def _operation(endpoint: Endpoint, *, is_open: bool) -> Schema:
    is_write = endpoint.method != "GET"
    problems = dict(endpoint.problems)
    if endpoint.query is not None or endpoint.in_path is not None or endpoint.body is not None:
        problems.setdefault(400, "Something in the request is wrong: `errors` says where")
    if is_write:
        problems |= {
            403: "Nothing may be changed, or not from there",
            408: "The body did not come in time",
            413: "The body is larger than 64 KiB",
            415: "The body is not application/json",
        }
    problems |= _everywhere(is_open=is_open)
    operation: Schema = {
        "operationId": endpoint.operation_id,
        "summary": endpoint.summary,
        "parameters": [*_parameters(endpoint.in_path, "path"), *_parameters(endpoint.query, "query")],
        "responses": {str(endpoint.status): _good(endpoint), **_answers(problems)},
    }
    if endpoint.answer is not None and endpoint.answer.has_etag:
        operation["parameters"].append({"name": "If-None-Match", "in": "header", "schema": {"type": "string"}})
        operation["responses"]["304"] = {"description": "It tells the same as that with this ETag"}
    if endpoint.body is not None:
        operation["requestBody"] = {
            "required": any(field.is_required() for field in endpoint.body.model_fields.values()),
            "content": {"application/json": {"schema": {"$ref": _REF.format(model=endpoint.body.__name__)}}},
        }
    return operation


def _good(endpoint: Endpoint) -> Schema:
    if endpoint.answer is None:
        return {"description": "Done"}
    schema = {"$ref": _REF.format(model=endpoint.answer.__name__)}
    good: Schema = {"description": "As asked for", "content": {"application/json": {"schema": schema}}}
    if endpoint.answer.has_etag:
        good["headers"] = {"ETag": _ETAG}
    if endpoint.leads_to:
        good["links"] = {
            name: {
                "operationId": name,
                "parameters": {key: f"$response.body#{pointer}" for key, pointer in where.items()},
            }
            for name, where in endpoint.leads_to.items()
        }
    return good


def _everywhere(*, is_open: bool) -> dict[int, str]:
    problems = {500: "A fault of the watcher's own", 503: "The store cannot be used: try again"}
    return problems | ({} if is_open else {401: "What `web.auth` asks for was not shown"})


def _answers(problems: Mapping[int, str]) -> Schema:
    return {str(status): {"description": why, "content": _PROBLEM} for status, why in sorted(problems.items())}


def _parameters(model: type[BaseModel] | None, place: str) -> Iterator[Schema]:
    if model is None:
        return
    schema = model.model_json_schema(ref_template=_REF)
    shared = schema.get("$defs", {})
    for name, given in schema["properties"].items():
        told = _inlined(given, shared)
        told.pop("title", None)
        yield {"name": name, "in": place, "required": place == "path", "schema": _present(told)}


def _present(schema: Schema) -> Schema:
    """A parameter that is not given is left out: it is never null."""
    kinds = [kind for kind in schema.get("anyOf", ()) if kind != {"type": "null"}]
    if len(kinds) != 1:
        return schema
    rest = {key: value for key, value in schema.items() if key not in ("anyOf", "default")}
    return {**kinds[0], **rest}


def _inlined(schema: Any, shared: Mapping[str, Any]) -> Any:
    """The schema without references to others."""
    if isinstance(schema, list):
        return [_inlined(each, shared) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _inlined(shared[schema["$ref"].rpartition("/")[2]], shared)
    return {key: _inlined(value, shared) for key, value in schema.items()}


def _stream(*, is_open: bool) -> Schema:
    problems = {400: "Something in the request is wrong: `errors` says where", **_everywhere(is_open=is_open)}
    resume = {
        "name": "Last-Event-ID",
        "in": "header",
        "description": "The id of the last event that came: the stream goes on behind it",
        "schema": {"type": "string"},
    }
    return {
        "operationId": "stream",
        "summary": "Each event as it comes (server-sent events); it does not end by itself",
        "description": (
            "Each message has the id of an event as `id` and the event (EventShape) as `data`. A comment comes "
            "every 15 s. A message of type `reset` says that the event to go on behind is not kept: load all anew."
        ),
        "parameters": [*_parameters(StreamQuery, "query"), resume],
        "responses": {
            "200": {
                "description": "The stream",
                "content": {"text/event-stream": {"schema": {"type": "string"}}},
            },
            **_answers(problems),
        },
    }
