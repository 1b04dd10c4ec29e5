"""What the commands that talk to a watcher refuse before they do."""

from __future__ import annotations

import pytest

from watcher.cli.main import main

URL = "http://127.0.0.1:1"
GOOD = ["silence", "add", "--comment", "x", "--author", "ada"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([*GOOD, "--to", "ERROR"], "say --duration or --until, one of the two"),
        ([*GOOD, "--to", "ERROR", "--duration", "1h", "--until", "2026-01-01"], "say --duration or --until"),
        ([*GOOD, "--to", "ERROR", "--duration", "soon"], "not a duration: write 500ms"),
        ([*GOOD, "--to", "ERROR", "--until", "tomorrow"], "not a time: write 2026-01-01T22:00 (local)"),
        ([*GOOD, "--duration", "1h"], "say what is to be silenced, such as --source, --name or --to, or --all"),
        ([*GOOD, "--duration", "1h", "--all", "--to", "ERROR"], "say what is to be silenced"),
        ([*GOOD, "--duration", "1h", "--label", "=x"], "not a label: '=x': write NAME=VALUE"),
        ([*GOOD, "--duration", "1h", "--kind", "frob"], "'frob' is not one of 'discovered', 'transition'"),
        (["silence", "add", "--author", "ada", "--all", "--duration", "1h"], "Missing option '--comment'"),
        (["silence", "add", "--comment", "x", "--all", "--duration", "1h"], "Missing option '--author'"),
        (["silence", "expire"], "Missing argument 'ID...'"),
        (["ack", "--author", "ada"], "Missing argument 'FINGERPRINT'"),
        (["deliveries", "--state", "ded"], "'ded' is not one of 'pending', 'delivered', 'dead', 'suppressed'"),
        (["deliveries", "--limit", "0"], "Invalid value for '--limit'"),
        (["deliveries", "retry"], "say the ids of deliveries, or --all-dead"),
        (["deliveries", "retry", "7", "--all-dead"], "say the ids of deliveries, or --all-dead"),
        (["deliveries", "retry", "x"], "Invalid value for 'ID...'"),
        (["alerts", "--url", "ftp://host"], "not an address of a watcher: ftp://host: write http://HOST:9468"),
        (["alerts", "--url", "http://me:canary@[host?canary"], "not an address of a watcher"),
        (["alerts", "--url", "http://host:99999"], "not an address of a watcher"),
        (["alerts"], "which watcher? say --url http://HOST:9468, or -c FILE, or set WATCHER_URL"),
        (["alerts", "-c", "/nonexistent.yaml"], "cannot be read"),
    ],
)
def test_bad_usage_is_one_line_and_2(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("USER", "WATCHER_URL", "WATCHER_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    assert main(arguments) == 2
    output = capsys.readouterr()
    assert (output.out, output.err.count("\n")) == ("", 1), output.err
    assert said in output.err
    assert "canary" not in output.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["alerts"],
        ["silence", "list"],
        [*GOOD, "--duration", "1h", "--to", "ERROR"],
        [*GOOD, "--until", "2999-01-01T00:00", "--start", "2998-01-01T00:00:00Z", "--all"],
        ["silence", "expire", "sil_1"],
        ["ack", "x", "--author", "ada"],
        ["deliveries"],
        ["deliveries", "retry", "7"],
        ["deliveries", "retry", "--all-dead"],
    ],
)
def test_a_watcher_that_is_not_there_is_one_line_and_1(
    arguments: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHER_URL", URL)
    assert main(arguments) == 1
    output = capsys.readouterr()
    wanted = f"the watcher at {URL} cannot be reached: Connection refused: does it run, and is it there?\n"
    assert (output.out, output.err) == ("", wanted)


@pytest.mark.parametrize("before", [True, False])
def test_where_the_watcher_is_may_be_said_before_the_sub_command(
    before: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHER_URL", "http://127.0.0.1:2")
    said, retry = ["--url", URL], ["retry", "--all-dead"]
    assert main(["deliveries", *said, *retry] if before else ["deliveries", *retry, *said]) == 1
    assert capsys.readouterr().err.startswith(f"the watcher at {URL} cannot be reached")
