"""`watcher store migrate` as its users call it: which sides it takes, what it says, and what it never shows."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from tests.contract.stores import KEYS, course
from tests.fakes.values import at
from watcher.cli.main import main
from watcher.store import open_store


def filled(path: Path) -> str:
    """A store with an instance and two events."""

    async def fill() -> None:
        store = await open_store(f"sqlite:///{path}")
        await store.commit([course(KEYS[0], "BUILDING", "BUILT")], now=at(15))
        await store.close()

    asyncio.run(fill())
    return f"sqlite:///{path}"


def configuration(folder: Path, url: str) -> Path:
    """A whole one, with this store."""
    path = folder / "watcher.yaml"
    source = {
        "name": "prod",
        "region": "ap-southeast-3",
        "project_id": "0123456789abcdef0123456789abcdef",
        "auth": {"method": "token", "token": "token"},
        "instances": ["697612196993040384"],
    }
    path.write_text(json.dumps({"sources": [source], "store": {"url": url}}))
    return path


def test_it_says_what_it_moved(tmp_path: Path, postgres_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    source = filled(tmp_path / "watcher.db")
    secret = postgres_url.replace("postgres@", "postgres:secret@")
    (tmp_path / "url").write_text(f"{secret}\n")
    assert main(["store", "migrate", "--from", source, "--to-file", str(tmp_path / "url"), "-o", "json"]) == 0
    out, err = capsys.readouterr()
    said = json.loads(out)
    assert {name: rows for name, rows in said["rows"].items() if rows} == {
        "instances": 1,
        "events": 2,
        "deliveries": 2,
    }
    assert said["from"] == source
    assert "secret" not in out + err
    assert err == ""
    assert main(["store", "migrate", "--from", source, "--to", secret]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert "the target is not empty" in err
    assert "secret" not in err


@pytest.mark.parametrize("side", ["--from", "--to"])
def test_the_configuration_says_the_other_side(tmp_path: Path, capsys: pytest.CaptureFixture[str], side: str) -> None:
    source, target = filled(tmp_path / "watcher.db"), f"sqlite:///{tmp_path / 'other.db'}"
    given, configured = (source, target) if side == "--from" else (target, source)
    config = configuration(tmp_path, configured)
    assert main(["store", "migrate", "-c", str(config), side, given]) == 0
    table = dict(line.split() for line in capsys.readouterr().out.splitlines())
    assert table["MOVED"] == "ROWS"
    assert (table["events"], table["deliveries"], table["notes"]) == ("2", "2", "0")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--from", "sqlite:///a.db"],
        ["--to", "sqlite:///a.db"],
        ["-c", "watcher.yaml"],
        ["-c", "watcher.yaml", "--from", "sqlite:///a.db", "--to", "sqlite:///b.db"],
        ["--from", "sqlite:///a.db", "--from-file", "url", "--to", "sqlite:///b.db"],
        ["--from", "mysql://u:secret@h/d", "--to", "sqlite:///b.db"],
        ["--from-file", "nothere", "--to", "sqlite:///b.db"],
        ["--from", "sqlite:///nothere.db", "--to", "postgresql://u:secret@127.0.0.1/d"],
    ],
)
def test_bad_usage_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    configuration(tmp_path, "sqlite:///c.db")
    assert main(["store", "migrate", *arguments]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert "secret" not in err
    assert [path.name for path in tmp_path.iterdir()] == ["watcher.yaml"]


def test_what_fails_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = filled(tmp_path / "watcher.db")
    assert main(["store", "migrate", "--from", source, "--to", "postgresql://u:secret@127.0.0.1:1/d"]) == 1
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith("target: cannot open the store: ")
    assert "secret" not in err
