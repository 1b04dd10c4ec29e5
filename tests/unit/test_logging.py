from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from tests.fakes.receivers import refusal
from tests.fakes.values import KEY, at, event, history
from watcher.core.errors import (
    CloudAuthError,
    CloudEndpointError,
    CloudError,
    CloudMalformedError,
    CloudPermissionError,
    CloudThrottledError,
    CloudUnavailableError,
    StoreError,
)
from watcher.core.facts import (
    Committed,
    Delivered,
    DeliveryFailed,
    InstanceFailed,
    Observed,
    ReceiverFailed,
    ReceiverRecovered,
    SourceFailed,
    SourceRecovered,
    StoreFailed,
    StoreRecovered,
    Suppressed,
)
from watcher.core.model import Delivery, Notification, Suppression
from watcher.logging import LogObserver, advice, configure_logging

CANARY = "canary0123456789"


@pytest.fixture
def output() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield io.StringIO()
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


def lines(output: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.getvalue().splitlines()]


@pytest.mark.parametrize("style", ["json", "console"])
@pytest.mark.parametrize(
    "fields",
    [
        {"password": CANARY},
        {"X-Auth-Token": CANARY},
        {"secret_key": CANARY},
        {"headers": {"Authorization": CANARY}},
        {"items": [{"routing_key": CANARY}]},
        {"text": f"signed with whsec_{CANARY}"},
        {"text": f"xoxb-{CANARY}"},
        {"text": f"POST https://hooks.slack.com/services/T0/B0/{CANARY}"},
        {"text": f"via http://user:{CANARY}@proxy:3128/"},
        {"text": f"Authorization: SDK-HMAC-SHA256 Access=AK, Signature={'0a' * 8}{CANARY[6:]}"},
        {"text": f"Bearer {CANARY}"},
        {"error": ValueError(f"https://user:{CANARY}@host/")},
    ],
)
def test_secrets_are_hidden(output: io.StringIO, style: Any, fields: dict[str, Any]) -> None:
    configure_logging(level="info", style=style, output=output)
    structlog.stdlib.get_logger("watcher").info("something", **fields)
    logging.getLogger("aiohttp").warning("library says %s", fields.get("text", ""))
    assert "something" in output.getvalue()
    assert CANARY not in output.getvalue()
    assert CANARY[6:] not in output.getvalue()


def test_a_traceback_is_redacted_and_shows_no_variables(output: io.StringIO) -> None:
    configure_logging(level="info", style="json", output=output)
    hidden = CANARY
    try:
        int(f"http://user:{hidden}@host/")
    except ValueError:
        structlog.stdlib.get_logger("watcher").exception("broken")
    assert "ValueError" in output.getvalue()
    assert CANARY not in output.getvalue()


def test_ordinary_words_are_not_hidden(output: io.StringIO) -> None:
    configure_logging(level="info", style="json", output=output)
    structlog.stdlib.get_logger("watcher").info("x", instance_id="697", url="http://127.0.0.1:9468", count=3, key=None)
    [line] = lines(output)
    assert (line["instance_id"], line["url"], line["count"], line["key"]) == ("697", "http://127.0.0.1:9468", 3, None)
    assert {"level": "info", "logger": "watcher"}.items() <= line.items()


def test_the_level_is_ours_and_libraries_only_warn(output: io.StringIO) -> None:
    configure_logging(level="warning", style="json", output=output)
    structlog.stdlib.get_logger("watcher").info("quiet")
    logging.getLogger("apscheduler").info("quiet")
    logging.getLogger("apscheduler").warning("heard")
    assert [line["event"] for line in lines(output)] == ["heard"]


def held() -> Delivery:
    return Delivery(id=1, receiver="hooks", event=event(), attempts=0, queued_at=at(0), next_attempt_at=at(0))


def test_a_digest_is_logged_with_how_much_it_holds(output: io.StringIO) -> None:
    configure_logging(level="info", style="json", output=output)
    digest = Notification(id="dig_1", events=(event(), event()), is_digest=True)
    LogObserver()(Delivered("hooks", "webhook", digest, at(16)))
    [line] = lines(output)
    assert line.items() >= {"digest_id": "dig_1", "events": 2}.items()


def test_edges_are_told_and_repetitions_are_not(output: io.StringIO) -> None:
    configure_logging(level="info", style="json", output=output)
    observe = LogObserver()
    down = CloudUnavailableError("no answer", http_status=503, request_id="req-1")
    full = StoreError("cannot write the store: disk full")
    for first in (True, False, False):
        observe(SourceFailed("prod", down, 1.0, first=first))
        observe(InstanceFailed(KEY, down, first=first))
        observe(StoreFailed("prod", full, first=first))
    observe(SourceRecovered("prod"))
    observe(StoreRecovered("prod"))
    observe(Observed("prod", 100))
    observe(Committed(history("BUILDING", "BUILT")[1]))
    told = Notification(id="evt_1", events=(event(),))
    observe(Delivered("hooks", "webhook", told, at(16)))
    observe(DeliveryFailed("hooks", "webhook", told, refusal(), attempts=1, retry_in_s=1.0))
    observe(DeliveryFailed("hooks", "webhook", told, refusal(), attempts=2, retry_in_s=2.0))
    observe(DeliveryFailed("hooks", "webhook", told, refusal(permanent=True), attempts=3, retry_in_s=None))
    for first in (True, False):
        observe(ReceiverFailed("hooks", refusal(), 1.0, first=first))
    observe(ReceiverRecovered("hooks"))
    observe(Suppressed(held(), Suppression.SILENCE, "silence sil_1 by me: maintenance"))
    assert [(line["event"], line["level"]) for line in lines(output)] == [
        ("source failed", "error"),
        ("instance failed", "warning"),
        ("store failed", "error"),
        ("source recovered", "info"),
        ("store recovered", "info"),
        ("transition", "info"),
        ("delivered", "info"),
        ("delivery failed", "warning"),
        ("delivery dead", "error"),
        ("receiver failed", "error"),
        ("receiver recovered", "info"),
        ("suppressed", "info"),
    ]
    assert lines(output)[6].items() >= {"event_id": "evt_1", "latency_s": 0.877}.items()
    assert lines(output)[-1]["held_by"] == "silence sil_1 by me: maintenance"
    assert lines(output)[0]["error"] == "no answer (HTTP 503, request id req-1)"


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (CloudAuthError("x"), "credential"),
        (CloudPermissionError("x"), "grant"),
        (CloudThrottledError("x"), "ask less"),
        (CloudEndpointError("x"), "endpoint"),
        (CloudMalformedError("x"), "proxy"),
        (CloudUnavailableError("x"), "wait"),
    ],
)
def test_every_failure_says_what_to_do(error: CloudError, word: str) -> None:
    assert word in advice(error)
