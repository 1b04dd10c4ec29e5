"""The HTTP server for operators, with real clients and, where it is installed, Prometheus' own promtool."""

from __future__ import annotations

import asyncio
import os
import shutil
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.fakes.clock import FakeClock, HastyClock
from tests.fakes.receivers import refusal
from tests.fakes.values import at, event, history
from tests.fakes.view import View, Well
from watcher import __version__
from watcher.core.errors import CloudUnavailableError, ConfigurationError, FailureReason, StoreError
from watcher.core.facts import (
    Committed,
    ConfigurationApplied,
    CycleFinished,
    Delivered,
    DeliveryFailed,
    Fact,
    LeasesGiven,
    LeasesLost,
    Observed,
    RequestFinished,
    SourceFailed,
    StoreFailed,
    StoreRecovered,
)
from watcher.core.model import DeliveryState, InstanceKey, Notification
from watcher.fields import Secret
from watcher.metrics import Measured, Metrics
from watcher.ops import Access, Guard, OpsServer, StoreHealth

NASTY = 'a"b\\c\nd<img onerror=alert(1)>'


def metrics_of(view: View, *, limit: int = 2000) -> Metrics:
    metrics = Metrics(view=view)
    alerts = {"error": "critical", "missing": "warning", "unreachable": "critical"}
    metrics.watch(Measured(sources=["prod"], receivers={"hooks": "webhook"}, alerts=alerts, instance_limit=limit))
    return metrics


async def no_refresh() -> None:
    pass


@asynccontextmanager
async def served(metrics: Metrics, **more: Any) -> AsyncIterator[str]:
    given: dict[str, Any] = {"refresh": no_refresh, "wellness": Well(), "guard": Guard, "clock": FakeClock(), **more}
    server = OpsServer(host="127.0.0.1", port=0, registry=metrics.registry, **given)
    url = await server.start()
    try:
        yield url
    finally:
        await server.close()


async def get(url: str, **headers: str) -> tuple[int, str, Mapping[str, str]]:
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as response:
        return response.status, await response.text(), response.headers


def busy_metrics() -> Metrics:
    """Metrics after something of everything has happened."""
    view = View()
    metrics = metrics_of(view)
    state, events = history("BUILDING", "ERROR")
    odd, _ = history("FROBNICATING", key=InstanceKey("prod", NASTY))
    gone, _ = history("DELETING", None, key=InstanceKey("prod", "gone"))
    view.by_source["prod"] = [state, odd, gone]
    told = Notification(id="n1", events=(event(),))
    metrics(ConfigurationApplied(at(1)))
    metrics(RequestFinished("prod", "ShowImageServer", "200", 0.02))
    metrics(Observed("prod", 3))
    metrics(CycleFinished("prod", 0.5, 0.1, ok=True, at=at(60), pace=0.5, stretch=2.0))
    metrics(SourceFailed("prod", CloudUnavailableError("down"), 1.0, first=True))
    metrics(Committed(events))
    metrics(Delivered("hooks", "webhook", told, at(15.323)))
    metrics(DeliveryFailed("hooks", "webhook", told, refusal(), attempts=1, retry_in_s=1.0))
    metrics.set_deliveries({("hooks", DeliveryState.DEAD): 2}, ["hooks"])
    return metrics


