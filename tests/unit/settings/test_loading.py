"""Good files become settings; files that are no configuration at all become one finding, never a traceback."""

from __future__ import annotations

from datetime import time, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from watcher.core.model import EventKind, Severity
from watcher.fields import Rate
from watcher.settings import InvalidConfiguration, Settings, load, load_or_raise, load_text, redacted

SOURCE = """
sources:
  - name: prod
    region: ap-southeast-3
    project_id: 0123456789abcdef0123456789abcdef
    instances: ["1"]
"""

# The contract's example, made concrete.
CONTRACT = """
sources:
  - name: prod
    region: ap-southeast-3
    project_id: 0123456789abcdef0123456789abcdef
    endpoint: https://workspace.example
    iam_endpoint: https://iam.example
    tls: {ca_file: CA_FILE, insecure_skip_verify: false}
    proxy_url: http://proxy.example:3128
    auth: {method: auto}
    poll: {interval: 5s, backoff: {max: 1m}}
    instances:
      - {id: "697612196993040384", labels: {team: vdi}}
      - "697612196993040385"
    discover:
      - {name: "office-*", enterprise_project_id: "0", labels: {team: vdi}}
poll:
  interval: 15s
  steady_interval: 60s
  jitter: 0.1
  mode: auto
  concurrency: 16
  rate_limit: 180/1m
  timeout: 10s
  backoff: {initial: 1s, max: 5m}
alerts:
  error:       {severity: critical}
  build_failed: {severity: critical}
  stuck:       {severity: warning, after: {CREATING: 30m, BUILDING: 2h, DELETING: 30m}, learned: true}
  missing:     {severity: warning}
  unreachable: {severity: critical, after: 5m}
  flapping:    {severity: warning, changes: 6, within: 30m}
  repeat_interval: 4h
receivers:
  - {name: hooks,  type: webhook, url: "https://hooks.example", secret: whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw}
  - {name: chat,   type: slack, webhook_url: "https://hooks.slack.example/x"}
  - {name: oncall, type: pagerduty, routing_key: k}
  - {name: am,     type: alertmanager, url: "http://am.example:9093"}
  - {name: misc,   type: apprise, urls: ["mailto://a:b@c.example"]}
  - {name: screen, type: console}
routes:
  - match:
      {kind: [transition], to: [ERROR, BUILT], from: BUILDING, source: prod, name: "office-*", severity: critical,
       labels: {team: vdi}}
    receivers: [chat]
    continue: true
maintenance:
  - {name: patching, days: [sat], start: "22:00", duration: 4h, timezone: UTC, match: {source: prod}}
store: {url: "sqlite:///watcher.db", retention: 90d}
cluster: {lease_ttl: 15s}
web: {listen: "127.0.0.1:9468", auth: {bearer_token: t}, tls: {cert_file: CA_FILE, key_file: CA_FILE},
      external_url: "https://watcher.example"}
log: {level: info, format: json}
heartbeat: {url: "https://heartbeat.example/x", interval: 1m}
"""


# Every line holds the one above eight times: a hundred million values in ten lines.
BOMB = "a: &a [x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join(['*' + above] * 8)}]\n" for above, name in pairwise("abcdefghij")
)

# Every line hangs the one above ten levels lower.
SHAFT = "a: &a x\n" + "".join(
    f"{name}: &{name} {'[' * 10}*{above}{']' * 10}\n" for above, name in pairwise("abcdefghij")
)


def loaded(text: str, environment: dict[str, str] | None = None) -> Settings:
    result = load_text(text, environment or {}, file="watcher.yaml")
    assert result.settings is not None, "\n".join(map(str, result.findings))
    return result.settings


def test_the_contracts_example_loads_and_says_what_is_not_there_yet(tmp_path: Path) -> None:
    ca_file = tmp_path / "ca.pem"
    ca_file.touch()
    text = CONTRACT.replace("CA_FILE", str(ca_file)).replace("UTC", "Asia/Singapore")
    result = load_text(text, {}, file="watcher.yaml")
    assert result.settings is not None
    assert {finding.level for finding in result.findings} == {"notice"}
    route = result.settings.routes[0]
    assert route.match.kind == (EventKind.TRANSITION,)
    assert (route.match.from_status, route.match.to_status) == (("BUILDING",), ("ERROR", "BUILT"))
    assert (route.match.severity, route.goes_on) == ((Severity.CRITICAL,), True)
    assert result.settings.maintenance[0].start == time(22, 0)


