"""How all is, in one sentence."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fakes.values import at
from watcher.cli.headline import headline
from watcher.core.event_json import format_time

WELL: dict[str, Any] = {
    "ready": True,
    "healthy": True,
    "instances": {"total": 5, "by_status": {"BUILDING": 1, "BUILT": 4, "ERROR": 0}},
    "alerts": {"critical": 0, "warning": 0, "info": 0},
    "acknowledged": 0,
    "deliveries": {"pending": 7, "dead": 0},
    "silences": 0,
    "sources": {"total": 1, "down": 0},
}
DOWN = {"name": "prod", "state": "down", "failing_since": format_time(at(0)), "stale": 5}


@pytest.mark.parametrize(
    ("changes", "sources", "style", "said"),
    [
        ({}, [], "green", "All well: 5 instances (4 BUILT, 1 BUILDING) of 1 source, nothing fires."),
        (
            {"silences": 2},
            [],
            "green",
            "All well: 5 instances (4 BUILT, 1 BUILDING) of 1 source, nothing fires, 2 silences active.",
        ),
        (
            {"configuration": {"refused": ["w.yaml:1:2: no\nsuch key", "more"], "waiting": []}},
            [],
            "yellow",
            "The configuration file is refused, the one before goes on: w.yaml:1:2: no such key.",
        ),
        (
            {"configuration": {"refused": [], "waiting": ["web.listen", "store.url"]}},
            [],
            "yellow",
            "A restart is needed to apply web.listen, store.url.",
        ),
        (
            {"configuration": {"refused": None, "waiting": 3}, "instances": {"total": 0}},
            [],
            "green",
            "All well: no instance is watched yet.",
        ),
        ({"instances": {"total": 0}}, [], "green", "All well: no instance is watched yet."),
        ({"alerts": {"critical": 1, "warning": 1}}, [], "red", "2 alerts fire: 1 critical, 1 warning."),
        ({"alerts": {"warning": 1}, "acknowledged": 1}, [], "yellow", "1 alert fires: 1 warning (1 acknowledged)."),
        ({}, [DOWN], "red", "Source prod does not answer for 12m."),
        ({}, [DOWN] * 3, "red", "3 of 3 sources do not answer: prod, prod, prod."),
        ({}, [{"name": "a", "state": "up", "stale": 2}], "yellow", "2 instances not observed when due."),
        (
            {"deliveries": {"dead": 1}},
            [],
            "yellow",
            "1 notification could not be delivered (watcher deliveries --state dead).",
        ),
        (
            {"why_unwell": "no replica has taken source/prod"},
            [],
            "red",
            "Not all of the work is done: no replica has taken source/prod.",
        ),
        (
            {"healthy": False, "why_unhealthy": "the store\ncannot be written", "ready": False, "why_not_ready": None},
            [],
            "red",
            "The watcher is not healthy: the store cannot be written; the watcher is not ready: -.",
        ),
    ],
)
def test_what_is_said(changes: dict[str, Any], sources: list[dict[str, Any]], style: str, said: str) -> None:
    assert headline({**WELL, **changes}, sources, now=at(720)) == (style, said)


def test_in_a_pipe_the_time_is_exact() -> None:
    assert headline(WELL, [DOWN], now=None)[1] == f"Source prod does not answer since {format_time(at(0))}."


def test_answers_of_another_shape_do_no_harm() -> None:
    odd = {key: ["x"] for key in WELL}
    assert headline(odd, [{"state": ["down"]}, {"stale": "7"}], now=at(0))[0] == "green"
    assert headline({}, [], now=at(0)) == ("green", "All well: no instance is watched yet.")
