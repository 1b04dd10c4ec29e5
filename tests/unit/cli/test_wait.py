"""What `watcher wait` refuses before it asks anybody."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from watcher.cli.main import main


@pytest.fixture
def config(tmp_path: Path) -> Path:
    key = {"method": "aksk", "access_key": "a", "secret_key": "b"}
    common = {"region": "ap-southeast-3", "project_id": "0" * 32, "endpoint": "http://127.0.0.1:1", "auth": key}
    sources = [{"name": name, "instances": ids, **common} for name, ids in (("a", ["1", "2"]), ("b", ["2"]))]
    path = tmp_path / "watcher.yaml"
    path.write_text(json.dumps({"sources": sources, "receivers": [], "store": {"url": "sqlite:///x.db"}}))
    return path


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["1", "--timeout", "soon"], "not a duration: write 500ms"),
        (["1", "--timeout", "-1s"], "not a duration: write 500ms"),
        (["1", "--for", ","], "say what to wait for, such as --for BUILT"),
        (["1", "--for", "deleted", "--new-image"], "--new-image is for --for BUILT"),
        (["1", "--source", "c"], "no source is called 'c'; configured: a, b"),
        (["2"], "which source is '2' of? several list it: say --source, one of a, b"),
        (["3"], "which source is '3' of? none lists it: say --source, one of a, b"),
        ([], "Missing argument 'ID'"),
    ],
)
def test_bad_usage_is_one_line_and_2(
    arguments: list[str], said: str, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["wait", "-c", str(config), *arguments]) == 2
    output = capsys.readouterr()
    assert (output.out, output.err.count("\n"), said in output.err) == ("", 1, True), output.err


def test_a_word_that_is_no_status_is_warned_of(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["wait", "-c", str(config), "3", "--for", "built,Deleted,BUILDED"]) == 2
    assert capsys.readouterr().err.splitlines()[0].startswith("warning: 'BUILDED' is not a status the cloud documents")


def test_without_a_configuration(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["wait", "1"]) == 2
    assert "Missing option '-c' / '--config'" in capsys.readouterr().err
