"""What of the Prometheus operator's objects is used here, as JSON Schemas: Kubernetes' own do not know them.

Written after the operator's API reference, https://prometheus-operator.dev/docs/api-reference/api/ (v1), and strict
where the operator would drop an unknown field without a word.
"""

from __future__ import annotations

from typing import Any

_TEXT = {"type": "string"}
_TEXTS = {"type": "object", "additionalProperties": _TEXT}
_DURATION = {"type": "string", "pattern": r"^(0|(\d+y)?(\d+w)?(\d+d)?(\d+h)?(\d+m)?(\d+s)?(\d+ms)?)$", "minLength": 1}


def _object(required: tuple[str, ...], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


def _custom_resource(spec: dict[str, Any]) -> dict[str, Any]:
    metadata = _object(("name",), name=_TEXT, namespace=_TEXT, labels=_TEXTS, annotations=_TEXTS)
    return _object(
        ("apiVersion", "kind", "metadata", "spec"), apiVersion=_TEXT, kind=_TEXT, metadata=metadata, spec=spec
    )


_KEY = _object(("name", "key"), name={"type": "string", "minLength": 1}, key=_TEXT, optional={"type": "boolean"})
_RELABELING = _object(
    (),
    action={"type": "string"},
    sourceLabels={"type": "array", "items": _TEXT},
    separator=_TEXT,
    targetLabel=_TEXT,
    regex=_TEXT,
    replacement=_TEXT,
    modulus={"type": "integer"},
)
_ENDPOINT = _object(
    ("port",),
    port=_TEXT,
    path={"type": "string", "pattern": "^/"},
    scheme={"enum": ["http", "https"]},
    interval=_DURATION,
    scrapeTimeout=_DURATION,
    # `bearerTokenSecret` and `bearerTokenFile` are deprecated in favour of this.
    authorization=_object(("credentials",), type=_TEXT, credentials=_KEY),
    tlsConfig={"type": "object"},
    relabelings={"type": "array", "items": _RELABELING},
    metricRelabelings={"type": "array", "items": _RELABELING},
)
_SERVICE_MONITOR = _object(
    ("selector", "endpoints"),
    jobLabel=_TEXT,
    selector=_object(("matchLabels",), matchLabels=_TEXTS),
    namespaceSelector={"type": "object"},
    endpoints={"type": "array", "items": _ENDPOINT, "minItems": 1},
)
_RULE = {
    **_object(
        ("expr",),
        alert=_TEXT,
        record=_TEXT,
        expr={"type": ["string", "integer"]},
        **{"for": _DURATION, "keep_firing_for": _DURATION},
        labels=_TEXTS,
        annotations=_TEXTS,
    ),
    "oneOf": [
        {"required": ["alert"]},
        {"required": ["record"], "not": {"anyOf": [{"required": ["annotations"]}, {"required": ["for"]}]}},
    ],
}
_GROUP = _object(
    ("name", "rules"),
    name={"type": "string", "minLength": 1},
    interval=_DURATION,
    limit={"type": "integer"},
    query_offset=_DURATION,
    labels=_TEXTS,
    rules={"type": "array", "items": _RULE, "minItems": 1},
)
_PROMETHEUS_RULE = _object(("groups",), groups={"type": "array", "items": _GROUP, "minItems": 1})

CUSTOM_RESOURCES = {
    ("monitoring.coreos.com/v1", "ServiceMonitor"): _custom_resource(_SERVICE_MONITOR),
    ("monitoring.coreos.com/v1", "PrometheusRule"): _custom_resource(_PROMETHEUS_RULE),
}
"""By apiVersion and kind."""