def test_the_defaults_are_the_contracts(tmp_path: Path) -> None:
    bare = redacted(loaded(SOURCE))
    ca_file = tmp_path / "ca.pem"
    ca_file.touch()
    full = redacted(loaded(CONTRACT.replace("CA_FILE", str(ca_file))))
    for section in ("poll", "alerts", "store", "cluster", "log"):
        assert bare[section] == full[section]
    assert bare["web"] == {"listen": "127.0.0.1:9468", "metrics_instance_limit": 2000}
    assert full["heartbeat"]["interval"] == "1m"
    receiver = loaded(SOURCE + "receivers: [{name: screen, type: console}]").receivers[0]
    assert receiver.send_resolved
    assert receiver.min_severity is Severity.INFO
    assert receiver.digest_over == 10
    assert (receiver.max_age, receiver.timeout) == (timedelta(hours=24), timedelta(seconds=10))


def test_a_source_changes_what_it_gives_of_poll_and_keeps_the_rest() -> None:
    settings = loaded(
        SOURCE + "    poll: {interval: 3s, backoff: {max: 1m}, rate_limit: 5/1s}\n"
        "poll: {steady_interval: 9m, concurrency: 2, backoff: {initial: 7s}}"
    )
    poll = settings.poll_for(settings.sources[0])
    assert (poll.interval, poll.steady_interval) == (timedelta(seconds=3), timedelta(minutes=9))
    assert (poll.concurrency, poll.rate_limit) == (2, Rate(5, 1.0))
    assert (poll.backoff.initial, poll.backoff.max) == (timedelta(seconds=7), timedelta(minutes=1))
    assert settings.poll.interval == timedelta(seconds=15)


def test_texts_that_yaml_takes_for_numbers_keep_their_letters() -> None:
    settings = loaded(
        """
        sources:
          - name: 1e3
            region: on
            endpoint: http://127.0.0.1:1
            project_id: 0017
            instances: [697612196993040384000, 0o17, {id: 1_0, labels: {a: 1.50}}]
        maintenance: [{name: x, start: 22:30}]
        """
    )
    source = settings.sources[0]
    assert (source.name, source.region, source.project_id) == ("1e3", "on", "0017")
    assert [instance.id for instance in source.instances] == ["697612196993040384000", "0o17", "1_0"]
    assert source.instances[2].labels == {"a": "1.50"}
    assert settings.maintenance[0].start == time(22, 30)


def test_aliases_and_merge_keys() -> None:
    settings = loaded(
        """
        sources:
          - &base
            {name: a, region: cn-north-4, project_id: p, poll: &poll {interval: 1s}, instances: ["1"]}
          - {<<: *base, name: b, poll: {<<: [*poll, {interval: 9s, timeout: 2s}], steady_interval: 8s}}
        """
    )
    first, second = settings.sources
    assert (first.name, second.name, second.region) == ("a", "b", "cn-north-4")
    assert (second.poll.interval, second.poll.timeout) == (timedelta(seconds=1), timedelta(seconds=2))


@pytest.mark.parametrize(
    ("written", "host", "port", "loopback"),
    [
        ("127.0.0.1:9468", "127.0.0.1", 9468, True),
        ('"[::1]:9468"', "::1", 9468, True),
        ("localhost:0", "localhost", 0, True),
        ('":9468"', "", 9468, False),
        ("0.0.0.0:1", "0.0.0.0", 1, False),  # noqa: S104
        ("watcher.example:65535", "watcher.example", 65535, False),
    ],
)
def test_where_to_listen(written: str, host: str, port: int, loopback: bool) -> None:
    listen = loaded(SOURCE + f"web: {{listen: {written}}}").web.listen
    assert (listen.host, listen.port, listen.is_loopback) == (host, port, loopback)
    assert f'"{listen}"' == written or str(listen) == written


