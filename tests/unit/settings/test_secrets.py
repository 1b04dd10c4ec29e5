"""Nothing secret, and nothing from the environment, is ever shown."""

from __future__ import annotations

import json
import string
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from watcher.settings import Finding, load_text, redacted
from watcher.settings.parser import parse_tree

CANARY = "canary7f3a"

EVERY_SECRET = f"""
sources:
  - name: a
    region: cn-north-4
    project_id: p
    proxy_url: http://u:{CANARY}@proxy.example:1
    auth: {{method: aksk, access_key: {CANARY}, secret_key: {CANARY}, security_token: {CANARY}}}
    instances: ["1"]
  - name: b
    region: cn-north-4
    auth: {{method: token, token: {CANARY}}}
    instances: ["1"]
  - name: c
    region: cn-north-4
    auth: {{method: password, user: u, domain: d, password: {CANARY}}}
    instances: ["1"]
receivers:
  - {{name: hooks, type: webhook, url: "https://u:{CANARY}@h/?t={CANARY}#{CANARY}", secret: whsec_{CANARY}MfKQ9r}}
  - {{name: chat, type: slack, webhook_url: "https://h/{CANARY}"}}
  - {{name: bot, type: slack, bot_token: {CANARY}, channel: c}}
  - {{name: oncall, type: pagerduty, routing_key: {CANARY}, url: "https://u:{CANARY}@h/"}}
  - {{name: am, type: alertmanager, url: "https://u:{CANARY}@h/"}}
  - {{name: misc, type: apprise, urls: ["mailto://u:{CANARY}@h.example"]}}
store: {{url: "sqlite:///watcher.db?key={CANARY}"}}
web: {{auth: {{bearer_token: {CANARY}}}}}
heartbeat: {{url: "https://h/{CANARY}"}}
"""


def test_settings_show_no_secret() -> None:
    result = load_text(EVERY_SECRET, {}, file="f")
    assert result.settings is not None, result.findings
    shown = json.dumps(redacted(result.settings))
    for text in (shown, repr(result.settings), str(result.settings), repr(result)):
        assert CANARY not in text
    assert "sqlite:///watcher.db?***" in shown
    assert "https://***@h/?***" in shown


@pytest.mark.parametrize(
    "wrong",
    [
        "%s",
        "!x %s",
        "!%s!x y",
        "*%s",
        "@%s",
        '"%s',
        "[%s]",
        "{%s: x}",
        "{%s:x}",
        "{? [%s]}",
        "|9 %s",
        "&a %s: %s",
        "${%s",
    ],
)
@pytest.mark.parametrize("key", ["password", "proxy_url", "project_id", "name", "auth", "poll", "instances"])
def test_no_finding_shows_what_was_written(key: str, wrong: str) -> None:
    text = f"sources:\n  - name: a\n    region: cn-north-4\n    {key}: {wrong.replace('%s', CANARY + '!:secret')}\n"
    result = load_text(text, {}, file="f")
    assert result.findings
    assert CANARY not in repr(result)
    _, remarks = parse_tree(text, {}, loader=yaml.SafeLoader)  # its messages quote more of the text
    assert CANARY not in repr([Finding.of(remark, file="f") for remark in remarks])


ENVIRONMENT_EVERYWHERE = """
sources:
  - name: "${V}"
    region: "${V}"
    project_id: "${V}"
    endpoint: "${V}"
    proxy_url: "${V}"
    tls: {ca_file: "${V}", insecure_skip_verify: "${V}"}
    auth: {method: "${V}", access_key: "${V}"}
    poll: {interval: "${V}", jitter: "${V}", mode: "${V}", rate_limit: "${V}", backoff: {max: "${V}"}}
    instances: ["${V}", {id: "${V}", labels: {a: "${V}"}}]
alerts: {error: {severity: "${V}"}, stuck: {after: {BUILDING: "${V}"}}}
receivers:
  - {name: "${V}", type: webhook, url: "${V}", secret: "${V}", format: "${V}"}
  - {name: "${V}", type: slack, webhook_url: "${V}"}
  - {name: "${V}", type: "${V}"}
routes:
  - {match: {kind: "${V}", to: ["${V}"], source: x, severity: "${V}"}, receivers: [x, "${V}"], continue: "${V}"}
maintenance: [{name: "${V}", days: "${V}", start: "${V}", duration: "${V}", timezone: "${V}"}]
store: {url: "${V}", retention: "${V}"}
web: {listen: "${V}", external_url: "${V}", metrics_instance_limit: "${V}", tls: {cert_file: "${V}"}}
log: {level: "${V}", format: "${V}"}
heartbeat: {url: "${V}", interval: "${V}"}
"""


@settings(deadline=None, max_examples=50)
@given(st.text(string.printable, max_size=20))
def test_no_finding_shows_a_value_of_the_environment(tail: str) -> None:
    result = load_text(ENVIRONMENT_EVERYWHERE, {"V": CANARY + tail}, file="f")
    assert len(result.findings) > 30
    assert CANARY not in repr(result)


def test_a_name_from_the_environment_is_not_suggested() -> None:
    text = "sources: [{name: a, region: cn-north-4, instances: ['1']}]\nroutes: [{receivers: [canary7f3]}]\n"
    receiver = "receivers: [{name: %s, type: console}]\n"
    written = load_text(text + receiver % CANARY, {}, file="f").findings
    assert [finding.message for finding in written] == [f"no such receiver, did you mean '{CANARY}'?"]
    taken = load_text(text + receiver % "'${V}'", {"V": CANARY}, file="f").findings
    assert [finding.message for finding in taken] == ["no such receiver"]


def test_a_value_cannot_change_the_structure_of_the_file() -> None:
    value = 'x"}\nlog: {level: debug}\n- *a ${HOME} $$'
    text = "sources: [{name: a, region: cn-north-4, instances: [{id: '1', labels: {a: \"${V}\"}}]}]"
    result = load_text(text, {"V": value, "HOME": CANARY}, file="f")
    assert result.settings is not None
    assert result.settings.sources[0].instances[0].labels == {"a": value}
    assert result.settings.log.level == "info"


def test_a_file_wins_over_a_default(tmp_path: Path) -> None:
    path = tmp_path / "url"
    path.write_text("sqlite:///elsewhere.db\n", encoding="utf-8")
    text = f"sources: [{{name: a, region: cn-north-4, instances: ['1']}}]\nstore: {{url_file: {path}}}"
    result = load_text(text, {}, file="f")
    assert result.settings is not None
    assert result.settings.store.required_secret("url").reveal() == "sqlite:///elsewhere.db"
