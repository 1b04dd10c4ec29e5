"""The rules for Prometheus: valid, tested in both directions, explained in the runbook."""

from __future__ import annotations

import asyncio
import re
from collections import defaultdict
from pathlib import Path

import pytest
import yaml

from tests.acceptance.process import ended
from tests.components import program
from tests.deploy.monitoring import ALERTS, DASHBOARDS, DEPLOY, RECORDING, ROOT, alerts, queries, rules, selectors
from watcher.cli.main import main
from watcher.core.alerts import AlertRules

UNIT_TESTS = sorted((DEPLOY / "prometheus/tests").glob("*.yaml"))
RUNBOOK = ROOT / "docs/runbook.md"


async def promtool(*arguments: str | Path, cwd: Path = DEPLOY / "prometheus") -> str:
    """Run it; fails with what it says unless it is content."""
    binary = program("promtool", package="prometheus")
    code, out, err = await ended(binary, *map(str, arguments), cwd=cwd)
    assert code == 0, out + err
    return out


async def test_promtool_accepts_rules_and_their_tests_and_the_configuration(tmp_path: Path) -> None:
    token = tmp_path / "bearer_token"
    token.write_text("secret")
    for path in (ALERTS, RECORDING, DEPLOY / "prometheus/prometheus.yaml"):
        text = path.read_text().replace("/run/secrets/watcher/bearer_token", str(token))
        (tmp_path / path.name).write_text(text)
    await asyncio.gather(
        promtool("check", "rules", ALERTS, RECORDING),
        promtool("check", "config", "prometheus.yaml", cwd=tmp_path),
        promtool("test", "rules", *UNIT_TESTS),
    )


def test_every_alert_is_tested_both_when_it_fires_and_when_it_does_not() -> None:
    seen = defaultdict(set)
    for path in UNIT_TESTS:
        document = yaml.safe_load(path.read_text())
        assert document["rule_files"] == ["../alerts.yaml", "../recording.yaml"]
        for group in document["tests"]:
            for check in group.get("alert_rule_test", []):
                seen[check["alertname"]].add(bool(check["exp_alerts"]))
                assert all("exp_annotations" in alert for alert in check["exp_alerts"])
    assert dict(seen) == {name: {True, False} for name in alerts()}


def test_every_alert_says_how_bad_it_is_what_it_means_and_what_to_do() -> None:
    for name, rule in alerts().items():
        assert re.fullmatch(r"Watcher([A-Z][a-z]+)+", name)
        assert rule["for"]
        severity = rule["labels"]["severity"]
        assert severity in {"critical", "warning"} or (severity == "{{ $labels.severity }}" and name in repeated())
        assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
        assert rule["annotations"]["summary"].endswith(".")
        assert len(rule["annotations"]["summary"]) <= 80
        assert 80 <= len(rule["annotations"]["description"]) <= 400
        assert "\n" not in rule["annotations"]["description"].strip()


def repeated() -> dict[str, str]:
    """The alerts that repeat one of watcher's own, with its name."""
    labels = {name: rule["labels"] for name, rule in alerts().items()}
    return {name: each["watcher_alert"] for name, each in labels.items() if "watcher_alert" in each}


def test_every_alert_of_watchers_own_has_one_rule_that_repeats_it() -> None:
    assert sorted(repeated().values()) == sorted(AlertRules().by_name)
    for name, own in repeated().items():
        expression = alerts()[name]["expr"]
        assert own == "unreachable" or f'name="{own}"' in expression


def test_every_alert_has_its_section_in_the_runbook_and_the_reverse() -> None:
    sections = re.findall(r"^### (\w+)$", RUNBOOK.read_text(), re.MULTILINE)
    assert sections == list(alerts())
    for name, rule in alerts().items():
        page, _, anchor = rule["annotations"]["runbook_url"].partition("#")
        assert page == "https://docs.example.com/watcher/runbook.md"
        assert anchor == name.lower()
    for section in re.split(r"^### ", RUNBOOK.read_text(), flags=re.MULTILINE)[1:]:
        assert re.findall(r"^\* \*\*(.+?)\*\*", section, re.MULTILINE) == ["Means.", "Look.", "Do."], section


def test_every_recording_rule_is_used_and_only_what_is_recorded_is() -> None:
    recorded = [rule["record"] for rule in rules(RECORDING)]
    expressions = [rule["expr"] for rule in [*rules(RECORDING), *rules(ALERTS)]]
    expressions += [query.expression for path in DASHBOARDS for query in queries(path)]
    used = {selector.metric for each in expressions for selector in selectors(each) if ":" in selector.metric}
    assert sorted(recorded) == sorted(used)
    assert all(re.fullmatch(r"[a-z_]+:watcher_\w+:\w+", name) for name in recorded)


def test_what_several_replicas_may_show_is_asked_for_as_it_is_recorded() -> None:
    """Counting each thing once is done in one place; who polls a source is asked for by replica."""
    once = {rule["record"].split(":")[1] for rule in rules(RECORDING) if rule["record"].endswith((":max", ":min"))}
    of_each_replica = {"watcher_store_up", "watcher_replicas"}
    asked = [(name, rule["expr"]) for name, rule in alerts().items()]
    asked += [(query.panel, query.expression) for path in DASHBOARDS for query in queries(path)]
    raw = {(name, selector.metric) for name, expression in asked for selector in selectors(expression)}
    assert {(name, metric) for name, metric in raw if metric in once - of_each_replica} == {
        ("WatcherSourcePolledTwice", "watcher_source_up"),
        ("Who polls what", "watcher_source_up"),
    }


def test_the_commands_that_runbook_and_alerts_name_exist(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    commands = set(re.findall(r"^│ ([a-z][a-z-]+) ", capsys.readouterr().out, re.MULTILINE))
    texts = RUNBOOK.read_text() + ALERTS.read_text()
    assert set(re.findall(r"`watcher ([a-z-]+)", texts)) <= commands