async def test_the_metrics_of_the_contract() -> None:
    async with served(busy_metrics()) as url:
        status, text, headers = await get(f"{url}/metrics")
    assert status == 200
    assert headers["Content-Type"].startswith("text/plain; version=")
    found = {(name, frozenset(labels.items())): value for name, labels, value in samples(text)}
    one = {"source": "prod", "instance_id": "697612196993040384"}
    named = {**one, "instance_name": "office-2026"}
    expected: list[tuple[str, dict[str, str], float]] = [
        ("watcher_build_info", {"version": __version__}, 1),
        ("watcher_config_last_reload_successful", {}, 1),
        ("watcher_config_last_reload_success_timestamp_seconds", {}, at(1).timestamp()),
        ("watcher_instances", {"source": "prod", "status": "ERROR"}, 1),
        ("watcher_instances", {"source": "prod", "status": "FROBNICATING"}, 1),
        ("watcher_instances", {"source": "prod", "status": "BUILT"}, 0),
        ("watcher_instance_status", {**named, "status": "ERROR"}, 1),
        ("watcher_instance_status", {**named, "status": "BUILT"}, 0),
        ("watcher_instance_status_timestamp_seconds", one, at(15).timestamp()),
        ("watcher_transitions_total", {"source": "prod", "from": "BUILDING", "to": "ERROR"}, 1),
        ("watcher_transitions_total", {"source": "prod", "from": "BUILT", "to": "BUILT"}, 0),
        ("watcher_source_up", {"source": "prod"}, 0),
        ("watcher_source_last_success_timestamp_seconds", {"source": "prod"}, at(60).timestamp()),
        ("watcher_observations_total", {"source": "prod"}, 3),
        ("watcher_api_requests_total", {"source": "prod", "operation": "ShowImageServer", "code": "200"}, 1),
        ("watcher_api_request_duration_seconds_count", {"source": "prod", "operation": "ShowImageServer"}, 1),
        ("watcher_poll_cycle_duration_seconds_sum", {"source": "prod"}, 0.5),
        ("watcher_poll_lag_seconds", {"source": "prod"}, 0.1),
        ("watcher_alerts", {"source": "prod", "name": "error", "severity": "critical"}, 1),
        ("watcher_alerts", {"source": "prod", "name": "missing", "severity": "warning"}, 0),
        ("watcher_alerts", {"source": "prod", "name": "unreachable", "severity": "critical"}, 1),
        ("watcher_instances_stale", {"source": "prod"}, 2),
        ("watcher_poll_pace_ratio", {"source": "prod"}, 0.5),
        ("watcher_poll_stretch_ratio", {"source": "prod"}, 2),
        ("watcher_notifications_total", {"receiver": "hooks", "type": "webhook"}, 1),
        ("watcher_notifications_failed_total", {"receiver": "hooks", "type": "webhook", "reason": "serverError"}, 1),
        ("watcher_notifications_failed_total", {"receiver": "hooks", "type": "webhook", "reason": "timeout"}, 0),
        ("watcher_notifications_pending", {"receiver": "hooks"}, 0),
        ("watcher_notifications_dead", {"receiver": "hooks"}, 2),
        ("watcher_notification_latency_seconds_sum", {"receiver": "hooks", "type": "webhook"}, 0.2),
    ]
    assert [each for each in expected if found.get((each[0], frozenset(each[1].items()))) != each[2]] == []


def samples(text: str) -> Iterator[tuple[str, dict[str, str], float]]:
    """What Prometheus' own parser reads."""
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            yield sample.name, sample.labels, sample.value


async def test_every_label_set_known_in_advance_starts_at_zero() -> None:
    async with served(metrics_of(View())) as url:
        _, text, _ = await get(f"{url}/metrics")
    for reason in FailureReason:
        assert f'reason="{reason.value}"' in text
    assert text.count("watcher_transitions_total{") == 7 * 6 + 1


async def test_above_the_limit_there_are_no_metrics_for_each_instance() -> None:
    view = View()
    view.by_source["prod"] = [history("BUILT", key=InstanceKey("prod", str(number)))[0] for number in range(3)]
    async with served(metrics_of(view, limit=2)) as url:
        _, text, _ = await get(f"{url}/metrics")
    assert "watcher_instance_status{" not in text
    assert 'watcher_instances{source="prod",status="BUILT"} 3.0' in text


async def test_openmetrics_when_asked_for() -> None:
    async with served(busy_metrics()) as url:
        _, text, headers = await get(f"{url}/metrics", Accept="application/openmetrics-text; version=1.0.0")
    assert headers["Content-Type"].startswith("application/openmetrics-text")
    assert text.endswith("# EOF\n")


async def test_promtool_finds_nothing() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        message = "promtool is missing: apt-get install prometheus"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    async with served(busy_metrics()) as url:
        _, text, _ = await get(f"{url}/metrics")
    ours = "".join(f"{line}\n" for line in text.splitlines() if "watcher_" in line)
    process = await asyncio.create_subprocess_exec(
        *(promtool, "check", "metrics"), stdin=PIPE, stdout=PIPE, stderr=STDOUT
    )
    said, _ = await process.communicate(ours.encode())
    assert (process.returncode, said.decode()) == (0, "")


