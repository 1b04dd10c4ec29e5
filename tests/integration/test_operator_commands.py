"""The commands that look at a watcher, with its real API; and what they make of anything else."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest

from tests.fakes.sink import Reply, Sink
from tests.fakes.values import at, event, history
from tests.integration.test_api import Bench, bench  # noqa: F401 - a fixture
from watcher.cli.client import Address, Client
from watcher.cli.history import load_history
from watcher.cli.main import main
from watcher.core.clock import SystemClock
from watcher.core.event_json import format_time, to_json
from watcher.core.model import Event, InstanceKey
from watcher.core.ports import Change

Output = tuple[int, str, str]


@pytest.fixture
async def fleet(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Bench:  # noqa: F811 - a fixture
    """A watcher that knows of two instances, one that is BUILT and one in ERROR, with their history of an hour ago."""
    monkeypatch.setenv("WATCHER_URL", bench.url)
    now = SystemClock().now()
    shift = now - timedelta(hours=1) - at(0)
    for instance_id, statuses in (("1", ("BUILT", "BUILDING", "BUILT")), ("2", ("BUILDING", "ERROR"))):
        state, events = history(*statuses, step_s=600, key=InstanceKey("prod", instance_id))
        bench.view.by_source["prod"].append(state)
        moved = [(_moved(each, shift), ()) for each in events]
        await bench.store.commit([Change(state=state, events=tuple(moved))], now=now)
    return bench


def _moved(told: Event, shift: timedelta) -> Event:
    before = told.previous_observed_at
    alerts = tuple(replace(alert, starts_at=alert.starts_at + shift) for alert in told.alerts)
    previous = before + shift if before is not None else None
    return replace(told, observed_at=told.observed_at + shift, previous_observed_at=previous, alerts=alerts)


async def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> Output:
    code = await asyncio.to_thread(main, list(arguments))
    output = capsys.readouterr()
    return code, output.out, output.err


class TestStatus:
    async def test_what_is_wrong_then_what_fires_then_all_worst_first(
        self, fleet: Bench, capsys: pytest.CaptureFixture[str]
    ) -> None:
        code, out, err = await run(capsys, "status")
        assert (code, err) == (0, "")
        sentence, *sections = out.split("\n\n")
        assert sentence == "2 alerts fire: 2 critical; 2 instances not observed when due."
        alerts, instances, sources, replicas = (section.splitlines() for section in sections)
        assert alerts[0].split()[:4] == ["FINGERPRINT", "ALERT", "SEVERITY", "SINCE"]
        assert [line.split()[1] for line in alerts[1:]] == ["error", "unreachable"]
        assert instances[0].split() == ["STATUS", "SINCE", "ENDS", "ALERTS", "NAME", "SOURCE", "ID"]
        assert [line.split() for line in instances[1:]] == [
            ["ERROR", format_time(at(600)), "-", "error", "office-2026", "prod", "2"],
            ["BUILT", format_time(at(1200)), "-", "-", "office-2026", "prod", "1"],
        ]
        assert sources[0].split()[:2] == ["SOURCE", "STATE"]
        assert sources[1].split()[0] == "prod"
        assert [line.split()[:2] for line in replicas] == [
            ["REPLICA", "STATE"],
            ["one-1", "well"],
            ["two-2", "draining"],
        ]

    @pytest.mark.parametrize(
        ("given", "ids"),
        [
            (["--status", "BUILT"], ["1"]),
            (["--alerting"], ["2"]),
            (["-q", "OFFICE team=vdi"], ["2", "1"]),
            (["-q", "nothing"], []),
            (["--source", "prod", "--limit", "1"], ["2"]),
        ],
    )
    async def test_only_some(
        self, fleet: Bench, given: list[str], ids: list[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        code, out, _ = await run(capsys, "status", *given, "-o", "json")
        document = json.loads(out)
        assert (code, [item["id"] for item in document["items"]]) == (0, ids)
        assert set(document) == {"items", "sources", "alerts", "status", "replicas", "next"}
        assert document["status"]["instances"]["total"] == 2
        code, out, _ = await run(capsys, "status", *given)
        assert ("No instance is like that." in out) is (ids == [])
        assert "unreachable" in out  # alerts are not those of these instances alone
        assert ("and 1 more instances, calmer ones: --limit 2 shows all" in out) is ("--limit" in given)

    async def test_of_a_source_that_is_not_there(self, fleet: Bench, capsys: pytest.CaptureFixture[str]) -> None:
        code, out, err = await run(capsys, "status", "--source", "nope")
        assert (code, out.split("\n\n")[1], err) == (0, "No instance is like that.", "")


class TestEvents:
    async def test_oldest_first(self, fleet: Bench, capsys: pytest.CaptureFixture[str]) -> None:
        code, out, err = await run(capsys, "events")
        assert (code, err) == (0, "")
        lines = [line.split() for line in out.splitlines()]
        assert [line[4] for line in lines[1:]] == ["1", "1", "1", "2", "2"]
        code, out, _ = await run(capsys, "events", "-o", "json")
        assert len(json.loads(out)["items"]) == 5

    @pytest.mark.parametrize(
        ("given", "count"),
        [
            (["--limit", "2"], 2),
            (["--kind", "discovered"], 2),
            (["--kind", "discovered", "--kind", "transition", "--instance-id", "1"], 3),
            (["--source", "nope"], 0),
            (["--since", "2h"], 5),
            (["--since", "45m"], 1),
            (["--since", "2999-01-01"], 0),
        ],
    )
    async def test_only_some(
        self, fleet: Bench, given: list[str], count: int, capsys: pytest.CaptureFixture[str]
    ) -> None:
        code, out, _ = await run(capsys, "events", *given, "-o", "json")
        assert (code, len(json.loads(out)["items"])) == (0, count)

    async def test_a_timeline(self, fleet: Bench, capsys: pytest.CaptureFixture[str]) -> None:
        code, out, err = await run(capsys, "events", "--timeline", "--since", "90m")
        assert (code, err) == (0, "")
        axis, bad, good, _, legend = out.splitlines()
        assert "|" in axis
        assert set(bad.partition("  ")[2]) == {" ", "b", "E"}
        assert set(good.partition("  ")[2]) == {" ", "b", "-"}
        assert legend.startswith("b BUILDING   - BUILT   E ERROR   one character: ")
        code, out, _ = await run(capsys, "events", "--timeline", "--instance-id", "1", "-o", "json")
        [item] = json.loads(out)["items"]
        assert [span["status"] for span in item["spans"]] == ["BUILT", "BUILDING", "BUILT"]
        assert item["spans"][1]["duration_s"] == 600


class TestReport:
    async def test_a_file(self, fleet: Bench, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        target = tmp_path / "report.html"
        target.write_text("the old one")
        link = tmp_path / "link.html"
        link.symlink_to(target)
        code, out, err = await run(capsys, "report", "--since", "2h", "-o", str(link))
        assert (code, out, err) == (0, f"{link}: written: 2 builds of 2 instances, 1 failed\n", "")
        assert link.is_symlink()
        assert target.read_text().startswith("<!DOCTYPE html>")
        assert sorted(path.name for path in tmp_path.glob("*html*")) == ["link.html", "report.html"]
        assert fleet.url in target.read_text()

    async def test_on_standard_output(self, fleet: Bench, capsys: pytest.CaptureFixture[str]) -> None:
        code, out, _ = await run(capsys, "report", "-o", "-", "--until", "50m")
        assert (code, out.startswith("<!DOCTYPE html>"), out.endswith("</html>\n")) == (0, True, True)
        assert "2 instances" in out

    async def test_where_nothing_can_be_written(
        self, fleet: Bench, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        for target, why in ((tmp_path / "no" / "r.html", "No such file or directory"), (tmp_path, "Is a directory")):
            code, out, err = await run(capsys, "report", "-o", str(target))
            assert (code, out, err) == (1, "", f"{target}: cannot write it: {why}\n")


class TestOfAnythingElse:
    @pytest.mark.parametrize(
        "command", [["status"], ["events"], ["events", "-f"], ["events", "--timeline"], ["report"]]
    )
    @pytest.mark.parametrize(
        ("reply", "said"),
        [
            (Reply(body="<html>hello</html>"), "and not as a watcher does"),
            (Reply(status=404, body='{"detail": "no such path"}'), "no such path"),
            (Reply(reset=True), "cannot be reached"),
        ],
    )
    async def test_what_is_no_watcher_is_one_line(
        self, command: list[str], reply: Reply, said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        more = ["-o", str(tmp_path / "r.html")] if command == ["report"] else []
        async with Sink() as sink:
            sink.good = reply
            code, out, err = await run(capsys, *command, *more, "--url", sink.url)
        assert (code, err.count("\n"), said in err) == (1, 1, True), err
        assert out == ""
        assert list(tmp_path.iterdir()) == []

    async def test_items_of_another_shape_are_shown_as_they_can_be(
        self, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        odd = {"id": ["x"], "alerts": [7, {}], "since": 7, "expected": {"median_s": "x"}, "left_s": [], "name": "a\nb"}
        more = {"state": {}, "pace": "x", "stretch": 1e300, "kind": {}, "reason": "x", "presence": "present"}
        async with Sink() as sink:
            sink.good = Reply(body=json.dumps({"items": [odd | more, {}], "next": None}))
            for command in (["status"], ["events"], ["events", "--timeline"], ["report", "-o", str(tmp_path / "r")]):
                code, _, err = await run(capsys, *command, "--url", sink.url)
                assert (code, "Traceback" in err) == (0, False), err

    async def test_more_than_can_be_read_is_cut(self) -> None:
        told = [to_json(event())] * 600 + [{"id": "x"}] * 400
        async with Sink() as sink, aiohttp.ClientSession() as session:
            sink.good = Reply(body=json.dumps({"items": told, "next": "again"}))
            found = await load_history(Client(session, Address(url=sink.url)), {}, since=at(0), most=2500)
        assert (len(sink.received), found.is_cut, found.unreadable) == (3, True, 1200)
        assert len(found.events) == 1800


def test_events_that_are_no_time_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    url = ["--url", "http://127.0.0.1:1"]
    for arguments, said in (
        (["events", "--since", "soon"], "not a time: write 2h (ago)"),
        (["events", "--since", "900000d"], "that is too long ago"),
        (["events", "--timeline", "-f"], "--timeline goes with neither --follow nor --kind"),
        (["events", "--kind", "frob"], "'frob' is not one of"),
        (["report", "--since", "1h", "--until", "2h"], "--since must be before --until"),
        (["status", "--limit", "0"], "Invalid value for '--limit'"),
    ):
        assert main([*arguments, *url]) == 2
        output = capsys.readouterr()
        assert (output.out, output.err.count("\n"), said in output.err) == ("", 1, True), output.err
