"""What the commands make of anything that may listen where a watcher should."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.fakes.sink import Reply, Sink
from watcher.cli.main import main


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (Reply(body="<html>hello</html>"), "HTTP 200, and not as a watcher does: check the address"),
        (Reply(status=502, body="<html>bad gateway</html>"), "HTTP 502, and not as a watcher does"),
        (Reply(status=302, headers={"Location": "http://127.0.0.1:1/"}), "HTTP 302, and not as a watcher does"),
        (Reply(status=500, body='{"detail": "a\\u001b[31m\\nb"}'), "HTTP 500: a [31m b"),
        (Reply(status=500, body='{"detail": ["a"]}'), "HTTP 500, and not as a watcher does"),
        (Reply(body="[]"), "HTTP 200, and not as a watcher does"),
        (Reply(body="[" * 100_000), "HTTP 200, and not as a watcher does"),
        (Reply(body='{"items": 7}'), "did not answer with a list"),
        (Reply(body='{"items": [7]}'), "did not answer with a list"),
        (Reply(endless=True), "HTTP 200 with more than "),
        (Reply(cut=True), "cannot be reached: "),
        (Reply(reset=True), "cannot be reached: "),
    ],
)
async def test_what_is_no_watcher_is_one_line(reply: Reply, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    async with Sink(*[reply] * 5) as sink:  # what was reset is asked again
        code = await asyncio.to_thread(main, ["alerts", "--url", sink.url])
    output = capsys.readouterr()
    assert (code, output.out, output.err.count("\n")) == (1, "", 1), output.err
    assert said in output.err


async def test_items_of_another_shape_are_shown_as_they_can_be(capsys: pytest.CaptureFixture[str]) -> None:
    odd = json.dumps({"items": [{"id": ["x"], "event": 7, "match": 7, "comment": "a\nb", "reason": {}}], "next": 7})
    async with Sink(*[Reply(body=odd)] * 3) as sink:
        for name in (["alerts"], ["silence", "list"], ["deliveries"]):
            assert await asyncio.to_thread(main, [*name, "--url", sink.url]) == 0
            output = capsys.readouterr()
            assert (output.out.count("\n"), output.err) == (2, "")


async def test_no_more_is_asked_for_than_is_wanted() -> None:
    page = json.dumps({"items": [{"id": 1}], "next": "again"})
    async with Sink(*[Reply(body=page)] * 5000) as sink:
        assert await asyncio.to_thread(main, ["deliveries", "--limit", "7", "--url", sink.url]) == 0
        assert len(sink.received) == 7
        assert sink.received[1].path == "/api/v1/deliveries?limit=6&after=again"


async def test_a_list_that_never_ends_is_left() -> None:
    page = json.dumps({"items": [{"id": 1}], "next": "again"})
    async with Sink(*[Reply(body=page)] * 5000) as sink:
        assert await asyncio.to_thread(main, ["alerts", "--url", sink.url]) == 0
        assert len(sink.received) == 1000


async def test_what_is_asked_for_is_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    odd = "../../a b?c#d/é\x9b"
    async with Sink(*[Reply(body="{}")] * 3) as sink:
        assert await asyncio.to_thread(main, ["silence", "expire", odd, "--url", f"{sink.url}/base/"]) == 0
        assert await asyncio.to_thread(main, ["ack", odd, "--author", "ada", "--url", sink.url]) == 0
        paths = [request.path for request in sink.received]
    escaped = "..%2F..%2Fa%20b%3Fc%23d%2F%C3%A9%C2%9B"
    assert paths == [f"/base/api/v1/silences/{escaped}", f"/api/v1/alerts/{escaped}/ack"]
    assert capsys.readouterr().out.splitlines()[0] == "../../a b?c#d/é  is over"
