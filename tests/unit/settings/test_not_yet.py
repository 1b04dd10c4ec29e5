from __future__ import annotations

import pytest

from tests.unit.settings.schema_keys import keys
from watcher.settings import json_schema, load_text
from watcher.settings.not_yet import NOT_YET

GOOD = "sources: [{name: a, region: cn-north-4, instances: ['1'], discover: [{}], poll: {mode: list}}]\n"


def notices(text: str) -> list[str]:
    result = load_text(GOOD + text, {}, file="f")
    assert result.settings is not None, result.findings
    assert {finding.level for finding in result.findings} <= {"notice"}
    return [finding.path for finding in result.findings]


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("poll: {mode: list, rate_limit: 1/1s}", []),
        ("alerts: {error: {severity: info}, missing: {severity: info}, unreachable: {after: 1m}}", []),
        ("alerts: {build_failed: {after: 1m}, stuck: {}, flapping: {}, repeat_interval: 0}", []),
        ("alerts: {stuck: }", []),
        ("receivers: [{name: x, type: console, min_severity: info, max_age: 1h, timeout: 1s}]", []),
        (
            "receivers: [{name: x, type: console, send_resolved: no, digest_over: 0, rate_limit: 1/1s, template: {}}]",
            [],
        ),
        ("receivers: [{name: x, type: pagerduty, routing_key: k, region: eu, informational: yes}]", []),
        ("receivers: [{name: x, type: alertmanager, url: 'http://h'}]", []),
        ("receivers: [{name: x, type: apprise, urls: ['json://h']}]", []),
        ("receivers: [{name: x, type: slack, webhook_url: 'http://h'}]", []),
        ("receivers: [{name: x, type: slack, bot_token: t, channel: c}]", []),
        ("receivers: [{name: x, type: webhook, url: 'http://h', format: standard}]", []),
        ("receivers: [{name: x, type: webhook, url: 'http://h', format: cloudevents}]", []),
        ("receivers: [{name: x, type: webhook, url: 'http://h', format: alertmanager}]", []),
        ("maintenance: [{name: x, start: '1:00'}]", []),
        ("cluster: {lease_ttl: 1s}", ["cluster"]),
        ("heartbeat: {url: 'http://h'}", []),
        ("store: {url: 'sqlite:///a.db'}", []),
        ("store: {retention: 1d}", []),
        ("web: {auth: {bearer_token: t}}", []),
        ("web: {tls: {cert_file: /dev/null, key_file: /dev/null}}", []),
    ],
)
def test_what_does_nothing_yet_is_told_where_it_is_given(text: str, paths: list[str]) -> None:
    assert notices(text) == paths


def test_every_line_of_the_table_names_a_key_there_is() -> None:
    there = {key for key, _ in keys(json_schema())}
    assert [entry.key for entry in NOT_YET if entry.key not in there] == []
