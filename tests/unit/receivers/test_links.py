"""Where people go on reading, and how news is meant."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.fakes.stories import many, stories
from tests.fakes.values import event
from watcher.cloud.regions import REGIONS, console_url
from watcher.receivers.links import Links
from watcher.receivers.tone import Tone, tone_of
from watcher.settings import load_text

STORIES = stories()
LINKS = Links(
    external_url="https://w.example/",
    consoles={"prod": "https://console.example/i/{instance_id}?n={instance_name}"},
    runbooks={"error": "https://wiki.example/error", "unreachable": "https://wiki.example/outage"},
)


def test_of_an_event() -> None:
    failed = replace(STORIES["build error"], instance_name="a b/ü&c", instance_id="4 2")
    assert LINKS.of([failed]) == (
        ("Watcher", "https://w.example/#/instances/prod/4%202"),
        ("Console", "https://console.example/i/4%202?n=a%20b%2F%C3%BC%26c"),
        ("Runbook: error", "https://wiki.example/error"),
    )


def test_what_is_over_needs_no_runbook() -> None:
    assert [text for text, _ in LINKS.of([STORIES["error over"]])] == ["Watcher", "Console"]


def test_a_source_has_no_page_of_an_instance() -> None:
    assert [text for text, _ in LINKS.of([STORIES["outage"]])] == ["Watcher", "Runbook: unreachable"]
    assert LINKS.page([STORIES["outage"]]) == "https://w.example/"
    console = replace(LINKS, consoles={"prod": "https://console.example/"})
    assert ("Console", "https://console.example/") in console.of([STORIES["outage"]])


def test_a_digest_of_many_has_no_console_and_each_runbook_once() -> None:
    found = LINKS.of(many(300))
    assert ("Watcher", "https://w.example/") in found
    texts = [text for text, _ in found]
    assert sorted(texts) == ["Runbook: error", "Runbook: unreachable", "Watcher"]


def test_nothing_known_no_links() -> None:
    assert Links().of([STORIES["build error"]]) == ()


def test_half_a_surrogate_pair_in_a_name_breaks_no_link() -> None:
    [_, (_, url)] = LINKS.of([event(instance_name="\ud83d")])
    assert url.isascii()


@pytest.mark.parametrize("region", REGIONS)
def test_every_region_has_a_console(region: str) -> None:
    url = console_url(region)
    assert url is not None
    assert url.startswith("https://console")
    assert url.endswith(f"/workspace/?region={region}")


@pytest.mark.parametrize(
    ("url", "findings"),
    [
        ("https://c.example/{instance_id}", []),
        ("https://c.example/", []),
        ("ftp://c.example/", ["must begin with https:// or http://"]),
        ("https://c.example/{id}", ["holds a placeholder other than {instance_id} and {instance_name}"]),
        ("https://c.example/{", ["holds a placeholder other than {instance_id} and {instance_name}"]),
    ],
)
def test_a_consoles_address(url: str, findings: list[str]) -> None:
    text = f"sources: [{{name: s, region: cn-north-4, instances: ['1'], console_url: '{url}'}}]"
    assert [finding.message for finding in load_text(text, {}, file="f").findings] == findings


def test_a_runbook_is_of_an_alert_there_is() -> None:
    text = "sources: [{name: s, region: cn-north-4, instances: ['1']}]\nrunbooks: {eror: 'https://x.example'}\n"
    [finding] = load_text(text, {}, file="f").findings
    assert str(finding).startswith("f:2:12: runbooks")


@pytest.mark.parametrize(
    ("name", "tone"),
    [
        ("building", Tone.INFO),
        ("built", Tone.SUCCESS),
        ("build error", Tone.FAILURE),
        ("error over", Tone.SUCCESS),
        ("stuck", Tone.WARNING),
        ("stuck over", Tone.SUCCESS),
        ("deleted", Tone.INFO),
        ("outage", Tone.FAILURE),
        ("outage over", Tone.SUCCESS),
        ("error reminder", Tone.FAILURE),
    ],
)
def test_how_it_is_meant(name: str, tone: Tone) -> None:
    assert tone_of([STORIES[name]]) is tone


def test_a_digest_is_as_bad_as_what_fires_in_the_end() -> None:
    assert tone_of(many(300)) is Tone.FAILURE
    assert tone_of([STORIES["error"], STORIES["error over"]]) is Tone.SUCCESS
    assert tone_of([STORIES["built"], STORIES["built again"]]) is Tone.SUCCESS
    assert tone_of([STORIES["built"], STORIES["building"]]) is Tone.INFO
    assert len({each.colour for each in Tone}) == len(Tone)