def test_a_status_that_is_not_given_keeps_its_time_to_be_stuck() -> None:
    after = loaded(SOURCE + "alerts: {stuck: {after: {BUILDING: 4h, DELETING: 0}}}").alerts.stuck.after
    assert after == {"CREATING": timedelta(minutes=30), "BUILDING": timedelta(hours=4), "DELETING": timedelta(0)}


@pytest.mark.parametrize(
    ("text", "position", "message"),
    [
        ("", "1:1", "the file is empty"),
        ("# nothing\n", "1:1", "the file is empty"),
        ("---\n", "1:1", "the file is empty"),
        ("\n- a\n", "2:1", "must be a mapping"),
        ("words", "1:1", "must be a mapping"),
        ("a: 1\n\tb: 2", "2:1", "a tab where YAML wants spaces"),
        ("a: b: c", "1:5", "not YAML: mapping values are not allowed"),
        ("a: [1", "2:1", "not YAML"),
        ("web: {listen: ${X}}", "1:16", "a ${VAR} needs quotes"),
        ("a: *nothing", "1:4", "an alias (*…) of nothing above"),
        ("a: &x [*x]", "1:8", "an alias (*…) of nothing above"),
        ("a: 1\n---\nb: 2", "2:1", "a second document"),
        ("a: x\x07", "1:5", "a control character"),
        ("? [a]\n: b", "1:3", "a key must be a plain word"),
        ('"a\\nb": c', "1:1", "a key must be a plain word"),
        ("[" * 300_000, "1:42", "nested too deeply"),
        (SHAFT, "5:17", "nested too deeply"),
        (BOMB, "7:4", "too many values"),
    ],
)
def test_what_is_no_configuration_is_one_finding(text: str, position: str, message: str) -> None:
    result = load_text(text, {}, file="watcher.yaml")
    assert result.settings is None
    (finding,) = result.findings
    assert str(finding).startswith(f"watcher.yaml:{position}: ")
    assert message in finding.message


def test_bytes_of_the_environment_that_are_no_text_are_a_finding() -> None:
    (finding,) = load_text(SOURCE + "log: {level: '${V}'}", {"V": "\udcff"}, file="f").findings
    assert str(finding) == "f:7:14: log.level: not UTF-8 text"


def test_a_tag_is_told_where_it_is() -> None:
    result = load_text(SOURCE + "log: {level: !!python/name:os.system x}", {}, file="watcher.yaml")
    assert [(finding.line, finding.path) for finding in result.findings] == [(7, "log.level")] * 2
    assert "a tag (!…) means nothing here" in str(result.findings)


def test_a_file_that_cannot_be_read_is_a_finding(tmp_path: Path) -> None:
    cases = {
        tmp_path / "missing.yaml": "No such file",
        tmp_path: "Is a directory",
        Path("a\0b"): "not a path",
    }
    for path, message in cases.items():
        (finding,) = load(path, {}).findings
        assert str(finding).startswith(f"{path}: cannot be read: {message}")


def test_a_file_that_is_not_text_is_a_finding_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "watcher.yaml"
    path.write_bytes(b"log:\n  level: \xff\n")
    (finding,) = load(path, {}).findings
    assert str(finding) == f"{path}:2:10: not UTF-8 text"
    path.write_bytes(b" " * (8 * 1024 * 1024 + 1))
    assert "larger than 8 MiB" in str(load(path, {}).findings[0])


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    path = tmp_path / "watcher.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + SOURCE.encode())
    assert load(path, {}).findings == ()


def test_load_or_raise_raises_all_errors_and_only_errors(tmp_path: Path) -> None:
    path = tmp_path / "watcher.yaml"
    path.write_text(SOURCE + "log: {level: loud, colour: red}\ncluster: {lease_ttl: 1s}\n", encoding="utf-8")
    with pytest.raises(InvalidConfiguration) as error:
        load_or_raise(path, {})
    assert [finding.path for finding in error.value.findings] == ["log.level", "log.colour"]
    assert str(error.value).splitlines() == [str(finding) for finding in error.value.findings]
    path.write_text(SOURCE + "cluster: {lease_ttl: 1s}\n", encoding="utf-8")
    settings, findings = load_or_raise(path, {})
    assert settings.cluster.lease_ttl == timedelta(seconds=1)
    assert [finding.level for finding in findings] == ["notice"]
