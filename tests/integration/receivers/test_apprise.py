"""What the apprise receiver does beside what every receiver does: several addresses, their file, the library."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import requests
from apprise.plugins.discord import NotifyDiscord
from apprise.plugins.slack import NotifySlack
from apprise.plugins.telegram import NotifyTelegram

from tests.contract.test_messages import EVERYTHING, single
from tests.contract.test_receivers import NOTIFICATION, opened
from tests.fakes.sink import Reply, Sink
from tests.fakes.values import event
from watcher.core.errors import DeliveryError, FailureReason
from watcher.core.model import Notification
from watcher.core.ports import Receiver
from watcher.receivers.apprise.service import harmless
from watcher.receivers.apprise.tries import Attempt, Outcome, Told, Tries
from watcher.settings import load_text

HOSTILE = (
    "@everyone x@here <!channel> <@U1> <https://evil.example|click> [x](http://evil.example) [y]: z "
    '<b>b</b> <a href="http://evil.example">c</a> &lt;i&gt; *s* @bob'
)
GOOD = "sources: [{name: a, region: cn-north-4, instances: ['1']}]\n"


@pytest.fixture
async def sink() -> AsyncIterator[Sink]:
    async with Sink() as sink:
        yield sink


@pytest.fixture
async def other() -> AsyncIterator[Sink]:
    async with Sink() as sink:
        yield sink


def address(sink: Sink, scheme: str = "json", path: str = "/hook") -> str:
    return f"{scheme}://{sink.url.removeprefix('http://')}{path}"


def receiver_of(*addresses: str, **more: Any) -> Any:
    return opened({"type": "apprise", "urls": list(addresses), **more})


async def failure_of(receiver: Receiver, notification: Notification = NOTIFICATION) -> DeliveryError:
    with pytest.raises(DeliveryError) as failure:
        await receiver.send(notification)
    return failure.value


class TestSeveralAddresses:
    async def test_all_are_told(self, sink: Sink, other: Sink) -> None:
        async with receiver_of(address(sink), address(other, "form")) as receiver:
            answer = await receiver.send(NOTIFICATION)
        assert answer == "address 1 of 2 (json): HTTP 200 ok; address 2 of 2 (form): HTTP 200 ok"
        assert (len(sink.received), len(other.received)) == (1, 1)

    async def test_who_accepted_is_not_told_again(self, sink: Sink, other: Sink) -> None:
        other.replies.extend([Reply(status=503, headers={"Retry-After": "7"}), Reply(reset=True)])
        async with receiver_of(address(sink), address(other)) as receiver:
            error = await failure_of(receiver)
            assert str(error) == "address 2 of 2 (json): answered HTTP 503: ok"
            assert (error.permanent, error.reason, error.retry_after_s) == (False, FailureReason.SERVER_ERROR, 7)
            assert (await failure_of(receiver)).reason is FailureReason.NETWORK
            await receiver.send(NOTIFICATION)
            assert (len(sink.received), len(other.received)) == (1, 3)
            await receiver.send(replace(NOTIFICATION, id="evt_other"))
            assert (len(sink.received), len(other.received)) == (2, 4)

    async def test_after_a_restart_it_is_told_once_more(self, sink: Sink, other: Sink) -> None:
        other.replies.append(Reply(status=503))
        async with receiver_of(address(sink), address(other)) as receiver:
            await failure_of(receiver)
        async with receiver_of(address(sink), address(other)) as receiver:
            await receiver.send(NOTIFICATION)
        assert (len(sink.received), len(other.received)) == (2, 2)

    async def test_one_that_refuses_for_good_is_named(self, sink: Sink, other: Sink) -> None:
        other.replies.append(Reply(status=404, body="gone"))
        async with receiver_of(address(sink), address(other, path="/canary-path")) as receiver:
            error = await failure_of(receiver)
            assert (str(error), error.permanent) == ("address 2 of 2 (json): answered HTTP 404: gone", True)
            # Queued again by hand, only who refused is asked.
            await receiver.send(NOTIFICATION)
        assert (len(sink.received), len(other.received)) == (1, 2)

    async def test_a_refusal_waits_for_those_that_can_still_accept(self, sink: Sink, other: Sink) -> None:
        sink.replies.append(Reply(status=404, body="gone"))
        other.replies.append(Reply(status=503))
        async with receiver_of(address(sink), address(other)) as receiver:
            error = await failure_of(receiver)
            assert (error.permanent, error.reason) == (False, FailureReason.SERVER_ERROR)
            error = await failure_of(receiver)
            assert (str(error), error.permanent) == ("address 1 of 2 (json): answered HTTP 404: gone", True)
        assert (len(sink.received), len(other.received)) == (1, 2)

    async def test_one_that_hangs_holds_up_nobody(self, sink: Sink, other: Sink) -> None:
        other.replies.append(Reply(hang=True))
        async with receiver_of(address(sink), address(other), timeout="200ms") as receiver:
            error = await failure_of(receiver)
            assert (str(error), error.permanent) == ("address 2 of 2 (json): no answer in time", False)
            while True:
                try:
                    await receiver.send(NOTIFICATION)
                    break
                except DeliveryError as late:  # the try before may still be under way: it is waited for
                    assert late.reason is FailureReason.TIMEOUT  # noqa: PT017
        assert (len(sink.received), len(other.received)) == (1, 2)

    async def test_the_same_address_twice_is_one(self, sink: Sink) -> None:
        async with receiver_of(address(sink), address(sink)) as receiver:
            await receiver.send(NOTIFICATION)
        assert len(sink.received) == 1


class TestTries:
    @asynccontextmanager
    async def held(self, tries: Tries, *keys: tuple[str, str]) -> AsyncIterator[tuple[threading.Event, Any]]:
        """Tries that end with what is in the list once the gate opens."""
        gate, outcomes = threading.Event(), list[Outcome]()

        def call(attempt: Attempt) -> Outcome:
            gate.wait(10)
            return outcomes[0]

        futures = [tries.start(*key, call) for key in keys]
        try:
            yield gate, (futures, outcomes)
        finally:
            gate.set()
            await asyncio.wait(futures)

    async def test_a_late_acceptance_counts(self) -> None:
        told = Told()
        tries = Tries(told)
        async with self.held(tries, ("n", "a")) as (gate, ([future], outcomes)):
            tries.abandon(future)
            assert tries.start("n", "a", lambda _: "never called") is future
            outcomes.append("ok")
            gate.set()
            await future
        assert told.outcome("n", "a") == "ok"

    async def test_a_late_failure_does_not(self) -> None:
        told = Told()
        tries = Tries(told)
        async with self.held(tries, ("n", "a")) as (gate, ([future], outcomes)):
            tries.abandon(future)
            outcomes.append(DeliveryError("no", reason=FailureReason.NETWORK, permanent=False))
            gate.set()
            await future
        assert told.outcome("n", "a") is None

    async def test_threads_of_one_address_are_counted(self) -> None:
        told = Told()
        tries = Tries(told)
        async with self.held(tries, *((f"n{number}", "a") for number in range(16))) as (_, (_, outcomes)):
            outcomes.append("ok")
            await tries.start("n", "a", lambda _: "never called")
            refusal = told.take("n", "a")
            assert isinstance(refusal, DeliveryError)
            assert (str(refusal), refusal.permanent) == ("earlier tries still hang", False)
            await tries.start("n", "b", lambda _: "ok")
        assert told.outcome("n", "b") == "ok"
        assert threading.active_count() < 16

    def test_what_is_remembered_is_bounded(self) -> None:
        told = Told(most=3)
        for number in range(9):
            told.write(f"n{number}", "a", "ok")
        assert [told.outcome(f"n{number}", "a") for number in range(9)] == [None] * 6 + ["ok"] * 3


async def test_the_file_is_read_at_each_use(sink: Sink, other: Sink, tmp_path: Path) -> None:
    file = tmp_path / "urls"
    async with opened({"type": "apprise", "urls_file": str(file)}) as receiver:
        assert "cannot read the secret file" in str(await failure_of(receiver))
        file.write_text("\n  # nobody yet\n")
        error = await failure_of(receiver)
        assert ("holds no address" in str(error), error.permanent) == (True, False)
        file.write_text(f"# the first\n\n  {address(sink)}  \n")
        await receiver.send(NOTIFICATION)
        other.replies.append(Reply(status=503))
        file.write_text(f"{address(other)}\n{address(sink)}\n")
        assert "address 1 of 2 (json)" in str(await failure_of(receiver, single(event(instance_name="second"))))
        file.write_text(f"{address(other)}\ncanary-scheme://canary\n")
        error = await failure_of(receiver)
        assert "address 2 of 2 (unknown): not an address that Apprise understands" in str(error)
        assert ("canary" in str(error), error.permanent) == (False, False)
    assert (len(sink.received), len(other.received)) == (2, 2)


@pytest.mark.parametrize(
    ("urls", "path", "message"),
    [
        ("['json://h', 'canary://x']", "urls[1]", "it begins with no scheme that it knows"),
        ("['canary']", "urls[0]", "it begins with no scheme that it knows"),
        ("['tgram://canary']", "urls[0]", "something is wrong or lacking after tgram://"),
        ("['mqtt://canary']", "urls[0]", "Apprise lacks a library that mqtt:// needs"),
        ("['']", "urls[0]", "not an address"),
        ("[]", "urls", "must not be empty"),
    ],
)
def test_what_apprise_does_not_understand_is_a_finding(urls: str, path: str, message: str) -> None:
    loaded = load_text(f"{GOOD}receivers: [{{name: x, type: apprise, urls: {urls}}}]", {}, file="f")
    [finding] = loaded.findings
    assert (finding.path, finding.level) == (f"receivers[0].{path}", "error")
    assert message in finding.message
    assert "canary" not in str(finding)


def test_what_is_wrong_in_the_file_is_a_finding(tmp_path: Path) -> None:
    file = tmp_path / "urls"
    file.write_text("# mine\njson://h\ncanary://x\n")
    loaded = load_text(f"{GOOD}receivers: [{{name: x, type: apprise, urls_file: {file}}}]", {}, file="f")
    [finding] = loaded.findings
    assert finding.path == "receivers[0].urls_file"
    assert finding.message.startswith("in the file, line 3: not an address")
    assert "canary" not in str(finding)


WITHOUT = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "apprise":
            raise ModuleNotFoundError("No module named 'apprise'", name="apprise")
sys.meta_path.insert(0, Blocked())
from watcher.__main__ import main
main()
"""


