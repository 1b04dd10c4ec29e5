"""Every mistake is a finding at its place, all of them at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from watcher.settings import load, load_text
from watcher.settings.findings import Finding

TEN_MISTAKES = """\
sources:
  - name: Prod
    region: ap-southeast-3
    project_id: p
    auth: {method: akss}
    poll:
      intervall: 15s
      jitter: many
    instances:
      - {id: "1", labels: {team-name: vdi}}
      - 2
      - "2"
poll:
  timeout: soon
receivers:
  - name: hooks
    type: webhook
    format: standard
    secret: whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw
    secret_file: /nowhere
  - {name: chat, type: slack, webhook_url: "${WEBHOOK}"}
routes:
  - {receivers: [hoks]}
log: [json]
log: {}
"""

GOOD = """\
sources:
  - name: prod
    region: ap-southeast-3
    project_id: p
    instances: ["1"]
receivers:
  - {name: screen, type: console}
"""


BAD_LABEL = "a label's name is letters, digits and underscores, begins with no digit and not with '__'"
UNSET = "the environment variable WEBHOOK is not set; ${WEBHOOK:-default} gives a default"
UPSIDE_DOWN = "instances at rest are asked more often than changing ones: interval is above steady_interval"
ALONE = "does nothing with SQLite, which one watcher has to itself: replicas share the work on PostgreSQL"
RECEIVER_TYPES = "webhook, slack, pagerduty, alertmanager, apprise, console"
NO_STORE = "not a store: use sqlite:///PATH or postgresql://user:password@host/database"
NOT_THERE = "the file cannot be read: No such file or directory"


def findings(text: str, environment: dict[str, str] | None = None) -> tuple[Finding, ...]:
    return load_text(text, environment or {}, file="f").findings


def told(text: str) -> list[str]:
    """What is told of lines added to a good file, without the file and its good lines."""
    return [f"{f.line - 7}:{f.column}: {f.path}: {f.level}: {f.message}" for f in findings(GOOD + text)]


def test_all_mistakes_at_once_each_at_its_place(tmp_path: Path) -> None:
    path = tmp_path / "watcher.yaml"
    path.write_text(TEN_MISTAKES, encoding="utf-8")
    assert [str(finding).removeprefix(f"{path}:") for finding in load(path, {}).findings] == [
        "2:11: sources[0].name: must be lower-case letters, digits and dashes, at most 63",
        "5:20: sources[0].auth.method: must be one of auto, aksk, token, password, metadata, did you mean 'aksk'?",
        "7:7: sources[0].poll.intervall: unknown key, did you mean 'interval'?",
        "8:15: sources[0].poll.jitter: must be a number",
        f"10:28: sources[0].instances[0].labels.team-name: {BAD_LABEL}",
        "12:9: sources[0].instances[2]: the instance is already in line 11",
        "14:12: poll.timeout: not a duration: write 500ms, 15s, 5m, 2h, 7d or a number of seconds",
        "16:5: receivers[0]: missing required key 'url'",
        "20:5: receivers[0].secret_file: give 'secret' or 'secret_file', not both",
        f"20:18: receivers[0].secret_file: {NOT_THERE}",
        f"21:44: receivers[1].webhook_url: {UNSET}",
        "23:18: routes[0].receivers[0]: no such receiver, did you mean 'hooks'?",
        "24:6: log: must be a mapping (key: value)",
        "25:1: log: the key is already in line 24",
    ]


def test_a_good_file_has_no_findings() -> None:
    assert told("") == []


def test_warnings_and_notices_say_what_they_are() -> None:
    assert [str(finding) for finding in findings(GOOD + "cluster: {}\npoll: {interval: 2m}")] == [
        f"f:8:1: cluster: notice: {ALONE}",
        f"f:9:18: poll.interval: warning: {UPSIDE_DOWN}",
    ]


@pytest.mark.parametrize("ttl", ["500ms", "1h"])
def test_a_lease_lasts_a_while_and_not_for_ever(ttl: str) -> None:
    assert "f:8:22: cluster.lease_ttl: must be 1s to 10m" in map(str, findings(f"{GOOD}cluster: {{lease_ttl: {ttl}}}"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("poll: {jitter: nan}", "1:16: poll.jitter: error: must be a number"),
        ("poll: {jitter: 1.5}", "1:16: poll.jitter: error: must be at most 1"),
        ("poll: {interval: 0s}", "1:18: poll.interval: error: must be more than 0"),
        ("poll: {concurrency: 1.5}", "1:21: poll.concurrency: error: must be a whole number"),
        ("poll: {concurrency: 0}", "1:21: poll.concurrency: error: must be at least 1"),
        ("poll: fast", "1:7: poll: error: must be a mapping (key: value)"),
        ("poll: {backoff: {initial: 6m}}", "1:27: poll.backoff.initial: error: initial is above max"),
        ("poll: {mod: get}", "1:8: poll.mod: error: unknown key, did you mean 'mode'?"),
        ("log: {format:json}", "1:7: log.?: error: unknown key, is a space lacking after the colon?"),
        ("routes: {receivers: screen}", "1:9: routes: error: must be a list"),
        ("routes: [{receivers: []}]", "1:22: routes[0].receivers: error: must not be empty"),
        ("routes: [{receivers: [~]}]", "1:23: routes[0].receivers[0]: error: must be text"),
        ("routes: [{receivers: screen, goes_on: true}]", "1:30: routes[0].goes_on: error: unknown key"),
        ("routes: [{receivers: screen, continue: si}]", "1:40: routes[0].continue: error: must be true or false"),
        ("routes: [{receivers: nobody}]", "1:22: routes[0].receivers: error: no such receiver"),
        (
            "routes: [{receivers: screen, match: {to: EROR}}]",
            "1:42: routes[0].match.to: warning: not a status the cloud documents, did you mean 'ERROR'?",
        ),
        (
            "routes: [{receivers: screen, match: {source: [prod, prd]}}]",
            "1:53: routes[0].match.source[1]: warning: no such source, did you mean 'prod'?",
        ),
        (
            "routes: [{receivers: screen, match: {severity: [critical, warn]}}]",
            "1:59: routes[0].match.severity[1]: error: must be one of info, warning, critical, did you mean 'warning'?",
        ),
        ("store: {url: mysql://h/d}", f"1:14: store.url: error: {NO_STORE}"),
        ("store: {url: 'postgresql+asyncpg://u:p@h/d'}", f"1:14: store.url: error: {NO_STORE}"),
        ("store: {url: 'postgresql://'}", f"1:14: store.url: error: {NO_STORE}"),
        ("store: {url_file: /nowhere}", f"1:19: store.url_file: error: {NOT_THERE}"),
        ("web: {listen: 9468}", "1:15: web.listen: error: not an address: write host:port, [::1]:9468 or :9468"),
        ("web: {listen: 'h:65536'}", "1:15: web.listen: error: not an address: write host:port, [::1]:9468 or :9468"),
        ("web: {listen: '::1:1'}", "1:15: web.listen: error: not an address: write host:port, [::1]:9468 or :9468"),
        (
            "web: {auth: {}}",
            "1:13: web.auth: error: missing required key 'bearer_token' (or its file), or 'username' and 'password'",
        ),
        (
            "web: {auth: {username: ann}}",
            "1:14: web.auth.username: error: a username needs 'password' (or 'password_file')",
        ),
        (
            "web: {external_url: 'https://ann:x@h/'}",
            "1:21: web.external_url: error: everybody sees this URL: leave the user and the password out",
        ),
        ("web: {auth: {password: x}}", "1:14: web.auth.password: error: a password needs 'username'"),
        (
            "web: {auth: {bearer_token: t, username: ann}}",
            "1:31: web.auth.username: error: a username needs 'password' (or 'password_file')",
        ),
        ("web: {auth: {bearer_token: ''}}", "1:28: web.auth.bearer_token: error: must not be empty"),
        ("web: {external_url: 'ftp://x'}", "1:21: web.external_url: error: must begin with https:// or http://"),
        ("sources: []", "1:1: sources: error: the key is already in line 1"),
        ("<<: 5", "1:5: : error: '<<' takes a mapping or a list of mappings"),
    ],
)
def test_one_mistake_is_one_finding(text: str, message: str) -> None:
    assert told(text) == [message]


RECEIVER = "receivers:\n  - {name: x, "


@pytest.mark.parametrize(
    ("receiver", "message"),
    [
        ("type: consol}", f"receivers[0].type: must be one of {RECEIVER_TYPES}, did you mean 'console'?"),
        ("typ: console}", "receivers[0]: missing required key 'type'"),
        ("type: ~}", "receivers[0]: missing required key 'type'"),
        ("type: [console]}", "receivers[0]: missing required key 'type'"),
        ("type: webhook}", "receivers[0]: missing required key 'url'"),
        ("type: webhook, url: hooks}", "receivers[0].url: must be a URL such as https://host/path"),
        (
            "type: webhook, url: 'http://h', secret: whsec_!}",
            "receivers[0].secret: not a signing secret: write whsec_ and base64",
        ),
        ("type: slack}", "receivers[0]: missing required key 'webhook_url' (or 'bot_token' with 'channel')"),
        ("type: slack, webhook_url: hooks}", "receivers[0].webhook_url: must begin with https:// or http://"),
        (
            "type: slack, webhook_url: 'https://h', channel: c}",
            "receivers[0].channel: goes with 'bot_token'; an incoming webhook has its own channel",
        ),
        (
            "type: slack, webhook_url: 'https://h', api_url: 'https://h'}",
            "receivers[0].api_url: goes with 'bot_token'; an incoming webhook has its own address",
        ),
    ],
)
def test_receivers_say_what_they_lack(receiver: str, message: str) -> None:
    text = GOOD[: GOOD.index("receivers")] + RECEIVER + receiver
    assert [f"{finding.path}: {finding.message}" for finding in findings(text)] == [message]


def test_a_slack_receiver_is_a_webhook_or_a_bot() -> None:
    wrong = {
        "webhook_url: 'https://h', bot_token: t": "give 'webhook_url' or 'bot_token' with 'channel', not both",
        "bot_token: t": "missing required key 'channel' (it goes with 'bot_token')",
    }
    for keys, message in wrong.items():
        told_of = findings(GOOD + f"  - {{name: x, type: slack, {keys}}}")
        assert [finding.message for finding in told_of if finding.level == "error"] == [message]


def test_a_tag_that_is_a_key_too_leads_nobody_astray() -> None:
    text = GOOD.replace(
        "    instances", "    auth: {method: password, password: x, user: '', domain: d}\n    instances"
    )
    assert [str(finding) for finding in findings(text)] == ["f:5:49: sources[0].auth.user: must not be empty"]


def test_names_are_unique_where_they_must_be() -> None:
    text = GOOD + "  - {name: screen, type: console}\nmaintenance: [{name: m, start: 1:00}, {name: m, start: 2:00}]"
    errors = [str(finding) for finding in findings(text) if finding.level == "error"]
    assert errors == [
        "f:8:12: receivers[1].name: the name is already in line 7",
        "f:9:46: maintenance[1].name: the name is already in line 9",
    ]


def test_a_source_watches_something() -> None:
    for instances in ("", "    instances: []\n", "    instances:\n"):
        text = GOOD.replace('    instances: ["1"]\n', instances)
        (finding,) = findings(text)
        assert "'discover'" in finding.message
    assert not findings(GOOD.replace('instances: ["1"]', "discover: [{}]"))


def test_a_source_is_checked_with_what_it_takes_over() -> None:
    text = GOOD.replace("    instances", "    poll: {interval: 2m, backoff: {max: 500ms}}\n    instances")
    assert [str(finding) for finding in findings(text)] == [
        f"f:5:22: sources[0].poll.interval: warning: {UPSIDE_DOWN}",
        "f:5:41: sources[0].poll.backoff.max: initial is above max",
    ]
    assert findings(text + "poll: {steady_interval: 2m, backoff: {initial: 100ms}}") == ()


@pytest.mark.parametrize(
    ("url", "count"),
    [
        ("http://cloud.example", 1),
        ("http://127.0.0.1:1", 0),
        ("http://[::1]", 0),
        ("http://localhost", 0),
        ("https://cloud.example", 0),
    ],
)
def test_a_credential_on_the_open_road_is_a_warning(url: str, count: int) -> None:
    text = GOOD.replace("    instances", f"    endpoint: {url}\n    instances")
    assert ["plain http" in finding.message for finding in findings(text)] == [True] * count
    assert findings(GOOD + f"  - {{name: hooks, type: webhook, url: '{url}'}}") == ()


def test_unchecked_certificates_are_a_warning() -> None:
    text = GOOD.replace("    instances", "    tls: {insecure_skip_verify: yes}\n    instances")
    (finding,) = findings(text)
    assert (finding.level, finding.path) == ("warning", "sources[0].tls.insecure_skip_verify")
    assert findings(text.replace("yes", "no")) == ()


def test_a_timezone_must_be_known() -> None:
    window = "maintenance: [{name: m, start: 1:00, timezone: Atlantis/Poseidonis}]"
    assert any("no such timezone" in finding.message for finding in findings(GOOD + window))
    for timezone in ("../../etc/passwd", "Asia", "''"):
        changed = window.replace("Atlantis/Poseidonis", timezone)
        assert any("no such timezone" in finding.message for finding in findings(GOOD + changed))


def test_files_that_are_named_must_be_there(tmp_path: Path) -> None:
    text = GOOD.replace("    instances", f"    tls: {{ca_file: {tmp_path}}}\n    instances")
    (finding,) = findings(text)
    assert str(finding) == "f:5:20: sources[0].tls.ca_file: the file cannot be read: Is a directory"


@pytest.mark.parametrize("url", ["postgresql://u:p@h:5432,other/d?sslmode=verify-full", "postgres:///d?host=/run/pg"])
def test_a_store_on_postgresql_may_have_replicas(url: str) -> None:
    assert findings(f"{GOOD}store: {{url: '{url}'}}\ncluster: {{lease_ttl: 5s}}") == ()
    assert "secret" not in str(findings(f"{GOOD}store: {{url: 'mysql://u:secret@h/d'}}"))


def test_a_store_in_a_file_is_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "url"
    for content, message in (
        (b"mysql://u:p@h/d", "not a store"),
        (b"\xff", "not UTF-8"),
        (b"", "not a store"),
    ):
        path.write_bytes(content)
        (finding,) = findings(GOOD + f"store: {{url_file: {path}}}")
        assert message in finding.message
    path.write_bytes(b"sqlite:////var/lib/watcher.db\n")
    assert findings(GOOD + f"store: {{url_file: {path}}}") == ()


def test_a_value_that_could_not_be_had_is_told_once() -> None:
    names = findings("sources: [{name: '${A}', region: cn-north-4, instances: ['${C}', '${D}']}, {name: '${B}'}]")
    assert len([finding for finding in names if "is not set" in finding.message]) == 4
    assert not [finding for finding in names if "already" in finding.message]
    text = (
        GOOD + "  - {name: x, type: '${T}'}\nlog: {level: '${L}'}\npoll: {interval: '${I}', backoff: {initial: '${B}'}}"
    )
    assert all("is not set" in finding.message for finding in findings(text))
    assert len(findings(text)) == 4


def test_a_region_nobody_knows() -> None:
    text = "sources: [{name: a, region: ap-southeast-33, instances: ['1']%s}]"
    expected = "unknown region, did you mean 'ap-southeast-3'? (or give 'endpoint')"
    assert [finding.message for finding in load_text(text % "", {}, file="f").findings] == [expected]
    given = ", endpoint: 'http://127.0.0.1:1'"
    assert load_text(text % given, {}, file="f").findings == ()
    variable = {"HUAWEICLOUD_SDK_REGION_WORKSPACEAPP_AP_SOUTHEAST_33": "http://127.0.0.1:1"}
    assert load_text(text % "", variable, file="f").findings == ()
