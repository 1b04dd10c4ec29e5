"""How many events become few groups: which come first, whom they name, how they are counted."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.fakes.stories import many, stories
from tests.fakes.values import at
from watcher.core.model import Event, Notification, Severity
from watcher.receivers.digest import alert_counts, chosen, grouped
from watcher.receivers.links import Links
from watcher.receivers.message import Message, describe
from watcher.receivers.words import group_label

STORIES = stories()


def told(*events: Event, held_by: str | None = None, test: bool = False) -> Message:
    return describe(Notification(id="dig_1", events=events, is_digest=True, held_by=held_by, test=test), links=Links())


def of(number: int, name: str = "built", **changes: object) -> Event:
    return replace(STORIES[name], instance_id=str(number), instance_name=f"vm-{number}", **changes)  # type: ignore[arg-type]


def test_the_first_three_instances_are_named_and_the_rest_is_counted() -> None:
    assert told(*(of(number) for number in range(12))).groups == (
        ("✅ prod → BUILT", "12: vm-0, vm-1, vm-2 and 9 more"),
    )
    assert told(*(of(number) for number in range(3))).groups == (("✅ prod → BUILT", "3: vm-0, vm-1, vm-2"),)


def test_an_instance_is_named_once() -> None:
    assert told(of(1), of(1), of(2), of(1)).groups == (("✅ prod → BUILT", "4 events of 2 instances: vm-1, vm-2"),)
    assert told(of(1), of(1)).groups == (("✅ prod → BUILT", "2 events of 1 instance: vm-1"),)


def test_groups_are_of_one_source() -> None:
    message = told(of(1), of(1, source="test"), of(2, source="test"))
    assert [label for label, _ in message.groups] == ["✅ test → BUILT", "✅ prod → BUILT"]
    assert message.title == "3 events: 3 BUILT"
    assert message.summary.startswith("3 events of 3 instances at ")


def test_what_fires_comes_first_then_what_is_worse_then_what_is_more() -> None:
    events = [
        *(of(number) for number in range(9)),
        of(20, "back"),
        of(21, "error over"),
        of(30, "stuck"),
        of(31, "missing"),
        of(32, "missing"),
        of(40, "error"),
    ]
    assert [group_label(group.first) for group in grouped(events, by=group_label)] == [
        "prod → ERROR",
        "prod: missing",
        "prod: stuck in BUILDING",
        "prod → BUILDING",
        "prod: back in BUILT",
        "prod → BUILT",
    ]


def test_first_sight_of_an_error_and_a_change_to_it_are_the_same_news() -> None:
    assert told(of(1, "error"), of(2, "found in error")).groups == (("🔴 prod → ERROR", "2: vm-1, vm-2"),)


def test_the_title_names_the_worst_and_the_largest() -> None:
    events = [*(of(number) for number in range(280)), *(of(500 + number, "error") for number in range(12))]
    assert told(*events).title == "292 events: 12 ERROR, 280 BUILT"
    events += [of(600, "stuck"), of(601, "missing"), of(602, "back")]
    assert told(*events).title == "295 events: 12 ERROR, 1 stuck in BUILDING, 280 BUILT, 2 others"
    assert told(of(1, "error"), of(2, "stuck"), of(3, "missing"), of(4)).title.endswith(", 1 other")


def test_eight_groups_are_shown_and_the_rest_is_counted() -> None:
    events = [of(number, source=f"s{number}", severity=Severity.CRITICAL) for number in range(12)]
    events += [of(100 + number, source="large") for number in range(20)]
    groups = told(*events).groups
    assert [label for label, _ in groups[:7]] == [f"✅ s{number} → BUILT" for number in range(7)]
    assert groups[7] == ("✅ large → BUILT", "20: vm-100, vm-101, vm-102 and 17 more")
    assert groups[8:] == (("… and more", "5 events in 5 groups"),)
    assert len(told(*events[:8]).groups) == 8


@pytest.mark.parametrize("most", [1, 2, 3, 4, 9])
def test_the_largest_is_always_among_those_chosen(most: int) -> None:
    groups = grouped(
        [of(1, "error"), of(2, "stuck"), of(3, "missing"), *(of(number) for number in range(4, 9))], by=group_label
    )
    shown = chosen(groups, most)
    assert len(shown) == min(most, len(groups))
    assert "prod → BUILT" in [group_label(group.first) for group in shown]


def test_a_source_is_no_instance() -> None:
    message = told(STORIES["outage"], of(1, observed_at=at(300)))
    assert message.groups[0] == ("🔴 prod: cannot be reached", "1 event")
    assert message.summary == "2 events of 1 instance and 1 source at 2026-01-01T00:05:00.000Z"
    assert told(STORIES["outage"]).summary == "1 event of 1 source at 2026-01-01T00:05:00.000Z"


def test_the_span_of_time_is_said_whatever_the_order() -> None:
    message = told(of(1, observed_at=at(252)), of(2, observed_at=at(0)))
    assert message.summary == (
        "2 events of 2 instances within 4 min 12 s, from 2026-01-01T00:00:00.000Z to 2026-01-01T00:04:12.000Z"
    )
    assert message.seen == "2026-01-01T00:04:12.000Z"


def test_an_alert_that_began_and_ended_is_over() -> None:
    error, over = STORIES["error"], STORIES["error over"]
    assert alert_counts([error]) == "error: 1 firing"
    assert alert_counts([error, over]) == "error: 1 resolved"
    assert alert_counts([error, over, STORIES["stuck"], STORIES["built"]]) == "stuck: 1 firing; error: 1 resolved"
    assert dict(told(error, over).fields)["Alerts"] == "error: 1 resolved"
    assert "Alerts" not in dict(told(of(1), of(2)).fields)


def test_the_worst_severity_what_held_it_back_and_that_it_is_a_test() -> None:
    message = told(of(1, severity=Severity.WARNING), of(2), held_by="maintenance patching", test=True)
    assert dict(message.fields) == {"Severity": "warning", "Held back": "maintenance patching"}
    assert message.title == "[TEST] 2 events: 2 BUILT"


@pytest.mark.parametrize("count", [1, 2, 31, 300, 2000])
def test_nothing_is_lost_in_counting(count: int) -> None:
    events = many(count)
    groups = grouped(events, by=group_label)
    assert sum(len(group.events) for group in groups) == len(events) == count
    assert sorted(id(each) for group in groups for each in group.events) == sorted(map(id, events))


def test_the_same_events_are_told_the_same_way() -> None:
    assert told(*many(300)) == told(*many(300))