async def test_healthy_and_ready() -> None:
    reasons = ["not yet tried: prod", None]
    async with served(metrics_of(View()), wellness=Well(not_ready=lambda: reasons[0])) as url:
        assert (await get(f"{url}/-/healthy"))[0] == 200
        status, text, _ = await get(f"{url}/-/ready")
        assert (status, "not yet tried: prod" in text) == (503, True)
        reasons.pop(0)
        assert (await get(f"{url}/-/ready"))[0] == 200


async def test_it_is_unhealthy_for_as_long_as_the_store_fails_for_anybody() -> None:
    health, full = StoreHealth(), StoreError("cannot write the store: disk full")
    async with served(metrics_of(View()), wellness=Well(unhealthy=health.unhealthy)) as url:
        for who in ("prod", "hooks", "prod"):
            health(StoreFailed(who, full, first=True))
        for recovered in ("prod", "hooks"):
            status, text, _ = await get(f"{url}/-/healthy")
            assert (status, text) == (503, "watcher is not healthy: cannot write the store: disk full.\n")
            health(StoreRecovered(recovered))
        assert (await get(f"{url}/-/healthy"))[:2] == (200, "watcher is healthy.\n")


@pytest.mark.parametrize("moved", [LeasesLost, LeasesGiven])
def test_what_failed_for_work_that_others_have_now_does_not_count(moved: Callable[[list[str]], Fact]) -> None:
    health, down = StoreHealth(), StoreError("cannot write the store: connection refused")
    for who in ("source prod", "receiver hooks", "replicas"):
        health(StoreFailed(who, down, first=True))
    health(moved(["source/prod", "receiver/hooks", "source/other"]))
    assert health.unhealthy() == str(down)
    health(StoreRecovered("replicas"))
    assert health.unhealthy() is None


async def test_a_store_that_cannot_be_read_does_not_stop_the_scrape() -> None:
    async def refresh() -> None:
        raise StoreError("cannot read the store")

    async with served(busy_metrics(), refresh=refresh) as url:
        status, text, _ = await get(f"{url}/metrics")
    assert (status, 'watcher_notifications_dead{receiver="hooks"} 2.0' in text) == (200, True)


async def test_with_a_token_all_but_health_needs_it(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("s3cret\n")
    guard = Guard(access=Access(bearer_token=Secret(path=file), clock=HastyClock()))
    async with served(metrics_of(View()), guard=lambda: guard) as url:
        for path in ("/", "/metrics", "/nonsense"):
            for wrong in ("", "Bearer", "Bearer s3cre", "Basic s3cret", "Bearer s3cret2", "Bearer \xe9"):
                status, _, headers = await get(url + path, **({"Authorization": wrong} if wrong else {}))
                assert (status, headers["WWW-Authenticate"].partition(",")[0]) == (401, "Bearer")
        assert (await get(f"{url}/metrics", Authorization="Bearer s3cret"))[0] == 200
        for path in ("/-/healthy", "/-/ready"):
            assert (await get(url + path))[0] == 200
        file.unlink()
        assert (await get(f"{url}/metrics", Authorization="Bearer s3cret"))[0] == 401


async def test_the_page_and_what_is_not_there() -> None:
    async with served(metrics_of(View())) as url:
        status, text, headers = await get(f"{url}/")
        assert (status, "metrics" in text) == (200, True)
        assert headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self';")
        status, _, headers = await get(f"{url}/nonsense")
        assert (status, headers["X-Content-Type-Options"]) == (404, "nosniff")
        assert headers["Content-Security-Policy"] == "default-src 'none'"


async def test_an_address_that_cannot_be_had() -> None:
    async with served(metrics_of(View())) as url:
        port = int(url.rpartition(":")[2])
        second = OpsServer(
            host="127.0.0.1",
            port=port,
            registry=metrics_of(View()).registry,
            refresh=no_refresh,
            wellness=Well(),
            guard=Guard,
            clock=FakeClock(),
        )
        with pytest.raises(ConfigurationError, match="cannot listen"):
            await second.start()
