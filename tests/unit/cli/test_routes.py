"""Who would be told, as `watcher routes test` and `watcher check` say it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from watcher.cli.main import main

SOURCE = {
    "region": "ap-southeast-3",
    "project_id": "0123456789abcdef0123456789abcdef",
    "auth": {"method": "aksk", "access_key": "a", "secret_key": "b"},
}
RECEIVERS = [
    {"name": "chat", "type": "console"},
    {"name": "oncall", "type": "console", "min_severity": "critical"},
    {"name": "mail", "type": "console"},
]
ROUTES = [
    {"match": {"to": "ERROR", "labels": {"team": "vdi"}}, "receivers": "oncall", "continue": True},
    {"match": {"source": "prod"}, "receivers": ["chat", "oncall"]},
]


def write(folder: Path, **more: Any) -> str:
    path = folder / "watcher.yaml"
    document = {
        "sources": [
            {**SOURCE, "name": "prod", "instances": [{"id": "1", "labels": {"team": "vdi"}}, "2"]},
            {**SOURCE, "name": "lab", "discover": [{"name": "lab-*", "labels": {"team": "vdi"}}]},
        ],
        "receivers": RECEIVERS,
        **more,
    }
    path.write_text(json.dumps(document))
    return str(path)


def routes_test(config: str, *arguments: str) -> Any:
    return main(["routes", "test", "-c", config, *arguments])


def test_the_routes_that_match_and_why_others_are_not_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = write(tmp_path, routes=ROUTES)
    given = ("--from", "BUILDING", "--to", "ERROR", "--source", "prod", "--name", "office-1", "--label", "team=vdi")
    assert routes_test(config, "--kind", "transition", "--severity", "warning", *given) == 0
    said = capsys.readouterr()
    assert [" ".join(line.split()) for line in said.out.splitlines()] == [
        "ROUTE MATCH RECEIVERS THEN",
        "routes[0] to=ERROR label:team=vdi oncall continues",
        "routes[1] source=prod chat, oncall ends",
        "",
        "RECEIVER TOLD WHY NOT",
        "chat yes -",
        "oncall no warning is below its min_severity critical",
        "mail no no route that matches names it",
    ]
    assert said.err == ""


def test_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = write(tmp_path, routes=ROUTES)
    assert routes_test(config, "--to", "ERROR", "--instance-id", "1", "-o", "json") == 0
    assert json.loads(capsys.readouterr().out) == {
        "event": {
            "kind": "transition",
            "source": "prod",
            "instance_id": "1",
            "instance_name": "",
            "from": None,
            "to": "ERROR",
            "severity": "critical",
            "labels": {"team": "vdi"},
        },
        "routes": [
            {
                "index": 0,
                "match": {"to": ["ERROR"], "labels": {"team": "vdi"}},
                "receivers": ["oncall"],
                "continue": True,
            },
            {"index": 1, "match": {"source": ["prod"]}, "receivers": ["chat", "oncall"], "continue": False},
        ],
        "told": ["chat", "oncall"],
        "not_told": {"mail": "no route that matches names it"},
    }


@pytest.mark.parametrize(
    ("arguments", "severity", "told"),
    [
        (["--to", "BUILT"], "info", ["chat"]),
        (["--from", "ERROR", "--to", "BUILT"], "critical", ["chat", "oncall"]),
        (["--kind", "stuck"], "warning", ["chat"]),
        (["--kind", "missing"], "warning", ["chat"]),
        (["--kind", "unreachable"], "critical", ["chat", "oncall"]),
        (["--kind", "reminder"], "critical", ["chat", "oncall"]),
        (["--kind", "recovered"], "warning", ["chat"]),
        (["--kind", "discovered", "--to", "BUILT"], "info", []),
        (["--kind", "discovered", "--to", "ERROR"], "critical", ["chat", "oncall"]),
        (["--source", "lab", "--to", "ERROR"], "critical", []),
        (["--source", "lab", "--to", "ERROR", "--name", "lab-1"], "critical", ["oncall"]),
    ],
)
def test_news_matters_as_the_configuration_says(
    arguments: list[str], severity: str, told: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert routes_test(write(tmp_path, routes=ROUTES), *arguments, "-o", "json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["event"]["severity"], answer["told"]) == (severity, told)


def test_an_ending_is_not_told_to_who_wants_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    oncall = {"name": "oncall", "type": "console", "min_severity": "critical", "send_resolved": False}
    config = write(tmp_path, receivers=[oncall])
    assert routes_test(config, "--from", "ERROR", "--to", "BUILT", "-o", "json") == 0
    assert json.loads(capsys.readouterr().out)["told"] == []
    assert routes_test(config, "--kind", "reminder", "-o", "json") == 0
    assert json.loads(capsys.readouterr().out)["told"] == ["oncall"]


def test_without_routes_or_receivers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert routes_test(write(tmp_path), "--to", "ERROR") == 0
    assert "everything goes to every receiver" in capsys.readouterr().out
    assert routes_test(write(tmp_path, receivers=[])) == 0
    assert "nobody is told" in capsys.readouterr().out
    assert routes_test(write(tmp_path, routes=ROUTES), "--source", "lab") == 0
    assert "No route matches." in capsys.readouterr().out


def test_what_cannot_be_meant(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = write(tmp_path)
    assert routes_test(config, "--source", "prd") == 2
    assert capsys.readouterr().err == "no source is called 'prd'; configured: prod, lab\n"
    assert routes_test(config, "--label", "team") == 2
    assert "not a label: 'team': write NAME=VALUE" in capsys.readouterr().err
    assert routes_test(config, "--to", "EROR") == 0
    assert capsys.readouterr().err.startswith("warning: 'EROR' is not a status the cloud documents")


def outlook(config: str, capsys: pytest.CaptureFixture[str]) -> list[str]:
    assert main(["check", "-c", config]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    return [
        line.removeprefix(f"{config}: ").replace("an instance going to ERROR", "it")
        for line in said.out.splitlines()
        if "going to ERROR" in line
    ]


def test_check_says_where_errors_would_go(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert outlook(write(tmp_path), capsys) == [
        "notice: it in prod is told to: chat, oncall, mail",
        "notice: it in lab is told to: chat, oncall, mail",
    ]
    assert outlook(write(tmp_path, routes=ROUTES[1:]), capsys) == [
        "notice: it in prod is told to: chat, oncall",
        "warning: it in lab is told to nobody",
    ]
    assert outlook(write(tmp_path, receivers=[]), capsys) == [
        "warning: it in prod is told to nobody",
        "warning: it in lab is told to nobody",
    ]


def test_check_tells_instances_apart_where_they_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert outlook(write(tmp_path, routes=ROUTES[:1]), capsys) == [
        "notice: it in prod, such as 1, is told to: oncall",
        "warning: it in prod, such as 2, is told to nobody",
        "notice: it in lab is told to: oncall",
    ]
    by_name = [{"match": {"name": "office-*"}, "receivers": "chat"}]
    assert outlook(write(tmp_path, routes=by_name), capsys) == [
        "notice: it in prod is told to nobody, unless by its name: chat",
        "warning: it in lab is told to nobody",
    ]
