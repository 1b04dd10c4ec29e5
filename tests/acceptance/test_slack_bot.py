"""A run of an instance as a thread in a Slack channel, with a restart in the middle, seen from outside."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.acceptance.process import Watcher, command, configuration, running, sample
from tests.fakes.slack import TOKEN, Slack, Trouble
from watcher.simulator import Simulator

pytestmark = pytest.mark.unmeasured


async def settled(watcher: Watcher) -> None:
    await watcher.until(lambda metrics: not sample(metrics, "watcher_notifications_pending", receiver="chat"))


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
async def test_a_run_is_one_thread_across_a_restart(cloud: Simulator, tmp_path: Path, end: signal.Signals) -> None:
    async with Slack() as slack:
        instance = cloud.world.put(name="office", status="CREATING")
        receivers = [{"name": "chat", **slack.bot, "rate_limit": "10000/1s"}]
        config = configuration(cloud, tmp_path, instances=[instance], receivers=receivers)

        async def becomes(status: str) -> None:
            told = len(slack.messages)
            cloud.world.put(id=instance, status=status)
            await slack.until(lambda: len(slack.messages) > told and slack.parents[0].title.endswith(f"is {status}"))

        async with running(config) as watcher:
            await watcher.until(
                lambda metrics: bool(sample(metrics, "watcher_instances", source="prod", status="CREATING"))
            )
            for status in ("ACTIVE", "BUILDING"):
                await becomes(status)
            await settled(watcher)
            await watcher.end(end)
        cloud.world.put(id=instance, status="ERROR")
        slack.troubles["chat.postMessage"].append(Trouble("ratelimited", status=429, headers={"Retry-After": "0"}))
        async with running(config) as watcher:
            await slack.until(lambda: slack.parents[0].title.endswith("office is ERROR"))
            assert "error" in slack.parents[0].lines
            for status in ("BUILDING", "BUILT"):
                await becomes(status)
            await settled(watcher)
            assert await watcher.end() == 0
        [parent] = slack.parents
        replies = slack.replies(parent)
        statuses = ["ACTIVE", "BUILDING", "ERROR", "BUILDING", "BUILT"]
        assert [reply.title.partition("office is ")[2] for reply in replies] == statuses
        assert [reply.is_broadcast for reply in replies] == [False, False, True, True, False]
        assert parent.title == "✅ office is BUILT"
        assert slack.refusals == []
        assert TOKEN not in str(watcher.log)


async def test_the_commands_explain_what_slack_says(cloud: Simulator, tmp_path: Path) -> None:
    async with Slack() as slack:
        hook = {"name": "hook", "type": "slack", "webhook_url": slack.webhook_url}
        receivers = [{"name": "chat", **slack.bot}, hook]
        config = configuration(cloud, tmp_path, instances=[cloud.world.put(name="office")], receivers=receivers)
        code, out, err = await command("test-receiver", "-c", str(config), "chat", cwd=tmp_path)
        assert (code, len(slack.messages)) == (0, 1), err
        assert "accepted the test notification: HTTP 200 ok" in out
        slack.is_member = False
        slack.troubles["webhook"].append(Trouble(status=410, body="channel_is_archived"))
        told = [(await command("test-receiver", "-c", str(config), name, cwd=tmp_path))[2] for name in ("chat", "hook")]
        assert "not_in_channel (the bot is not in the channel: invite the bot into it with /invite" in told[0]
        assert "channel_is_archived (the channel is archived: unarchive it" in told[1]
        assert all("it would not be tried again" in each for each in told)
        assert TOKEN not in "".join(told)
        slack.troubles["auth.test"].append(Trouble("account_inactive"))
        code, _, err = await command("check", "--online", "-c", str(config), cwd=tmp_path)
        assert code == 1
        assert "receiver chat: answered HTTP 200: account_inactive (the token belongs to a deleted bot" in err
