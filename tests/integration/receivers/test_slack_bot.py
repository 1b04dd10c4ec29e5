"""The channel as people read it: threads of runs, what is edited, what is broadcast, and what is told after a crash."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any

import aiohttp
import pytest

from tests.contract.test_messages import HOSTILE
from tests.fakes.clock import FakeClock
from tests.fakes.slack import TOKEN, Slack, Told, Trouble
from tests.fakes.stories import HOUR, MINUTE, REASON, Story, many, stories
from tests.fakes.values import KEY, at, event, outage
from watcher.core.errors import DeliveryError, FailureReason, StoreError
from watcher.core.model import Event, EventKind, InstanceKey, Notification
from watcher.receivers import SlackSettings
from watcher.receivers.base import ReceiverTools
from watcher.receivers.links import Links
from watcher.receivers.notebook import MemoryNotebook
from watcher.receivers.slack.thread import thread_key

RED, YELLOW, GREY, GREEN = "#d50200", "#daa038", "#8d9096", "#2eb67d"


class CrashingNotebook(MemoryNotebook):
    """Fails to write the n-th note, as a process does that ends right before."""

    def __init__(self, crash_at: int) -> None:
        super().__init__()
        self.left = crash_at

    async def write_note(self, receiver: str, key: str, text: str | None, *, now: datetime) -> None:
        self.left -= 1
        if self.left == 0:
            raise StoreError("the disk is full")
        await super().write_note(receiver, key, text, now=now)


class Bot:
    """A receiver that is a new one each time: all it knows is in its notebook."""

    def __init__(self, slack: Slack, notebook: MemoryNotebook | None = None, **more: Any) -> None:
        self._section = SlackSettings.model_validate({"name": "bot", **slack.bot, **more})
        self.notebook = notebook or MemoryNotebook()

    async def send(self, *events: Event, **more: Any) -> str:
        more.setdefault("is_digest", len(events) > 1)
        number = events[-1].id if len(events) == 1 else f"dig_{events[-1].id}"
        async with self._opened() as receiver:
            return str(await receiver.send(Notification(id=number, events=events, **more)))

    async def until_told(self, *events: Event) -> int:
        """Send one after the other, each until it is told; how often one was not."""
        failures = 0
        for each in events:
            for _ in range(5):
                try:
                    await self.send(each)
                    break
                except (DeliveryError, StoreError):
                    failures += 1
            else:
                raise AssertionError(each)
        return failures

    async def reach(self) -> None:
        async with self._opened() as receiver:
            await receiver.reach()

    async def refused(self, *events: Event) -> DeliveryError:
        with pytest.raises(DeliveryError) as failure:
            await self.send(*events)
        return failure.value

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[Any]:
        tools = ReceiverTools(
            clock=FakeClock(at(0)), output=io.StringIO(), links=Links(external_url="https://w/"), notebook=self.notebook
        )
        receiver = self._section.build(tools)
        try:
            yield receiver
        finally:
            await receiver.close()


@pytest.fixture
async def slack() -> AsyncIterator[Slack]:
    async with Slack() as slack:
        yield slack
        assert slack.refusals == []


def titles(messages: list[Told]) -> list[str]:
    return [told.title for told in messages]


def run(story: Story | None = None, *, begin: float = 0) -> list[Event]:
    """Created, building, failed, building, built."""
    story = story or Story()
    told = list(story.see("CREATING", begin))
    for minute, status in enumerate(("ACTIVE", "BUILDING", "ERROR", "BUILDING", "BUILT"), 1):
        told += story.see(status, begin + minute * 10 * MINUTE, image_id=f"img-{begin}" if status == "BUILT" else "")
    return told


RUN = ["is in CREATING", "is ACTIVE", "is BUILDING", "is ERROR", "is BUILDING", "is BUILT"]


def names(messages: list[Told]) -> list[str]:
    return [told.title.partition(" office-2026 ")[2] for told in messages]


async def test_a_run_is_one_thread_and_the_next_another(slack: Slack) -> None:
    bot, story = Bot(slack), Story()
    first, second = run(story), run(story, begin=HOUR)
    for told in first:
        await bot.send(told)
    [parent] = slack.parents
    assert names(slack.replies(parent)) == RUN
    assert names([parent]) == ["is BUILT"]
    assert parent.colour == GREEN
    assert names([reply for reply in slack.replies(parent) if reply.is_broadcast]) == ["is ERROR", "is BUILDING"]
    assert len(parent.edits) == 5
    for told in second:
        await bot.send(told)
    parents = slack.parents
    assert names(parents) == ["is BUILT", "is BUILT"]
    assert names(slack.replies(parents[1]))[-2:] == ["is BUILDING", "is BUILT"]
    assert len(slack.replies(parent)) == 6


async def test_the_parent_shows_the_present_status_and_what_fires_since_when(slack: Slack) -> None:
    bot = Bot(slack)
    shown = []
    for told in run():
        await bot.send(told)
        [parent] = slack.parents
        shown.append(
            (parent.lines[1], dict(zip(parent.lines[2:-1:2], parent.lines[3:-1:2], strict=True)), parent.colour)
        )
    since = {"*Since*": "2026-01-01T00:00:00.000Z"}
    error = "BUILDING → ERROR after 10 min"
    assert [line.partition(";")[0] for line, _, _ in shown] == [
        "seen for the first time",
        "CREATING → ACTIVE after 10 min",
        "ACTIVE → BUILDING after 10 min",
        error,
        "ERROR → BUILDING after 10 min",
        "BUILDING → BUILT after 10 min",
    ]
    assert [facts for _, facts, _ in shown] == [*[since] * 3, {"*Firing*": "error", **since}, *[since] * 2]
    assert [colour for _, _, colour in shown] == [GREY, GREY, GREY, RED, GREEN, GREEN]


async def test_what_begins_with_a_problem_is_not_broadcast_as_well(slack: Slack) -> None:
    await Bot(slack).send(stories()["found in error"])
    assert names(slack.shown) == ["is in ERROR"]
    [parent] = slack.parents
    assert [reply.is_broadcast for reply in slack.replies(parent)] == [False]


async def test_a_try_again_tells_nothing_twice_and_asks_nothing(slack: Slack) -> None:
    bot = Bot(slack)
    for told in run():
        await bot.send(told)
        calls = len(slack.calls)
        assert await bot.send(told) == await bot.send(told)
        assert len(slack.calls) == calls


CRASHES = range(1, 13)
"""Each of the notes, or of the calls, of a run: 2 for every event."""


@pytest.mark.parametrize("number", CRASHES)
async def test_a_crash_before_any_note_tells_at_most_one_thing_twice(slack: Slack, number: int) -> None:
    bot = Bot(slack, CrashingNotebook(number))
    assert await bot.until_told(*run()) == 1
    check_run(slack)


@pytest.mark.parametrize("number", CRASHES)
async def test_a_lost_answer_tells_at_most_one_thing_twice(slack: Slack, number: int) -> None:
    order = ["chat.postMessage", "chat.postMessage", *["chat.postMessage", "chat.update"] * 5]
    method = order[number - 1]
    before = order[: number - 1].count(method)
    slack.troubles[method].extend([*[Trouble()] * before, Trouble(late=True)])
    assert await Bot(slack).until_told(*run()) == 1
    check_run(slack)


@pytest.mark.parametrize("number", CRASHES)
async def test_a_refusal_for_now_tells_nothing_twice(slack: Slack, number: int) -> None:
    order = ["chat.postMessage", "chat.postMessage", *["chat.postMessage", "chat.update"] * 5]
    method = order[number - 1]
    before = order[: number - 1].count(method)
    trouble = Trouble("ratelimited", status=429, headers={"Retry-After": "7"})
    slack.troubles[method].extend([*[Trouble()] * before, trouble])
    assert await Bot(slack).until_told(*run()) == 1
    check_run(slack, doubles=0)
    assert len(slack.messages) == 7


def check_run(slack: Slack, *, doubles: int = 1) -> None:
    """All of a run was told, in order and in one thread; at most so many messages are there twice."""
    [*extra, parent] = slack.parents
    told = names(slack.replies(parent))
    assert len(extra) + len(told) - len(RUN) <= doubles
    assert [name for at, name in enumerate(told) if at == 0 or told[at - 1] != name] == RUN
    assert names([parent]) == ["is BUILT"]
    assert parent.colour == GREEN


class TestMoreKnown:
    """The same event is sent again when its reason is found late."""

    async def test_the_reply_and_the_parent_are_edited(self, slack: Slack) -> None:
        bot, story = Bot(slack), Story()
        failed = story.see("ERROR", 0)[0]
        await bot.send(failed)
        known = replace(failed, reason=REASON)
        for _ in range(3):
            await bot.send(known)
        [parent] = slack.parents
        [reply] = slack.replies(parent)
        assert "Reason: WKS.0017 sysprep failed" in reply.lines
        assert "Reason: WKS.0017 sysprep failed" in parent.lines
        assert (len(reply.edits), len(parent.edits)) == (1, 1)
        assert len(slack.messages) == 2

    async def test_after_the_run_went_on_only_the_reply_is(self, slack: Slack) -> None:
        bot = Bot(slack)
        events = run()
        for told in events:
            await bot.send(told)
        [parent] = slack.parents
        edits = len(parent.edits)
        await bot.send(replace(events[3], reason=REASON))
        assert "Reason: WKS.0017 sysprep failed" in slack.replies(parent)[3].lines
        assert (len(parent.edits), len(slack.messages), names([parent])) == (edits, 7, ["is BUILT"])

    async def test_in_the_next_run_it_is_still_the_old_reply(self, slack: Slack) -> None:
        bot, story = Bot(slack), Story()
        first = run(story)
        for told in (*first, *run(story, begin=HOUR)):
            await bot.send(told)
        before = len(slack.messages)
        await bot.send(replace(first[3], reason=REASON))
        assert len(slack.messages) == before
        assert "Reason: WKS.0017 sysprep failed" in slack.replies(slack.parents[0])[3].lines
        assert names(slack.parents) == ["is BUILT", "is BUILT"]

    async def test_what_cannot_be_edited_is_told_below(self, slack: Slack) -> None:
        bot = Bot(slack)
        failed = stories()["build error"]
        await bot.send(replace(failed, reason=None))
        slack.troubles["chat.update"].extend([Trouble("edit_window_closed"), Trouble("edit_window_closed")])
        for _ in range(2):
            await bot.send(failed)
        [parent] = slack.parents
        assert names(slack.replies(parent)) == ["is ERROR", "is ERROR"]
        assert "Reason: WKS.0017 sysprep failed" in slack.replies(parent)[1].lines
        assert not slack.replies(parent)[1].is_broadcast

    async def test_a_reply_that_somebody_deleted_stays_away(self, slack: Slack) -> None:
        bot = Bot(slack)
        failed = stories()["build error"]
        await bot.send(replace(failed, reason=None))
        slack.delete(slack.replies(slack.parents[0])[0])
        await bot.send(failed)
        slack.refusals.remove("message_not_found")
        assert len(slack.messages) == 1

    async def test_only_a_bot_says_that_it_edits(self, slack: Slack) -> None:
        assert SlackSettings.model_validate({"name": "bot", **slack.bot}).updates
        assert SlackSettings.model_validate({"name": "b", "bot_token_file": "/dev/null", "channel": "c"}).updates
        assert not SlackSettings.model_validate({"name": "hook", "webhook_url": slack.webhook_url}).updates


@pytest.mark.parametrize("word", ["edit_window_closed", "cant_update_message"])
async def test_a_parent_that_cannot_be_edited_is_no_failure(slack: Slack, word: str) -> None:
    bot = Bot(slack)
    slack.troubles["chat.update"].extend([Trouble(word)] * 5)
    for told in run():
        await bot.send(told)
    [parent] = slack.parents
    assert names([parent]) == RUN[:1]
    assert names(slack.replies(parent)) == RUN


class TestDeleted:
    async def test_a_reply_that_stands_alone_becomes_the_parent(self) -> None:
        async with Slack(deleted="alone") as slack:
            bot, events = Bot(slack), run()
            for told in events[:3]:
                await bot.send(told)
            slack.delete(slack.parents[0])
            for told in events[3:]:
                await bot.send(told)
            [parent] = slack.parents
            assert names(slack.replies(parent)) == RUN[3:]
            assert names([parent]) == ["is BUILT"]
            assert [reply.is_broadcast for reply in slack.replies(parent)] == [False, True, False]
            assert slack.refusals == []

    async def test_a_refused_reply_begins_a_new_thread(self) -> None:
        async with Slack(deleted="refused") as slack:
            bot, events = Bot(slack), run()
            for told in events[:4]:
                await bot.send(told)
            slack.delete(slack.parents[0])
            await bot.send(events[4])
            [parent] = slack.parents
            assert names([parent]) == names(slack.replies(parent)) == RUN[4:5]
            await bot.send(events[5])
            assert names(slack.replies(parent)) == RUN[4:]
            assert slack.refusals == ["thread_not_found"]

    async def test_what_still_fires_is_shown_in_the_new_one(self) -> None:
        async with Slack(deleted="refused") as slack:
            bot, story = Bot(slack), Story()
            failed = story.see("ERROR", 0)[0]
            await bot.send(failed)
            slack.delete(slack.parents[0])
            await bot.send(event(kind=EventKind.MISSING, observed_at=at(60), alerts=(), to_status=None))
            assert "error" in slack.parents[0].lines
            assert slack.parents[0].colour == RED

    async def test_a_thread_below_a_deleted_message_goes_on_and_the_next_news_begins_another(self) -> None:
        async with Slack(deleted="kept") as slack:
            bot, events = Bot(slack), run()
            for told in events[:3]:
                await bot.send(told)
            slack.delete(slack.parents[0])
            await bot.send(events[3])
            assert names(slack.shown) == ["is ERROR"]  # it is broadcast: nobody misses it
            await bot.send(events[4])
            [parent] = slack.parents
            assert names(slack.replies(parent)) == RUN[4:5]
            assert slack.refusals == ["message_not_found"]


@pytest.mark.parametrize(
    ("word", "reason", "permanent", "advice"),
    [
        ("channel_not_found", FailureReason.CLIENT_ERROR, True, "no such channel"),
        ("not_in_channel", FailureReason.CLIENT_ERROR, True, "/invite @"),
        ("is_archived", FailureReason.CLIENT_ERROR, True, "archived: unarchive it"),
        ("msg_too_long", FailureReason.CLIENT_ERROR, True, "report"),
        ("restricted_action_non_threadable_channel", FailureReason.CLIENT_ERROR, True, "no threads"),
        ("invalid_auth", FailureReason.AUTH_ERROR, True, "new token"),
        ("account_inactive", FailureReason.AUTH_ERROR, True, "deleted"),
        ("token_expired", FailureReason.AUTH_ERROR, True, "rotation"),
        ("ratelimited", FailureReason.RATE_LIMITED, False, "again"),
        ("internal_error", FailureReason.SERVER_ERROR, False, "again"),
        ("fatal_error", FailureReason.SERVER_ERROR, False, "again"),
        ("service_unavailable", FailureReason.SERVER_ERROR, False, "again"),
        ("request_timeout", FailureReason.TIMEOUT, False, "again"),
        ("team_added_to_org", FailureReason.SERVER_ERROR, False, "again"),
        ("never_heard_of", FailureReason.OTHER, False, "again"),
    ],
)
@pytest.mark.parametrize("status", [200, 503])
async def test_a_refusal_is_explained(
    slack: Slack, word: str, reason: FailureReason, permanent: bool, advice: str, status: int
) -> None:
    if status != 200 and word == "never_heard_of":
        reason = FailureReason.SERVER_ERROR
        advice = word
    slack.troubles["chat.postMessage"].append(Trouble(word, status=status, headers={"Retry-After": "7"}))
    error = await Bot(slack).refused(event())
    assert (error.reason, error.permanent, error.retry_after_s) == (reason, permanent, None if permanent else 7.0)
    assert f"answered HTTP {status}" in str(error)
    assert word in str(error)
    assert advice in str(error)


async def test_a_missing_scope_and_a_wrong_block_are_named(slack: Slack) -> None:
    bot = Bot(slack)
    slack.troubles["chat.postMessage"].append(
        Trouble("missing_scope", more={"needed": f"chat:write\n{TOKEN}", "provided": "x"})
    )
    error = await bot.refused(event())
    assert "scope" in str(error)
    assert str(error).endswith(": chat:write **********)")
    wrong = {"response_metadata": {"messages": ["[ERROR] must be less [json-pointer:/blocks/3]" + "x" * 900]}}
    slack.troubles["chat.postMessage"].append(Trouble("invalid_blocks", more=wrong))
    error = await bot.refused(event())
    assert "json-pointer:/blocks/3" in str(error)
    assert len(str(error)) < 400


async def test_an_archived_channel_is_for_good_and_explained(slack: Slack) -> None:
    bot = Bot(slack)
    await bot.send(run()[0])
    slack.is_archived = True
    error = await bot.refused(run()[1])
    slack.refusals.clear()
    assert error.permanent
    assert "unarchive it" in str(error)
    slack.is_archived = False
    await bot.send(run()[1])
    assert names(slack.replies(slack.parents[0])) == RUN[:2]


@pytest.mark.parametrize(
    "body",
    [
        "<html>sign in</html>",
        "[]",
        '"ok"',
        "null",
        '{"ok": "true"}',
        '{"ok": 1, "ts": "1.1", "channel": "C0"}',
        '{"ok": false}',
        '{"ok": false, "error": ["x"]}',
        '{"ok": false, "error": "Not A Word"}',
        "[" * 60_000,
        "{" + '"a":{' * 9_000,
        "1" * 6000,
        "x" * 200_000,
    ],
)
async def test_what_is_no_answer_is_tried_again(slack: Slack, body: str) -> None:
    slack.troubles["chat.postMessage"].append(Trouble(body=body))
    bot = Bot(slack)
    error = await bot.refused(event())
    assert (error.permanent, error.reason) == (False, FailureReason.OTHER)
    assert "HTTP 200" in str(error)
    assert len(str(error)) < 300
    await bot.send(event())
    assert len(slack.messages) == 2


@pytest.mark.parametrize("more", ["", ', "ts": 1503435956.2, "channel": "C0"', ', "ts": "x", "channel": "C0"'])
async def test_a_message_that_nobody_can_find_again_is_not_posted_for_ever(slack: Slack, more: str) -> None:
    slack.troubles["chat.postMessage"].append(Trouble(body='{"ok": true' + more + "}"))
    assert (await Bot(slack).refused(event())).permanent


async def test_reaching_asks_about_the_token_and_posts_nothing(slack: Slack) -> None:
    await Bot(slack).reach()
    assert slack.calls == ["auth.test"]
    with pytest.raises(DeliveryError, match=r"invalid_auth .*new token") as failure:
        await Bot(slack, bot_token="xoxb-canary-another").reach()
    slack.refusals.remove("invalid_auth")
    assert failure.value.permanent
    assert "canary" not in str(failure.value)
    assert slack.messages == []


async def test_a_test_is_one_message_and_no_thread(slack: Slack) -> None:
    bot = Bot(slack)
    assert await bot.send(event(), test=True) == f"HTTP 200 ok: message {slack.messages[0].ts} in C0IMAGES"
    await bot.send(event(), test=True)
    assert titles(slack.messages) == ["✅ [TEST] office-2026 is BUILT"] * 2
    assert await bot.notebook.note("bot", thread_key(KEY)) is None


async def test_what_was_held_back_says_so(slack: Slack) -> None:
    await Bot(slack).send(event(), held_by="maintenance patching")
    assert "maintenance patching" in slack.replies(slack.parents[0])[0].lines


class TestOtherThreads:
    async def test_a_source_has_a_thread_from_outage_to_recovery(self, slack: Slack) -> None:
        bot, (down, over) = Bot(slack), outage()
        reminder = stories()["outage reminder"]
        for told in (down, replace(reminder, observed_at=at(500)), over):
            await bot.send(told)
        [parent] = slack.parents
        assert [reply.title.partition("source prod ")[2] for reply in slack.replies(parent)] == [
            "cannot be reached",
            "still cannot be reached",
            "answers again",
        ]
        assert [reply.is_broadcast for reply in slack.replies(parent)] == [False, True, True]
        assert parent.title == "🟢 source prod answers again"
        await bot.send(replace(down, id="evt_again", observed_at=at(900)))
        assert len(slack.parents) == 2

    async def test_missing_and_back(self, slack: Slack) -> None:
        told = stories()
        bot = Bot(slack)
        for name in ("missing", "missing reminder", "back"):
            await bot.send(told[name])
        [parent] = slack.parents
        assert names(slack.replies(parent)) == ["is missing", "is still missing", "is back in BUILT"]
        assert [reply.is_broadcast for reply in slack.replies(parent)] == [False, True, True]
        await bot.send(told["deleted"])
        assert names(slack.parents) == ["is back in BUILT", "is deleted"]

    async def test_stuck_within_a_run(self, slack: Slack) -> None:
        bot, story = Bot(slack), Story()
        events = [
            *story.see("BUILDING", 0),
            *story.wait(3 * HOUR),
            *story.wait(8 * HOUR),
            *story.see("BUILT", 9 * HOUR),
        ]
        for told in events:
            await bot.send(told)
        [parent] = slack.parents
        assert names(slack.replies(parent)) == [
            "is in BUILDING",
            "is stuck in BUILDING",
            "is still stuck in BUILDING",
            "is BUILT",
        ]
        assert [reply.is_broadcast for reply in slack.replies(parent)] == [False, True, True, True]

    async def test_a_run_whose_end_was_not_told_is_over_after_a_day(self, slack: Slack) -> None:
        """As with `min_severity: warning`, which keeps BUILT away."""
        bot, story = Bot(slack), Story()
        story.see("BUILDING", 0)
        first = [*story.see("ERROR", MINUTE), *story.see("BUILDING", HOUR)]
        story.see("BUILT", 2 * HOUR)
        story.see("BUILDING", 20 * HOUR)
        same_day = story.see("ERROR", 21 * HOUR)
        story_goes_on = [*story.see("BUILDING", 22 * HOUR), *story.see("ERROR", 47 * HOUR)]
        for told in (*first, *same_day, *story_goes_on):
            await bot.send(told)
        assert [len(slack.replies(parent)) for parent in slack.parents] == [4, 1]

    async def test_what_fires_keeps_its_thread_however_long(self, slack: Slack) -> None:
        bot, story = Bot(slack), Story()
        story.see("BUILDING", 0)
        for told in (*story.see("ERROR", MINUTE), *story.see("BUILDING", 100 * HOUR)):
            await bot.send(told)
        assert len(slack.parents) == 1

    async def test_flapping_keeps_one_thread_until_it_is_calm(self, slack: Slack) -> None:
        bot, told = Bot(slack), stories()
        for name in ("flapping", "calm"):
            await bot.send(told[name])
        [parent] = slack.parents
        assert [reply.is_broadcast for reply in slack.replies(parent)] == [False, True]

    async def test_two_alerts_end_one_after_the_other(self, slack: Slack) -> None:
        bot, story = Bot(slack), Story()
        shown = []
        for told in (
            *story.see("ERROR", 0),
            *story.see(None, MINUTE),
            *story.see(None, 2 * MINUTE),
            *story.see("BUILT", HOUR),
        ):
            await bot.send(told)
            shown.append([line for line in slack.parents[0].lines if line in ("error", "missing", "error, missing")])
        assert shown == [["error"], ["error, missing"], ["error"], []]
        assert len(slack.parents) == 1

    async def test_no_longer_watched_is_an_end(self, slack: Slack) -> None:
        bot, story = Bot(slack), Story()
        for told in (*story.see("ERROR", 0), story.unwatch(MINUTE)):
            await bot.send(told)
        await bot.send(event(id="evt_next", observed_at=at(HOUR), from_status="ACTIVE", to_status="BUILDING"))
        assert names(slack.parents) == ["is no longer watched", "is BUILDING"]
        assert len(slack.replies(slack.parents[0])) == 2

    async def test_what_is_gone_fires_no_more_whatever_was_told_of_its_alerts(self, slack: Slack) -> None:
        bot, story = Bot(slack), Story()
        await bot.send(story.see("ERROR", 0)[0])
        await bot.send(
            event(kind=EventKind.DELETED, from_status="ERROR", to_status=None, observed_at=at(60), alerts=())
        )
        [parent] = slack.parents
        assert "error" not in parent.lines
        await bot.send(event(id="evt_next", observed_at=at(HOUR)))
        assert len(slack.parents) == 2

    async def test_other_instances_have_their_own(self, slack: Slack) -> None:
        bot = Bot(slack)
        strange = InstanceKey("prod", HOSTILE * 10)
        for key in (KEY, InstanceKey("lab", KEY.id), strange):
            await bot.send(event(id=f"evt_{key.source}", source=key.source, instance_id=key.id))
        assert len(slack.parents) == 3
        assert len(thread_key(strange)) < 300
        assert thread_key(KEY) == f"thread/prod/{KEY.id}"

    async def test_news_that_comes_late_changes_nothing_of_what_is_shown(self, slack: Slack) -> None:
        bot, events = Bot(slack), run()
        for told in (*events[:3], *events[4:], events[3]):  # as a dead letter that is sent again
            await bot.send(told)
        [parent] = slack.parents
        assert names([parent]) == ["is BUILT"]
        assert names(slack.replies(parent))[-1] == "is ERROR"
        assert "*Firing*" not in parent.lines


class TestDigests:
    async def test_a_digest_is_one_message_and_the_threads_know_of_it(self, slack: Slack) -> None:
        bot, events = Bot(slack), run()
        for told in events[:3]:
            await bot.send(told)
        digest = (*many(30), *events[3:])
        await bot.send(*digest)
        parent, message = slack.parents
        assert message.title.startswith("🔴 33 events")
        assert names([parent]) == ["is BUILT"]
        assert len(slack.replies(parent)) == 3
        calls = len(slack.calls)
        await bot.send(*digest)
        assert len(slack.calls) == calls
        await bot.send(replace(events[2], id="evt_next", observed_at=at(2 * HOUR)))
        assert len(slack.parents) == 3

    async def test_what_fires_since_a_digest_is_shown_afterwards(self, slack: Slack) -> None:
        bot, events = Bot(slack), run()
        for told in events[:2]:
            await bot.send(told)
        await bot.send(*events[2:4])
        assert slack.parents[0].colour == RED
        await bot.send(events[4])
        assert names(slack.replies(slack.parents[0])) == ["is in CREATING", "is ACTIVE", "is BUILDING"]
        assert slack.replies(slack.parents[0])[-1].is_broadcast

    async def test_few_parents_are_edited_and_a_failure_is_none_of_the_digest(self, slack: Slack) -> None:
        bot = Bot(slack)
        stories_of = [Story(f"lab-{number}", InstanceKey("prod", str(number))) for number in range(15)]
        for story in stories_of:
            await bot.send(story.see("BUILDING", 0)[0])
        await bot.send(*(story.see("BUILT", MINUTE)[0] for story in stories_of))
        assert slack.calls.count("chat.update") == 10
        slack.troubles["chat.update"].append(Trouble("ratelimited"))
        await bot.send(*(story.see("BUILDING", HOUR)[0] for story in stories_of))
        again = [story.see("ERROR", 2 * HOUR)[0] for story in stories_of[:3]]
        for told in again[:2]:
            await bot.send(told)
        slack.troubles["chat.update"].append(Trouble("internal_error"))
        before = slack.calls.count("chat.update")
        await bot.send(*(story.see("BUILT", 3 * HOUR)[0] for story in stories_of[:2]))
        assert slack.calls.count("chat.update") == before + 1

    async def test_another_try_notes_only_what_is_not_noted_yet(self, slack: Slack) -> None:
        notebook = CrashingNotebook(0)
        bot = Bot(slack, notebook)
        stories_of = [Story(f"lab-{number}", InstanceKey("prod", str(number))) for number in range(6)]
        for story in stories_of:
            await bot.send(story.see("BUILDING", 0)[0])
        notebook.left, digest = 5, [story.see("BUILT", MINUTE)[0] for story in stories_of]
        with pytest.raises(StoreError):
            await bot.send(*digest)
        notebook.left = 0
        await bot.send(*digest)
        assert notebook.left == -3 - 6  # three threads, and what the six parents show

    async def test_a_crash_after_the_digest_does_not_repeat_it(self, slack: Slack) -> None:
        notebook = CrashingNotebook(4)
        bot, events = Bot(slack, notebook), run()
        await bot.send(events[0])
        with pytest.raises(StoreError):
            await bot.send(*events[1:])
        await bot.send(*events[1:])
        assert names(slack.parents)[:1] == ["is BUILT"]
        assert len(slack.parents) == 2


@pytest.mark.parametrize(
    "note",
    ["", "null", "[]", "{", '{"v": 2}', '{"v": 1, "ts": 5}', "[" * 100_000, "\x00", '{"v": 1, "told": {"a": 1}}'],
)
async def test_a_note_that_says_nothing_is_no_thread(slack: Slack, note: str) -> None:
    bot = Bot(slack)
    await bot.notebook.write_note("bot", thread_key(KEY), note, now=at(0))
    await bot.send(event())
    assert len(slack.parents) == 1


async def test_another_channel_is_another_thread(slack: Slack) -> None:
    events = run()
    notebook = MemoryNotebook()
    await Bot(slack, notebook).send(events[0])
    await Bot(slack, notebook, channel="C0IMAGES").send(events[1])
    assert names(slack.parents) == RUN[:2]


async def test_a_note_stays_small(slack: Slack) -> None:
    bot, story = Bot(slack), Story()
    for turn in range(60):
        status = ("BUILDING", "ERROR")[turn % 2]
        for told in story.see(status, turn * HOUR):
            await bot.send(told)
    note = await bot.notebook.note("bot", thread_key(KEY))
    assert note is not None
    assert len(note) < 4000


async def test_what_others_wrote_is_plain_text_in_the_parent_too(slack: Slack) -> None:
    await Bot(slack).send(event(instance_name=HOSTILE, reason=replace(REASON, message=HOSTILE)))
    for told in slack.messages:
        for block in (*told.content["blocks"], *told.content["attachments"][0]["blocks"]):
            for text in [block["text"]] if "text" in block else block.get("fields") or block["elements"]:
                if (
                    text["type"] == "mrkdwn"
                    and text["text"] != "<https://w/#/instances/prod/697612196993040384|Watcher>"
                ):
                    assert not set(text["text"].strip("*")) & set("<>*_~`\n")
        assert not set(told.content["text"]) & set("<>\n")


async def test_a_template_is_shown_in_place_of_the_details(slack: Slack) -> None:
    template = {"title": "{{ event.instance_name }}!", "body": "one <!channel>\n\n{{ event.to }}\n{{ 'x' * 9000 }}"}
    await Bot(slack, template=template).send(event())
    [parent] = slack.parents
    [reply] = slack.replies(parent)
    assert reply.lines[:1] == ["✅ office-2026!"]
    assert reply.lines[1:] == [
        "one <!channel>\n\nBUILT",
        "x" * 2899 + "…",
        "<https://w/#/instances/prod/697612196993040384|Watcher>",
    ]
    assert parent.lines[1] == "one <!channel>"


PLAIN = {"type": "plain_text", "text": "x"}
HEADER = {"type": "header", "text": PLAIN}
SECTION = {"type": "section", "text": PLAIN}


@pytest.mark.parametrize(
    ("word", "more"),
    [
        ("no_text", {"text": " "}),
        ("msg_too_long", {"text": "x" * 40_001}),
        ("invalid_arguments", {"username": "me"}),
        ("invalid_blocks", {"blocks": [HEADER] * 51}),
        ("invalid_blocks", {"blocks": [{"type": "header", "text": {**PLAIN, "text": "x" * 151}}]}),
        ("invalid_blocks", {"blocks": [{"type": "header", "text": {"type": "mrkdwn", "text": "x"}}]}),
        ("invalid_blocks", {"blocks": [{"type": "banner", "text": PLAIN}]}),
        ("invalid_blocks", {"blocks": [{**SECTION, "colour": "red"}]}),
        ("invalid_blocks", {"blocks": [{"type": "section", "text": {**PLAIN, "text": ""}}]}),
        ("invalid_blocks", {"blocks": [{"type": "section", "text": {**PLAIN, "text": "x" * 3001}}]}),
        ("invalid_blocks", {"blocks": [{"type": "section", "fields": [PLAIN] * 11}]}),
        ("invalid_blocks", {"blocks": [{"type": "section", "fields": [{**PLAIN, "text": "x" * 2001}]}]}),
        ("invalid_blocks", {"blocks": [{"type": "context", "elements": []}]}),
        ("msg_blocks_too_long", {"blocks": [{"type": "section", "text": {**PLAIN, "text": "x" * 2900}}] * 5}),
        ("too_many_attachments", {"attachments": [{"color": "good", "blocks": [SECTION]}] * 101}),
        ("invalid_attachments", {"attachments": [{"color": "red", "blocks": [SECTION]}]}),
        ("invalid_attachments", {"attachments": [{"color": "good", "blocks": [SECTION], "fallback": "x"}]}),
        ("invalid_blocks", {"attachments": [{"color": "good", "blocks": [SECTION]}] * 50}),
    ],
)
async def test_the_strict_server_is_strict(word: str, more: dict[str, Any]) -> None:
    async with Slack() as slack, aiohttp.ClientSession() as session:
        for status, body in ((200, {}), (400, more)):
            sent = {"text": "x", "blocks": [HEADER], "attachments": [], **body}
            async with session.post(slack.webhook_url, json=sent) as response:
                assert (response.status, await response.text()) == (status, "ok" if status == 200 else word)


async def test_secrets_are_not_quoted(slack: Slack) -> None:
    slack.troubles["chat.postMessage"].append(Trouble(body=f"Bearer {TOKEN}"))
    assert "canary" not in str(await Bot(slack).refused(event()))
