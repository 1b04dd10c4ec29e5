"""A rule of ours on its whole way: Prometheus sees it, Alertmanager takes it, somebody is told, and told of the end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.acceptance.process import configuration, running
from tests.components import alertmanager, prometheus
from tests.deploy.monitoring import ALERTS, DEPLOY, RECORDING, impatient
from tests.fakes.sink import Received, Sink
from watcher.simulator import Fault, Scenario, Simulator

pytestmark = pytest.mark.unmeasured

DEADLINE_S = 60.0


def pager(url: str) -> dict[str, Any]:
    """The example's configuration of Alertmanager, telling somebody, at once."""
    document: dict[str, Any] = yaml.safe_load((DEPLOY / "compose/alertmanager/alertmanager.yaml").read_text())
    document["receivers"].append({"name": "pager", "webhook_configs": [{"url": url}]})
    document["route"] |= {"receiver": "pager", "group_wait": "1ms", "group_interval": "1s"}
    return document


def unreachable(received: list[Received]) -> list[Any]:
    """What was told of the source. Rules that wait for a minute or more in earnest may fire beside it here."""
    messages = [request.json for request in received]
    return [each for each in messages if each["groupLabels"]["alertname"] == "WatcherSourceUnreachable"]


async def test_a_source_that_does_not_answer_is_told_and_so_is_that_it_answers_again(tmp_path: Path) -> None:
    async with Simulator(Scenario(), speed=0) as cloud, Sink() as sink, alertmanager(tmp_path, pager(sink.url)) as told:
        cloud.world.put(name="office", status="BUILT")
        backoff = {"initial": "100ms", "max": "500ms"}
        config = configuration(cloud, tmp_path, discover=[{}], receivers=[], poll={"backoff": backoff})
        async with running(config) as watcher:
            await watcher.until_ready()
            scraped = watcher.url.removeprefix("http://")
            rules = impatient(ALERTS, tmp_path, wait="1s")
            on_call = {
                "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
                "rule_files": [str(RECORDING), str(rules)],
                "alerting": {"alertmanagers": [{"static_configs": [{"targets": [told.url.removeprefix("http://")]}]}]},
                "scrape_configs": [{"job_name": "watcher", "static_configs": [{"targets": [scraped]}]}],
            }
            async with prometheus(tmp_path, on_call):
                cloud.faults.add(Fault(kind="error", status=503))
                await sink.until(lambda received: len(unreachable(received)) == 1, timeout_s=DEADLINE_S)
                cloud.faults.clear()
                await sink.until(lambda received: len(unreachable(received)) == 2, timeout_s=DEADLINE_S)
            assert await watcher.end() == 0
    firing, resolved = unreachable(sink.received)
    assert (firing["status"], resolved["status"]) == ("firing", "resolved")
    assert firing["groupKey"] == resolved["groupKey"]
    for message in (firing, resolved):
        [alert] = message["alerts"]
        assert alert["labels"] == {
            "alertname": "WatcherSourceUnreachable",
            "job": "watcher",
            "severity": "critical",
            "source": "prod",
            "watcher_alert": "unreachable",
        }
        assert alert["annotations"]["summary"] == "Source prod does not answer."
        assert alert["annotations"]["description"].startswith("watcher has not been able to read prod for 5 minutes: ")
        assert alert["annotations"]["runbook_url"].endswith("/runbook.md#watchersourceunreachable")


async def test_nobody_is_told_twice_where_watcher_tells_alertmanager_itself(tmp_path: Path) -> None:
    """The example inhibits the rule that repeats an alert which watcher sent there by itself."""
    async with alertmanager(tmp_path, pager("http://127.0.0.1:9/")) as server:
        prod, lab = {"source": "prod", "severity": "critical"}, {"source": "lab", "severity": "critical"}
        own = {"alertname": "error", **prod, "instance_id": "1"}
        again = {"alertname": "WatcherInstanceError", "watcher_alert": "error"}
        other = {"alertname": "WatcherInstanceStuck", "watcher_alert": "stuck"}
        down = {"alertname": "WatcherDown", "job": "watcher", "namespace": "east"}
        late = {"alertname": "WatcherPollingLate", "job": "watcher", "source": "prod"}
        sent = [own, {**again, **prod}, {**again, **lab}, {**other, **prod}]
        sent += [down, {**late, "namespace": "east"}, {**late, "namespace": "west"}]
        alerts = [{"labels": labels} for labels in sent]
        async with server.session.post(f"{server.url}/api/v2/alerts", json=alerts) as response:
            assert response.status == 200
        told = [alert["labels"] for alert in await server.get("alerts", inhibited="false")]
        wanted = [own, {**again, **lab}, {**other, **prod}, down, {**late, "namespace": "west"}]
        assert sorted(told, key=str) == sorted(wanted, key=str)
