"""What is said of each kind of event, word for word."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.fakes.stories import stories
from tests.fakes.values import at, event
from watcher.core.model import Event, EventKind, Expectation, Notification, Reason
from watcher.receivers.links import Links
from watcher.receivers.message import describe
from watcher.receivers.words import about, alerts, format_length, plain, summary

STORIES = stories()
SAID = {
    "building": (
        "🔨 office-2026 is BUILDING",
        "ACTIVE → BUILDING after 1 min; about 24 min left (usually 24 min, p95 31 min)",
        "",
    ),
    "built": ("✅ office-2026 is BUILT", "BUILDING → BUILT after 24 min", ""),
    "built again": ("✅ office-2026 was built again", "BUILT → (BUILDING) → BUILT after 35 min", ""),
    "passed unseen": ("✅ office-2026 is BUILT", "ACTIVE → (BUILDING) → BUILT after 1 min", ""),
    "build error": ("🔴 office-2026 is ERROR", "BUILDING → ERROR after 12 min", "error firing (critical)"),
    "error": ("🔴 office-2026 is ERROR", "BUILT → ERROR after 1 h", "error firing (critical)"),
    "found in error": ("🔴 office-2026 is in ERROR", "seen for the first time", "error firing (critical)"),
    "error reminder": (
        "🔔 office-2026 is still in ERROR",
        "ERROR for 4 h",
        "error firing for 4 h (critical, since 2026-01-01T02:00:00.000Z)",
    ),
    "error over": (
        "🔨 office-2026 is BUILDING",
        "ERROR → BUILDING after 4 h 30 min; about 24 min left (usually 24 min, p95 31 min)",
        "error resolved after 4 h 30 min",
    ),
    "unwatched": (
        "⏹️ office-2026 is no longer watched",
        "it is no longer in the configuration; last seen ERROR",
        "error resolved after 12 min",
    ),
    "stuck": (
        "⏳ office-2026 is stuck in BUILDING",
        "BUILDING for 52 min; usually 24 min, p95 31 min",
        "stuck firing (warning)",
    ),
    "stuck reminder": (
        "🔔 office-2026 is still stuck in BUILDING",
        "BUILDING for 4 h 59 min; longer than usual (usually 24 min, p95 31 min)",
        "stuck firing for 4 h 7 min (warning, since 2026-01-01T00:53:00.000Z)",
    ),
    "stuck over": ("✅ office-2026 is BUILT", "BUILDING → BUILT after 5 h", "stuck resolved after 4 h 8 min"),
    "stuck without experience": (
        "⏳ office-2026 is stuck in DELETING",
        "DELETING for 2 h",
        "stuck firing (warning)",
    ),
    "missing": (
        "❓ office-2026 is missing",
        "the cloud does not know it, and no deletion was seen; last seen BUILT",
        "missing firing (warning)",
    ),
    "missing reminder": (
        "🔔 office-2026 is still missing",
        "last seen BUILT",
        "missing firing for 4 h 58 min (warning, since 2026-01-01T00:02:00.000Z)",
    ),
    "back": ("✅ office-2026 is back in BUILT", "the cloud knows it again", "missing resolved after 5 h 58 min"),
    "never there": (
        "❓ 697612196993040384 is missing",
        "the cloud does not know it, and no deletion was seen",
        "missing firing (warning)",
    ),
    "there at last": (
        "🔨 office-2026 has appeared in BUILDING",
        "the cloud knows it now; usually 24 min, p95 31 min",
        "missing resolved after 59 min",
    ),
    "deleted": ("🗑️ office-2026 is deleted", "last seen DELETING", ""),
    "deleted in error": ("🗑️ office-2026 is deleted", "last seen ERROR", "error resolved after 2 min"),
    "flapping": (
        "🔁 office-2026 is flapping",
        "6 changes of status in a short time; single changes are held back until it is calm; now BUILT",
        "flapping firing (warning)",
    ),
    "change while flapping": (
        "🔨 office-2026 is BUILDING",
        "BUILT → BUILDING after 1 min; about 24 min left (usually 24 min, p95 31 min)",
        "",
    ),
    "calm": (
        "〰️ office-2026 is calm again",
        "7 changes while it flapped; now BUILDING",
        "flapping resolved after 38 min",
    ),
    "calm in error": (
        "〰️ office-2026 is calm again",
        "8 changes while it flapped; now ERROR; still firing: error",
        "error firing for 35 min (critical, since 2026-01-01T00:15:00.000Z), flapping resolved after 38 min",
    ),
    "flapping reminder": (
        "🔔 office-2026 is still flapping",
        "now BUILT",
        "flapping firing for 4 h (warning, since 2026-01-01T00:18:00.000Z)",
    ),
    "outage": ("🔴 source prod cannot be reached", "no answer for 5 min", "unreachable firing (critical)"),
    "outage reminder": (
        "🔔 source prod still cannot be reached",
        "no answer for 5 h",
        "unreachable firing for 4 h 55 min (critical, since 2026-01-01T00:05:00.000Z)",
    ),
    "outage over": ("🟢 source prod answers again", "it was silent for 6 h", "unreachable resolved after 5 h 55 min"),
    "built badly": ("❌ office-2026 is BUILT, but its build failed", "BUILDING → BUILT after 24 min", ""),
    "build failed": (
        "❌ office-2026 ended its build without a new image",
        "its job failed",
        "build_failed firing (critical)",
    ),
    "build failed over": (
        "🔨 office-2026 is BUILDING",
        "BUILT → BUILDING after 5 h 35 min; about 24 min left (usually 24 min, p95 31 min)",
        "build_failed resolved after 5 h 35 min",
    ),
    "build failed reminder": (
        "🔔 office-2026 is still without a new image",
        "BUILT for 4 h 35 min",
        "build_failed firing for 4 h 35 min (critical, since 2026-01-01T00:25:00.000Z)",
    ),
    "build failed without a reason": (
        "❌ office-2026 ended its build without a new image",
        "BUILT for 2 min",
        "build_failed firing (critical)",
    ),
    "built after all": (
        "✅ office-2026 has its new image after all",
        "BUILT for 15 min",
        "build_failed resolved after 13 min",
    ),
}


def test_every_story_is_told_here() -> None:
    assert set(SAID) == set(STORIES)


@pytest.mark.parametrize("name", SAID)
def test_said_word_for_word(name: str) -> None:
    message = describe(Notification(id="x", events=(STORIES[name],)), links=Links())
    assert (f"{message.emoji} {message.title}", message.summary, alerts(STORIES[name])) == SAID[name]


def fields(told: Event, **more: str) -> dict[str, str]:
    return dict(describe(Notification(id="x", events=(told,), held_by=more.get("held_by")), links=Links()).fields)


def test_what_held_it_back_is_said() -> None:
    by = "silence sil_1 by ann: upgrade"
    assert fields(STORIES["built"], held_by=by)["Held back"] == by
    assert "Held back" not in fields(STORIES["built"])


def test_the_reason_says_whether_it_is_certain() -> None:
    assert fields(STORIES["found in error"])["Reason"] == "WKS.0017 sysprep failed"
    assert fields(STORIES["error"])["Likely reason"] == "WKS.0017 sysprep failed"
    assert "Reason" not in fields(STORIES["unwatched"])


def test_a_source_that_nobody_watches_any_more() -> None:
    reason = Reason(code="unwatched", message="it is no longer in the configuration", exact=True)
    message = describe(Notification(id="x", events=(replace(STORIES["outage over"], reason=reason),)), links=Links())
    assert message.title == "source prod is no longer watched"
    assert message.summary == "it is no longer in the configuration"


@pytest.mark.parametrize(
    ("lasted_s", "said"),
    [
        (0, "about 24 min left"),
        (1439 - 120, "about 2 min left"),
        (1439 - 60, "about 1 min 1 s left"),
        (1439.5, "about 0 s left"),
        (1440, "longer than usual"),
        (99_999, "longer than usual"),
    ],
)
def test_how_long_a_build_under_way_may_last_is_never_negative(lasted_s: float, said: str) -> None:
    expected = Expectation(median_s=1440, p95_s=1860, samples=5)
    told = event(
        kind=EventKind.REMINDER, from_status="BUILDING", to_status="BUILDING", duration_s=lasted_s, expected=expected
    )
    assert summary(told).endswith(f"; {said} (usually 24 min, p95 31 min)")


def test_the_end_of_flapping_of_what_is_gone_or_was_not_counted() -> None:
    told = replace(STORIES["calm"], to_status=None, changes=None)
    assert summary(told) == "many changes while it flapped; now it is not there"


def test_a_receiver_that_was_never_told_of_the_flapping_is_told_that_it_is_calm() -> None:
    calm = STORIES["calm in error"]
    trimmed = replace(calm, alerts=tuple(alert for alert in calm.alerts if alert.name == "error"))
    assert describe(Notification(id="x", events=(trimmed,)), links=Links()).title == "office-2026 is calm again"


def test_a_reminder_of_many_alerts_names_what_matters_most_and_lists_all() -> None:
    [error] = STORIES["error"].alerts
    both = replace(
        STORIES["missing reminder"], alerts=(*STORIES["missing reminder"].alerts, error), observed_at=at(1e5)
    )
    message = describe(Notification(id="x", events=(both,)), links=Links())
    assert message.title == "office-2026 is still missing"
    assert [each.partition(" ")[0] for each in dict(message.fields)["Alerts"].split("), ")] == ["error", "missing"]


@pytest.mark.parametrize(
    ("seconds", "exact", "rough"),
    [
        (0, "0 s", "0 s"),
        (59.6, "1 min", "1 min"),
        (119, "1 min 59 s", "1 min 59 s"),
        (1412, "23 min 32 s", "24 min"),
        (3600, "1 h", "1 h"),
        (3900, "1 h 5 min", "1 h 5 min"),
        (266_400, "3 d 2 h", "3 d 2 h"),
        (86_405, "1 d", "1 d"),
    ],
)
def test_lengths_of_time(seconds: float, exact: str, rough: str) -> None:
    assert (format_length(seconds), about(seconds)) == (exact, rough)


def test_a_text_is_one_printable_line() -> None:
    assert plain(" a\nb\tc\u2028d\x1b[31m\u202e\x00\u3000办公 🗑️ ") == "a b c d\ufffd[31m\ufffd\ufffd 办公 🗑️"
