"""The examples load, the schema takes what the loader takes, and the document names every key with its default."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest
import yaml

from tests.unit.settings.schema_keys import keys
from watcher.settings import json_schema, load, load_text

ROOT = Path(__file__).parents[3]
EXAMPLES = sorted((ROOT / "config").glob("*.yaml"))
DOCUMENT = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `(?P<key>[^`]+)` \| ?(?P<default>[^|]*?) ?\| (?P<meaning>.*) \|$", re.MULTILINE)
SCHEMA = json_schema()


def violations(text: str) -> list[str]:
    """What the schema says of a YAML text as an editor would hand it over."""
    validator = jsonschema.Draft202012Validator(SCHEMA)
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(yaml.safe_load(text))]


def switched_on(text: str) -> str:
    """The example with every key that is switched off by a `#` right before it."""
    return re.sub(r"^(\s*)#(?=[a-z-])", r"\1", text, flags=re.MULTILINE)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: str(path.name))
def test_the_examples_load_without_findings_and_match_the_schema(path: Path) -> None:
    result = load(path, {})
    assert result.settings is not None
    assert result.findings == ()
    assert violations(path.read_text(encoding="utf-8")) == []


def test_what_is_switched_off_in_the_example_is_good_too() -> None:
    text = switched_on((ROOT / "config" / "watcher.yaml").read_text(encoding="utf-8"))
    result = load_text(text, {}, file="watcher.yaml")
    assert result.settings is not None, result.findings
    assert len(result.settings.receivers) == 7
    assert {finding.level for finding in result.findings} == {"notice"}
    assert violations(text) == []


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    json.dumps(SCHEMA)
    assert SCHEMA["$defs"]["StoreSettings"]["properties"]["url"]["default"] == "sqlite:///watcher.db"


GOOD = "sources: [{name: a, region: cn-north-4, instances: ['1']}]\n"


@pytest.mark.parametrize(
    "text",
    [
        "sources: [{name: a, region: cn-north-4, project_id: 01, instances: [69, {id: 5, labels: {a: 1}}]}]",
        "sources: [{name: 1, region: cn-north-4, instances: ['${ID:-1}', {id: '${ID:-2}'}], poll: }]",
        GOOD
        + "poll: {interval: 15, steady_interval: 1.5, timeout: 500ms, jitter: '${J:-0}', mode: '${M:-get}', backoff: }",
        GOOD + "poll: {concurrency: '${C:-4}', rate_limit: 180 / 1m}\nalerts:\nreceivers:\nlog: {level: }",
        GOOD + "alerts: {repeat_interval: 0, stuck: {after: {BUILDING: 90, NEWSTATUS: 1d}, learned: no}}",
        GOOD + "receivers: [{name: s, type: slack, webhook_url_file: /dev/null}, {name: c, type: console}]\n"
        "routes: [{receivers: s}, {receivers: [s, c], match: {kind: missing, severity: [info]}, continue: on}]",
        GOOD + "receivers: [{name: s, type: webhook, url: '${U:-http://h}', secret: 1234, template: {title: t}}]",
        GOOD + "maintenance: [{name: m, days: sat, start: 22:00, duration: 4h}, {name: n, start: '7:30'}]",
        GOOD + "web: {listen: '${L:-:9468}', auth: {bearer_token: 123}, metrics_instance_limit: 0}",
        GOOD + "store: {url_file: %s}\nheartbeat: {url: 'https://h', interval: 60}",
    ],
)
def test_the_schema_takes_what_the_loader_takes(text: str, tmp_path: Path) -> None:
    store = tmp_path / "store"
    store.write_text("sqlite:///a.db", encoding="utf-8")
    text = text.replace("%s", str(store))
    result = load_text(text, {}, file="f")
    assert result.settings is not None, result.findings
    assert violations(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "sources: []",
        "sources: [{region: cn-north-4}]",
        GOOD + "colour: red",
        GOOD + "poll: {intervall: 1s}",
        GOOD + "poll: {interval: soon}",
        GOOD + "poll: {interval: -1}",
        GOOD + "poll: {concurrency: 0}",
        GOOD + "log: {level: loud}",
        GOOD + "log: [info]",
        GOOD + "receivers: [{name: x, url: 'http://h'}]",
        GOOD + "receivers: [{name: x, type: webhook}]",
        GOOD + "receivers: [{name: X, type: console}]",
        GOOD + "routes: [{match: {labels: {a-b: c}}, receivers: x}]",
        GOOD + "routes: [{match: {from_status: A}, receivers: x}]",
        GOOD + "maintenance: [{name: m, start: '25:00'}]",
    ],
)
def test_the_schema_refuses_what_the_loader_refuses(text: str) -> None:
    assert load_text(text, {}, file="f").settings is None
    assert violations(text)


def documented() -> dict[str, re.Match[str]]:
    return {row["key"]: row for row in ROW.finditer(DOCUMENT)}


def test_every_key_is_documented_with_its_default() -> None:
    rows = documented()
    covered = tuple(key.removesuffix("*") for key in rows if key.endswith(".*"))
    for key, part in keys(SCHEMA):
        if key.startswith(covered):
            continue
        assert key in rows, f"docs/configuration.md lacks {key}"
        default = part.get("default")
        if default not in (None, [], "") and not isinstance(default, list) and key != "receivers[].url":
            assert rows[key]["default"] == f"`{json.dumps(default).strip(chr(34))}`", key


def test_nothing_is_documented_that_is_not_there() -> None:
    there = {key for key, _ in keys(SCHEMA)}
    assert [key for key in documented() if not key.endswith(".*") and key not in there] == []


def test_every_key_is_described_in_the_schema() -> None:
    for key, part in keys(SCHEMA):
        described = "description" in json.dumps(part) or "$ref" in json.dumps(part) or "const" in part
        assert described, key
