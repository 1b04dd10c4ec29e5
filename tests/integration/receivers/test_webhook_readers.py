"""Programs of others that take Alertmanager's webhooks take ours of `format: alertmanager`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tests.components import irc_relay
from tests.contract.test_messages import digest, single
from tests.contract.test_receivers import opened
from tests.fakes.irc import IrcServer
from tests.fakes.stories import REASON, Story
from tests.fakes.values import at
from watcher.core.model import AlertStatus

TEMPLATE = "{{ .Labels.team }}: {{ .Annotations.summary }}, {{ .Status }} {{ .StartsAt.Unix }} {{ .EndsAt.Unix }}"
NEVER = -62135596800  # Go's zero time


async def test_the_irc_relay_tells_the_channel(tmp_path: Path) -> None:
    """It says little, because the relay holds itself to a line every few seconds."""
    [failed] = Story().see("ERROR", 0, reason=REASON)
    ended = tuple(replace(alert, status=AlertStatus.RESOLVED, ends_at=at(60)) for alert in failed.alerts)
    over = replace(failed, id="evt_over", alerts=ended, reason=None)
    async with IrcServer() as irc, irc_relay(tmp_path, irc_port=irc.port, template=TEMPLATE) as url:
        await irc.until_joined("#alerts")
        async with opened({"type": "webhook", "url": url, "format": "alertmanager"}) as receiver:
            assert await receiver.send(single(failed)) == "HTTP 200"
            assert await receiver.send(digest(over)) == "HTTP 200"
        await irc.until_said("#alerts", 2)
    begin = int(at(0).timestamp())
    assert irc.said_in("#alerts") == [
        f"vdi: office-2026 is in ERROR, firing {begin} {NEVER}",
        f"vdi: office-2026 is in ERROR, resolved {begin} {begin + 60}",
    ]
