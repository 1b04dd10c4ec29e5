"""The dashboards: what each of their queries says of a live watcher, and whether Grafana can make something of them."""

from __future__ import annotations

import asyncio
import math
import re
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.acceptance.process import Watcher, configuration, running
from tests.acceptance.test_alerts import hook, observed
from tests.components import Prometheus, program, prometheus
from tests.deploy.monitoring import (
    ALERTS,
    DASHBOARDS,
    RECORDING,
    Query,
    dashboard,
    filled,
    impatient,
    panels,
    queries,
    rules,
    selectors,
    variables,
)
from tests.fakes.sink import Reply, Sink
from watcher.simulator import Reason, Scenario, Simulator

pytestmark = pytest.mark.unmeasured

DEADLINE_S = 60.0
# What Grafana fills in for an interval is longer there; all of the test lies within this.
TIMES = {"__rate_interval": "2m", "__interval": "2m", "__range": "2m"}
OF_PROMETHEUS = {"job", "instance", "pod"}
CORE_PANELS = {"stat", "timeseries", "table", "heatmap", "state-timeline", "bargauge"}


async def test_every_query_of_every_dashboard_has_data_of_a_live_watcher(tmp_path: Path) -> None:
    """All kinds of things happen to five instances; one receiver refuses everything."""
    async with (
        Simulator(Scenario(), speed=0) as cloud,
        Sink() as good,
        Sink() as bad,
    ):
        bad.good = Reply(400)
        put = {name: cloud.world.put(name=name, status="ACTIVE") for name in ("well", "ill", "new", "old")}
        cloud.world.put(name="desk", status="BUILT")
        config = configuration(
            cloud,
            tmp_path,
            discover=[{}],
            receivers=[hook(good, "good"), hook(good, "other"), hook(bad, "bad")],
            heartbeat={"url": f"{good.url}/heartbeat", "interval": "200ms"},
        )
        async with running(config) as watcher:
            await watcher.until_ready()
            await watcher.until(lambda metrics: metrics["watcher_heartbeat_last_success_timestamp_seconds"] > 0)
            async with prometheus(tmp_path, scraping(watcher, tmp_path)) as server:
                # Only what is counted after the first scrape is an increase.
                await until_all([_plain('up{job="watcher"} == 1')], server)
                for name, outcome in (("well", "success"), ("ill", "error"), ("new", "success")):
                    reason = Reason(code="WKS.00170206", message="sysprep failed") if outcome == "error" else None
                    cloud.world.recreate(put[name], outcome=outcome, reason=reason)  # type: ignore[arg-type]
                await observed(watcher, "BUILDING", 3)
                cloud.advance(3600)
                await observed(watcher, "ERROR")
                await bad.until(bool)
                _, text = await watcher.get("/metrics")
                check_names(text)
                await check_metrics(text)
                values = await values_of_variables(server)
                await until_all(list(all_queries({**TIMES, **values})), server)
            assert await watcher.end() == 0


def scraping(watcher: Watcher, folder: Path) -> dict[str, Any]:
    """A configuration of Prometheus with our rules, all of it as quick as can be."""
    return {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(RECORDING), str(impatient(ALERTS, folder, wait="1s"))],
        "scrape_configs": [
            {"job_name": "watcher", "static_configs": [{"targets": [watcher.url.removeprefix("http://")]}]}
        ],
    }


def all_queries(values: Mapping[str, str]) -> Iterator[Query]:
    """Every query of every dashboard, filled in."""
    for path in DASHBOARDS:
        for query in queries(path):
            yield Query(query.dashboard, query.panel, filled(query.expression, values), query.labels)
        for annotation in dashboard(path)["annotations"]["list"]:
            if "expr" in annotation:
                expression = filled(annotation["expr"], values).replace("< 120", ">= 0")  # it may have started long ago
                yield Query(path.stem, annotation["name"], expression, frozenset())


def _plain(expression: str) -> Query:
    return Query("test", "test", expression, frozenset())


async def until_all(waiting: list[Query], server: Prometheus) -> None:
    """Ask until each has data: a number, and the labels that are shown of it; fails with those that have none."""
    try:
        async with asyncio.timeout(DEADLINE_S):
            while waiting:
                answers = [await server.query(query.expression) for query in waiting]
                waiting = [query for query, series in zip(waiting, answers, strict=True) if not shows(query, series)]
    except TimeoutError:
        raise AssertionError("\n".join(map(str, waiting))) from None


def shows(query: Query, series: list[dict[str, Any]]) -> bool:
    """Whether there is something to show."""
    labels = {label for each in series for label in each["metric"]}
    return query.labels <= labels and any(math.isfinite(float(each["value"][1])) for each in series)


