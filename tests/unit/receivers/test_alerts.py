"""What Alertmanager recognises an alert by, and what it is told beside."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from tests.fakes.clock import FakeClock
from tests.fakes.stories import REASON, Story, many, stories
from tests.fakes.values import KEY, at, event
from watcher.core.model import Alert, AlertStatus, Event, InstanceKey, Notification, Severity
from watcher.core.ports import Standing
from watcher.core.quiet import Acknowledgement
from watcher.receivers.alerts import LabelledAlert, Labeller
from watcher.receivers.base import Describer, ReceiverTools, TemplateSettings
from watcher.receivers.links import Links

STORIES = stories()
LINKS = Links(
    external_url="https://watcher.example/",
    consoles={"prod": "https://console.example/{instance_id}"},
    runbooks={"error": "https://wiki.example/error"},
)
PAIRS = {
    "error": ("error", "error over"),
    "stuck": ("stuck", "stuck over"),
    "missing": ("missing", "back"),
    "unreachable": ("outage", "outage over"),
    "flapping": ("flapping", "calm"),
    "build_failed": ("build failed", "build failed over"),
}


def labeller(links: Links = LINKS, template: TemplateSettings | None = None) -> Labeller:
    tools = ReceiverTools(clock=FakeClock(), output=io.StringIO(), links=links)
    return Labeller(describer=Describer(receiver="it", template=template, tools=tools), links=links)


def told(*events: Event, **more: Any) -> list[LabelledAlert]:
    is_digest = len(events) != 1
    return labeller().told(Notification(id="n", events=events, is_digest=is_digest, **more))


def alert(labels: Mapping[str, str], **more: Any) -> Alert:
    given: dict[str, Any] = {
        "name": "error",
        "fingerprint": "0123456789abcdef",
        "status": AlertStatus.FIRING,
        "severity": Severity.CRITICAL,
        "starts_at": at(0),
        "labels": labels,
    }
    return Alert(**{**given, **more})


def test_an_error_in_full() -> None:
    story = Story()
    story.see("BUILDING", 0)
    [failed] = story.see("ERROR", 600, reason=replace(REASON, exact=False))
    [found] = told(failed)
    assert found.labels == {
        "alertname": "error",
        "instance_id": KEY.id,
        "instance_name": "office-2026",
        "severity": "critical",
        "source": "prod",
        "status": "ERROR",
        "team": "vdi",
    }
    assert found.annotations["summary"] == "office-2026 is ERROR"
    assert "Likely reason: WKS.0017 sysprep failed\n" in found.annotations["description"]
    assert {name: found.annotations[name] for name in ("reason", "runbook_url", "console_url", "event_id")} == {
        "reason": "WKS.0017 sysprep failed",
        "runbook_url": "https://wiki.example/error",
        "console_url": f"https://console.example/{KEY.id}",
        "event_id": failed.id,
    }
    assert (found.generator_url, found.starts_at, found.ends_at) == (
        "https://watcher.example/#/instances/prod/697612196993040384",
        at(600),
        None,
    )
    assert found.fingerprint == failed.alerts[0].fingerprint


@pytest.mark.parametrize("name", PAIRS)
def test_an_alert_has_the_same_labels_from_beginning_to_end(name: str) -> None:
    begin, end = (told(STORIES[story]) for story in PAIRS[name])
    [firing], [resolved] = ([each for each in alerts if each.labels["alertname"] == name] for alerts in (begin, end))
    assert firing.identity == resolved.identity
    assert (firing.ends_at, resolved.ends_at is None) == (None, False)


@pytest.mark.parametrize("name", ["error", "stuck", "unreachable", "build_failed"])
def test_so_has_one_of_an_earlier_version_that_had_no_labels(name: str) -> None:
    begin, end = (
        told(replace(STORIES[story], alerts=tuple(replace(each, labels={}) for each in STORIES[story].alerts)))
        for story in PAIRS[name]
    )
    assert begin[0].identity == end[0].identity
    assert begin[0].labels.get("team") == (None if name == "unreachable" else "vdi")


def test_a_source_as_a_whole_has_no_instance() -> None:
    [found] = told(STORIES["outage"])
    assert found.labels == {"alertname": "unreachable", "severity": "critical", "source": "prod"}
    assert "console_url" not in found.annotations


def test_the_products_labels_win_and_what_is_empty_or_no_name_is_left_out() -> None:
    theirs = {
        "alertname": "mine",
        "source": "mine",
        "instance_id": "mine",
        "severity": "mine",
        "instance_name": "office-2026",
        "status": "ERROR",
        "empty": "",
        "": "no name",
        "a-b": "a name for people",
        "büro": "no ASCII",
        "1a": "a digit",
        "Team_1": "half \ud83d a pair\n",
    }
    [found] = told(event(alerts=(alert(theirs),)))
    assert found.labels == {
        "Team_1": "half ? a pair\n",
        "alertname": "error",
        "instance_id": KEY.id,
        "instance_name": "office-2026",
        "severity": "critical",
        "source": "prod",
        "status": "ERROR",
    }


def test_the_labels_are_those_the_alert_began_with() -> None:
    changed = event(alerts=(alert({"team": "old", "instance_name": "old", "status": "ERROR"}),), labels={"team": "new"})
    [found] = told(changed)
    assert {name: found.labels[name] for name in ("team", "instance_name", "status")} == {
        "team": "old",
        "instance_name": "old",
        "status": "ERROR",
    }


def test_a_digest_tells_the_last_of_each_alert_in_order() -> None:
    first, second = alert({}), alert({}, starts_at=at(100))
    over = replace(first, status=AlertStatus.RESOLVED, ends_at=at(50))
    other = alert({}, name="stuck", fingerprint="f" * 16)
    events = [
        event(id="evt_1", alerts=(first, other)),
        event(id="evt_2", alerts=(over,)),
        event(id="evt_3"),
        event(id="evt_4", alerts=(second,)),
        event(id="evt_5", alerts=(second,)),
    ]
    found = told(*events)
    assert [(each.labels["alertname"], each.starts_at, each.ends_at) for each in found] == [
        ("stuck", at(0), None),
        ("error", at(0), at(50)),
        ("error", at(100), None),
    ]
    assert [each.annotations["event_id"] for each in found] == ["evt_1", "evt_2", "evt_5"]


def test_each_alert_of_a_digest_is_told_by_its_own_event() -> None:
    events = many(300)
    found = told(*events, held_by="maintenance patching")
    assert len({each.fingerprint for each in found}) == len(found) == 19
    by_instance = {each.labels.get("instance_name"): each.annotations for each in found}
    assert by_instance["office-024"]["summary"] == "office-024 is ERROR"
    assert "Held back: maintenance patching" in by_instance["office-024"]["description"]


def test_all_is_text_and_nothing_is_empty() -> None:
    for story in STORIES.values():
        for each in told(story):
            texts = {**each.labels, **each.annotations}
            assert all(type(text) is str and text for text in texts.values())
            assert each.labels["severity"] in list(Severity)


def test_without_addresses_there_are_none() -> None:
    [found] = labeller(Links()).told(Notification(id="n", events=(STORIES["found in error"],)))
    assert found.generator_url is None
    assert not {"runbook_url", "console_url"} & set(found.annotations)


def test_a_template_words_the_texts() -> None:
    template = TemplateSettings(title="{{ event.instance_name }} needs you", body="one\ntwo")
    [found] = labeller(template=template).told(Notification(id="n", events=(STORIES["found in error"],)))
    assert (found.annotations["summary"], found.annotations["description"]) == ("office-2026 needs you", "one\ntwo")


def test_who_has_taken_it_on_is_told_too() -> None:
    failed = STORIES["found in error"]
    [fires] = failed.alerts
    taken = Acknowledgement(
        fingerprint=fires.fingerprint, starts_at=fires.starts_at, author="ann", comment="on it", created_at=at(9)
    )
    plain = labeller().standing(Standing(alert=fires, event=failed))
    found = labeller().standing(Standing(alert=fires, event=failed, acknowledged=taken))
    assert found.annotations == {**plain.annotations, "acknowledged_by": "ann: on it"}
    assert found.identity == plain.identity
    quiet = labeller().standing(Standing(alert=fires, event=failed, acknowledged=replace(taken, comment="")))
    assert quiet.annotations["acknowledged_by"] == "ann"


def test_an_alert_that_is_over_stands_with_the_event_that_told_of_it() -> None:
    failed = STORIES["found in error"]
    over = replace(failed.alerts[0], status=AlertStatus.RESOLVED, ends_at=at(50))
    found = labeller().standing(Standing(alert=over, event=failed))
    assert (found.ends_at, found.labels) == (at(50), told(failed)[0].labels)


def test_instances_of_two_sources_are_told_apart() -> None:
    one, two = (Story(key=InstanceKey(source, "1")).see("ERROR", 0) for source in ("prod", "test"))
    found = told(*one, *two)
    assert len({each.identity for each in found}) == 2