@pytest.mark.parametrize("command", [["check"], ["run"], ["test-receiver", "misc"]])
def test_without_the_extra_it_says_what_to_install(command: list[str], tmp_path: Path) -> None:
    config = tmp_path / "watcher.yaml"
    config.write_text(f"{GOOD}receivers:\n  - name: misc\n    type: apprise\n    urls: [json://h, nonsense]\n")
    told = subprocess.run(
        [sys.executable, "-c", WITHOUT, command[0], "--config", str(config), *command[1:]],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "NO_COLOR": "1"},
    )
    line = "receivers[0].type: apprise needs the extra: pip install 'watcher[apprise]'"
    assert told.returncode == 2
    assert [f"watcher.yaml:4:11: {line}" in text for text in told.stderr.splitlines()] == [True], told.stderr


def test_the_library_is_not_loaded_where_nobody_wants_it() -> None:
    code = "import sys, watcher.app, watcher.cli.main; sys.exit('apprise' in sys.modules or 'requests' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=False).returncode == 0


class TestSecrets:
    @pytest.mark.parametrize(
        "reply",
        [Reply(status=404, body="no canary-path, canary-key"), Reply(reset=True), Reply(status=302), Reply()],
    )
    async def test_nothing_is_logged(self, sink: Sink, reply: Reply, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(1)
        seen: list[str] = []
        for name in ("apprise", "urllib3.connectionpool"):
            handler = logging.Handler()
            handler.emit = lambda record: seen.append(record.getMessage())  # type: ignore[method-assign]
            logging.getLogger(name).addHandler(handler)
        sink.replies.append(reply)
        url = address(sink, path="/canary-path/x?+X-Key=canary-key").replace("://", "://ann:canary-password@")
        async with receiver_of(url) as receiver:
            try:
                told = await receiver.send(NOTIFICATION)
            except DeliveryError as error:
                told = str(error)
        for name in ("apprise", "urllib3.connectionpool"):
            logging.getLogger(name).handlers.clear()
        assert sink.received[0].headers["x-key"] == "canary-key"
        assert seen == []
        assert "canary" not in told + caplog.text

    async def test_a_token_in_the_place_of_a_host_is_one(self, sink: Sink, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(NotifyDiscord, "notify_url", sink.url)
        sink.replies.append(Reply(status=404, body='{"message": "Unknown Webhook 417421629812/canary-token"}'))
        async with receiver_of("discord://417421629812/canary-token") as receiver:
            error = await failure_of(receiver)
        assert str(error) == 'answered HTTP 404: {"message": "Unknown Webhook ********************"}'


class TestTheLibrary:
    async def test_a_redirect_is_not_followed_even_where_the_address_asks_for_it(self, sink: Sink, other: Sink) -> None:
        sink.replies.append(Reply(status=302, headers={"Location": f"{other.url}/login"}))
        async with receiver_of(address(sink, path="/?redirect=yes")) as receiver:
            error = await failure_of(receiver)
        assert str(error) == "answered HTTP 302, a redirect: give the final address"
        assert other.received == []

    async def test_it_does_not_say_that_it_is_apprise(self, sink: Sink) -> None:
        async with receiver_of(address(sink)) as receiver:
            await receiver.send(NOTIFICATION)
        [request] = sink.received
        assert request.headers["user-agent"].startswith("watcher/")
        assert "apprise" not in json.dumps([request.headers, request.body]).lower()

    async def test_nothing_is_written_to_disk(
        self, sink: Sink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "TMPDIR"):
            monkeypatch.setenv(name, str(tmp_path))
        monkeypatch.chdir(tmp_path)
        async with receiver_of(address(sink)) as receiver:
            await receiver.send(NOTIFICATION)
        assert list(tmp_path.iterdir()) == []

    async def test_others_use_requests_as_ever(self, sink: Sink, other: Sink) -> None:
        async with receiver_of(address(sink)):
            sink.replies.append(Reply(status=302, headers={"Location": other.url}))
            answer = await asyncio.to_thread(requests.get, sink.url, timeout=5)
        assert answer.status_code == 200
        assert len(other.received) == 1

    async def test_a_refusal_by_a_200_is_told_in_its_own_words(
        self, sink: Sink, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(NotifySlack, "api_url", f"{sink.url}/{{}}")
        sink.replies.append(Reply(body='{"ok": false, "error": "channel_not_found"}'))
        async with receiver_of("slack://xoxb-1234-1234-4ddbc191d40ee098cbaae6f3523ada2d/#general") as receiver:
            error = await failure_of(receiver)
        assert str(error).startswith("not accepted: ")
        assert not error.permanent
        assert "4ddbc191d40ee098cbaae6f3523ada2d" not in str(error)

    async def test_mail_that_nobody_takes_is_tried_again(self) -> None:
        async with receiver_of("mailto://ann:canary-password@corp.example:1?smtp=127.0.0.1") as receiver:
            await receiver.reach()
            error = await failure_of(receiver)
        assert (error.permanent, error.reason) == (False, FailureReason.NETWORK)
        assert "refused" in str(error)
        assert "canary" not in str(error)


class TestTexts:
    async def test_it_reads_well(self, sink: Sink) -> None:
        async with receiver_of(address(sink)) as receiver:
            await receiver.send(replace(NOTIFICATION, events=(event(),), test=True))
        body = sink.received[0].json
        assert (body["title"], body["type"]) == ("✅ [TEST] office-2026 is BUILT", "success")
        assert body["message"].splitlines()[:2] == ["BUILDING → BUILT after 23 min 32 s", "Severity: info"]
        assert (
            body["message"].splitlines()[-1] == "Watcher: https://watcher.example/#/instances/prod/697612196993040384"
        )

    async def test_a_template_takes_its_place(self, sink: Sink) -> None:
        template = {"title": "{{ event.instance_name }}", "body": "one\ntwo"}
        async with receiver_of(address(sink), template=template) as receiver:
            await receiver.send(NOTIFICATION)
        assert (
            sink.received[0].json["message"]
            == "one\ntwo\nWatcher: https://watcher.example/#/instances/prod/697612196993040384"
        )

    def hostile(self) -> Notification:
        return single(event(instance_name=HOSTILE, labels={HOSTILE: HOSTILE, "owner": "ann@corp.example"}))

    def shown(self, sink: Sink, scheme: str) -> Iterator[str]:
        request = sink.received[-1]
        if scheme == "xml":
            yield from (text for text in ET.fromstring(request.body).itertext())  # noqa: S314 - our own
        else:
            yield from _strings(request.json)

    def assert_harmless(self, texts: list[str]) -> None:
        text = "\n".join(texts)
        assert "evil.example" in text
        assert "ann" in text
        assert not re.search(r"@\w", text)
        for mark in ("<!", "<@", "<http", "<a ", "<i>", "&lt;i", "](", "]:"):
            assert mark not in text, mark

    @pytest.mark.parametrize("scheme", ["json", "xml"])
    async def test_plain(self, sink: Sink, scheme: str) -> None:
        async with receiver_of(address(sink, scheme)) as receiver:
            await receiver.send(self.hostile())
        self.assert_harmless(list(self.shown(sink, scheme)))

    async def test_html(self, sink: Sink, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(NotifyTelegram, "notify_url", f"{sink.url}/bot")
        async with receiver_of("tgram://123456789:abcdefg_hijklmnop/12315544/") as receiver:
            await receiver.send(self.hostile())
        body = sink.received[0].json
        assert body["parse_mode"] == "HTML"
        assert "<b>b" not in body["text"].removeprefix("<b>")
        self.assert_harmless([body["text"]])

    async def test_markdown(self, sink: Sink, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(NotifyDiscord, "notify_url", sink.url)
        async with receiver_of("discord://4174216298/canary-token?format=markdown") as receiver:
            await receiver.send(self.hostile())
        self.assert_harmless(list(self.shown(sink, "json")))

    async def test_slack(self, sink: Sink, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(NotifySlack, "webhook_url", sink.url)
        async with receiver_of("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#general") as receiver:
            await receiver.send(self.hostile())
        body = sink.received[0].json
        assert body["attachments"][0]["color"]
        self.assert_harmless(list(_strings(body)))

    @pytest.mark.parametrize("name", EVERYTHING)
    async def test_one_message_whatever_its_length(
        self, sink: Sink, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(NotifyDiscord, "notify_url", sink.url)
        async with receiver_of("discord://4174216298/canary-token") as receiver:
            await receiver.send(EVERYTHING[name])
        [request] = sink.received
        assert 1 <= len(request.json["content"]) <= 2000

    async def test_split_where_the_address_says_so(self, sink: Sink, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(NotifyDiscord, "notify_url", sink.url)
        long = single(event(labels={f"label{number}": "v" * 300 for number in range(20)}))
        async with receiver_of("discord://4174216298/canary-token?overflow=split") as receiver:
            await receiver.send(long)
        assert len(sink.received) > 1

    def test_what_is_harmless_stays_as_it_is(self) -> None:
        for text in ("office-2026 is BUILT", "a & b [x] (y)", "BUILDING → BUILT", "1 @ 2", "a_b*c"):
            assert harmless(text) == text


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _strings(item)
    elif isinstance(value, str):
        yield value
