"""Waiting on fake time: what is asked of the cloud, what is shown, how it ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.fakes.clock import FakeClock
from tests.fakes.cloud import Answer, ScriptedCloud
from tests.fakes.sink import Reply, Sink
from tests.fakes.values import KEY, built, failed_step, history, instance
from watcher.cli.client import Address
from watcher.cli.course import Courses
from watcher.cli.wait_display import Lines
from watcher.cli.waiting import Course, Ending, Waiter
from watcher.core.awaited import Awaited, Outcome
from watcher.core.errors import (
    CloudAuthError,
    CloudEndpointError,
    CloudError,
    CloudPermissionError,
    CloudThrottledError,
    CloudUnavailableError,
)
from watcher.core.facts import Fact
from watcher.core.model import Expectation, InstanceState
from watcher.core.ports import Background, CloudApi
from watcher.ops.api.views import instance_to_json
from watcher.polling import Watched
from watcher.receivers.links import Links

HOUR_S = 3600.0
REFUSED = CloudAuthError("verify aksk signature fail", http_status=401, code="APIGW.0301")
DOWN = CloudUnavailableError("no answer within 10 s")


class Wait:
    """One wait on fake time."""

    def __init__(self, *answers: Answer) -> None:
        self.clock = FakeClock()
        self.cloud = ScriptedCloud({KEY.id: answers})
        self.asked_at: list[float] = []
        self.cloud.on_show = lambda _: self.asked_at.append(self.clock.monotonic())

    async def run(
        self,
        words: str = "BUILT",
        *,
        instance_id: str = KEY.id,
        timeout_s: float = 2 * HOUR_S,
        new_image: bool = False,
        course_of: Callable[[InstanceState], Course] = lambda state: Course(since=state.since),
    ) -> Ending:
        async def course(state: InstanceState) -> Course:
            return course_of(state)

        waiter = Waiter(
            watched=Watched(source="prod", instances={"another": {}}),
            instance_id=instance_id,
            awaited=Awaited.of([words], new_image=new_image),
            display=Lines(),
            course_of=course,
            clock=self.clock,
        )

        def open_api(_observe: Callable[[Fact], None]) -> CloudApi:
            return self.cloud

        waiting = asyncio.create_task(waiter.wait(open_api, timeout_s=timeout_s))
        while not waiting.done():
            await self.clock.advance(1.0)
            assert self.clock.monotonic() < 10 * HOUR_S, "it never ends"
        return waiting.result()


async def test_what_already_holds_returns_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    wait = Wait(built())
    ending = await wait.run()
    assert (ending.verdict.outcome, ending.waited_s, len(wait.cloud.asked)) == (Outcome.REACHED, 0.0, 1)
    assert capsys.readouterr().err == ""


async def test_a_build_is_followed_to_its_end(capsys: pytest.CaptureFixture[str]) -> None:
    wait = Wait(*["CREATING"] * 2, *["ACTIVE"] * 2, *["BUILDING"] * 90, built())
    ending = await wait.run(course_of=lambda state: Course(since=state.since, usual_s=60.0))
    assert (ending.verdict.outcome, ending.state is not None and ending.state.image_id) == (Outcome.REACHED, "img-new")
    assert wait.cloud.most_under_way == 1
    gaps = [after - before for before, after in zip(wait.asked_at, wait.asked_at[1:], strict=False)]
    assert all(13.0 <= gap <= 17.0 for gap in gaps)  # politely, and none at the interval of what is at rest
    assert wait.cloud.pages_asked == []
    told = [line.partition(";")[0] for line in capsys.readouterr().err.splitlines()]
    who = f"office-2026 ({KEY.id}) is"
    assert told[:3] == [f"{who} CREATING", f"{who} ACTIVE", f"{who} BUILDING"]
    assert told[3:] == [f"{who} still BUILDING after {minutes} min" for minutes in (5, 10, 15, 20)]


async def test_an_error_is_told_with_its_reason() -> None:
    wait = Wait("BUILDING", "ERROR")
    wait.cloud.steps = [failed_step()]
    ending = await wait.run()
    assert (ending.verdict.outcome, ending.verdict.message) == (
        Outcome.FAILED,
        "it went to ERROR: likely sysprep failed (WKS.0017)",
    )


async def test_a_build_in_doubt_is_waited_for(capsys: pytest.CaptureFixture[str]) -> None:
    ending = await Wait("BUILDING", *["BUILT"] * 4, built()).run()
    assert ending.verdict.outcome is Outcome.REACHED
    assert "is BUILT, its image not yet confirmed" in capsys.readouterr().err
    ending = await Wait("BUILDING", "BUILT").run()
    assert (ending.verdict.outcome, ending.verdict.message) == (
        Outcome.FAILED,
        "its build ended without a new product image",
    )
    assert 120 <= ending.waited_s < 180
    ending = await Wait("BUILDING", "BUILT").run(timeout_s=60)
    assert ending.verdict.message == "1 min passed and it is BUILT, its image not yet confirmed"


async def test_a_rebuild_that_begins_late() -> None:
    old = instance("BUILT", image_id="img-old")
    building = instance("BUILDING", image_id="img-old")
    wait = Wait(old, old, old, building, building, built())
    ending = await wait.run(new_image=True)
    assert (ending.verdict.outcome, ending.state is not None and ending.state.image_id) == (Outcome.REACHED, "img-new")
    ending = await Wait(old).run(new_image=True, timeout_s=300)
    assert ending.verdict.message == "5 min passed and it is BUILT, not BUILT with a new image"


async def test_what_was_passed_unseen_was_there() -> None:
    assert (await Wait("ACTIVE", built()).run("BUILDING")).verdict.outcome is Outcome.REACHED


async def test_out_of_time_on_the_second() -> None:
    ending = await Wait("BUILDING").run(timeout_s=600)
    assert (ending.verdict.outcome, ending.waited_s) == (Outcome.TIMED_OUT, 600)
    assert ending.verdict.message == "10 min passed and it is BUILDING, not BUILT"


async def test_no_time_at_all_asks_once_and_makes_sure_of_an_absence() -> None:
    wait = Wait("BUILDING")
    ending = await wait.run(timeout_s=0)
    assert (ending.verdict.outcome, len(wait.cloud.asked)) == (Outcome.TIMED_OUT, 1)
    assert ending.verdict.message == "asked once: it is BUILDING, not BUILT"
    wait = Wait(None)
    assert (await wait.run("deleted", timeout_s=0)).verdict.outcome is Outcome.REACHED
    assert len(wait.cloud.asked) == 2


@pytest.mark.parametrize(
    "error",
    [
        REFUSED,
        CloudPermissionError("not allowed", http_status=403),
        CloudEndpointError("the server id is invalid", http_status=400),
    ],
)
async def test_what_waiting_cannot_mend_ends_it(error: CloudError) -> None:
    wait = Wait(error)
    ending = await wait.run()
    assert (ending.verdict.outcome, ending.state, len(wait.cloud.asked)) == (Outcome.FAILED, None, 1)
    assert ending.verdict.message.startswith(f"source prod: {error}: ")


async def test_a_credential_that_is_refused_later_ends_it_too() -> None:
    ending = await Wait("BUILDING", "BUILDING", REFUSED).run()
    assert (ending.verdict.outcome, "aksk" in ending.verdict.message) == (Outcome.FAILED, True)


async def test_trouble_that_passes_is_told_once_and_waited_out(capsys: pytest.CaptureFixture[str]) -> None:
    throttled = CloudThrottledError("too many", http_status=429, retry_after_s=40)
    odd = CloudEndpointError("no such API", http_status=404, code="APIGW.0101")
    wait = Wait(DOWN, DOWN, "BUILDING", throttled, odd, odd, built())
    ending = await wait.run()
    assert ending.verdict.outcome is Outcome.REACHED
    assert wait.asked_at[4] - wait.asked_at[3] >= 40
    troubles = [line for line in capsys.readouterr().err.splitlines() if line.startswith("source prod: ")]
    assert [line.split(" (")[0].split(";")[0] for line in troubles] == [
        "source prod: no answer within 10 s",
        "source prod: too many",
    ]


async def test_a_cloud_that_never_answers_is_out_of_time() -> None:
    ending = await Wait(DOWN).run(timeout_s=300)
    assert ending.verdict.outcome is Outcome.TIMED_OUT
    assert ending.verdict.message == "5 min passed and it was not seen: no answer within 10 s"
    assert ending.state is None


async def test_a_name_in_place_of_an_id() -> None:
    wait = Wait("BUILT")
    wait.cloud.script("office-2026", None)
    wait.cloud.listed = [KEY.id]
    ending = await wait.run(instance_id="office-2026")
    assert (ending.verdict.message, ending.meant) == ("the cloud knows no such instance", KEY.id)
    wait.cloud.listed = [KEY.id, "1"]  # two have the name: which one is anybody's guess
    assert (await wait.run(instance_id="office-2026")).meant is None
    wait.cloud.page_failures[0] = DOWN
    assert (await wait.run(instance_id="office-2026")).meant is None


class TestCourse:
    async def test_what_a_watcher_has_learned(self) -> None:
        state, _ = history("BUILDING")
        since = state.since - timedelta(minutes=10)
        expected = Expectation(median_s=1500.0, p95_s=1600.0, samples=5)
        background = Background(labels={}, expected=expected)
        known = instance_to_json(replace(state, since=since), background, now=state.since, pages=Links())
        async with Sink(Reply(body=json.dumps(known))) as sink:
            courses = Courses(Address(url=sink.url.rstrip("/"), authorization="Bearer secret"))
            assert await courses.of(state) == Course(since=since, usual_s=1500.0)
            (request,) = sink.received
        assert request.path == f"/api/v1/instances/prod/{KEY.id}"
        assert {key.lower(): value for key, value in request.headers.items()}["authorization"] == "Bearer secret"

    @pytest.mark.parametrize(
        "body",
        [
            "<html>",
            "[]",
            "{}",
            '{"status": "BUILDING", "expected": null, "since": null}',
            '{"status": "BUILDING", "expected": {"median_s": "x"}, "since": "yesterday"}',
            '{"status": "BUILDING", "expected": {"median_s": -1}, "since": "2026-01-01T00:00:00"}',
            '{"status": "BUILDING", "expected": {"median_s": NaN}}',
            '{"status": "BUILDING", "expected": {"median_s": 1e300}, "since": 7}',
            f'{{"status": "BUILDING", "expected": {{"median_s": 1{"0" * 400}}}}}',
            '{"status": "BUILDING", "expected": [1], "since": "2999-01-01T00:00:00Z"}',
            '{"status": "CREATING", "expected": {"median_s": 5}}',
        ],
    )
    async def test_what_is_of_no_use_is_as_if_there_were_no_watcher(self, body: str) -> None:
        state, _ = history("BUILDING")
        async with Sink(Reply(body=body)) as sink:
            assert await Courses(Address(url=sink.url)).of(state) == Course(since=state.since, usual_s=24 * 60)

    @pytest.mark.parametrize(
        ("status", "usual_s"), [("CREATING", 420.0), ("BUILDING", 1440.0), ("ACTIVE", None), ("DELETING", None)]
    )
    async def test_without_a_watcher(self, status: str, usual_s: float | None) -> None:
        state, _ = history(status)
        for address in (None, Address(url="http://127.0.0.1:1")):
            assert await Courses(address).of(state) == Course(since=state.since, usual_s=usual_s)


def test_lines_are_one_line_whatever_is_in_them(capsys: pytest.CaptureFixture[str]) -> None:
    state, _ = history("BUILDING")
    lines = Lines()
    lines.status(replace(state, name="a\x1b[31m\nb\u202e", status="BUIL\rDING"), Course(since=state.since))
    lines.trouble("x\x1b]0;\ny")
    lines.tick(state.since)
    lines.tick(state.since + timedelta(minutes=5))
    err = capsys.readouterr().err
    assert err.count("\n") == 3
    assert all(line.isprintable() for line in err.splitlines())