async def values_of_variables(server: Prometheus) -> dict[str, str]:
    """What is chosen when the dashboards are opened: all that a variable offers, or the first of it."""
    values: dict[str, str] = {}
    for path in DASHBOARDS:
        for variable in variables(path):
            offered = await server.label_values(variable.label, filled(variable.series, values))
            assert offered, (path.stem, variable)
            chosen = f"({'|'.join(offered)})" if variable.several else offered[0]
            assert values.setdefault(variable.name, chosen) == chosen  # the same everywhere
    return values


def check_names(text: str) -> None:
    """Every metric, label and fixed value that rules and dashboards name is there."""
    there: dict[str, dict[str, set[str]]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = there.setdefault(sample.name, {})
            for label, value in sample.labels.items():
                labels.setdefault(label, set()).add(value)
    named = [rule["expr"] for path in (ALERTS, RECORDING) for rule in rules(path)]
    named += [query.expression for path in DASHBOARDS for query in queries(path)]
    named += [variable.series for path in DASHBOARDS for variable in variables(path)]
    checked = 0
    for selector in (each for expression in named for each in selectors(expression)):
        if ":" in selector.metric or selector.metric in {"up", "ALERTS"} or selector.metric.startswith("scrape_"):
            continue
        assert selector.metric in there, selector
        labels = there[selector.metric]
        for label, operator, value in selector.matchers:
            assert label in {*labels, *OF_PROMETHEUS}, selector
            if operator == "=" and "$" not in value and label not in OF_PROMETHEUS:
                assert value in labels[label], selector
        checked += 1
    assert checked > 100


async def check_metrics(text: str) -> None:
    """`promtool check metrics` has nothing to find fault with."""
    promtool = program("promtool", package="prometheus")
    running = await asyncio.create_subprocess_exec(promtool, "check", "metrics", stdin=PIPE, stdout=PIPE, stderr=STDOUT)
    said, _ = await running.communicate(text.encode())
    assert (running.returncode, said.decode()) == (0, "")


def test_dashboards_are_what_grafana_imports() -> None:
    uids = {path: dashboard(path)["uid"] for path in DASHBOARDS}
    assert uids == {path: f"watcher-{path.stem}" for path in DASHBOARDS}
    assert [path.stem for path in DASHBOARDS] == ["delivery", "instance", "overview", "self"]
    for path in DASHBOARDS:
        board = dashboard(path)
        uids_named = set(re.findall(r'"uid": "(.*?)"', path.read_text()))
        assert uids_named == {board["uid"], "${datasource}", "-- Grafana --"}
        assert "id" not in board  # Grafana gives it; with one, an import would write over another dashboard
        assert board["schemaVersion"] >= 39
        assert board["tags"] == ["watcher"]
        assert board["description"]
        assert [link["type"] for link in board["links"]] == ["dashboards"]
        first, *others = board["templating"]["list"]
        assert (first["name"], first["type"], first["query"]) == ("datasource", "datasource", "prometheus")
        assert all(each["type"] == "query" for each in others)
        numbers = [panel["id"] for panel in panels(board)]
        assert len(set(numbers)) == len(numbers)
        for panel in panels(board):
            assert panel["type"] in CORE_PANELS, panel["title"]
            assert panel["description"].endswith("."), panel["title"]
            assert panel["targets"]


def test_panels_do_not_overlap_and_no_line_has_a_gap() -> None:
    for path in DASHBOARDS:
        taken: set[tuple[int, int]] = set()
        for panel in dashboard(path)["panels"]:
            place = panel["gridPos"]
            cells = {
                (x, y)
                for x in range(place["x"], place["x"] + place["w"])
                for y in range(place["y"], place["y"] + place["h"])
            }
            assert not cells & taken, (path.stem, panel["title"])
            assert max(x for x, _ in cells) < 24
            taken |= cells
        assert len(taken) == 24 * (1 + max(y for _, y in taken)), path.stem


def test_each_query_asks_only_for_the_watchers_that_were_chosen() -> None:
    for path in DASHBOARDS:
        known = {variable["name"] for variable in dashboard(path)["templating"]["list"]} | set(TIMES)
        for query in queries(path):
            assert filled(query.expression, dict.fromkeys(known, "x")), query
            for selector in selectors(query.expression):
                assert selector.metric == "ALERTS" or ("job", "=~", "$job") in selector.matchers, query


def test_links_lead_to_dashboards_that_are_there() -> None:
    uids = {dashboard(path)["uid"] for path in DASHBOARDS}
    for path in DASHBOARDS:
        links = list(_links(dashboard(path)["panels"]))
        assert {url.removeprefix("/d/").partition("?")[0] for url in links} <= uids
        assert links or path.stem != "overview"


def _links(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("url"), str):
            yield value["url"]
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from _links(each)
