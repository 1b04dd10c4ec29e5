"""The report as a page."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC
from html.parser import HTMLParser
from typing import Any

import pytest

from tests.fakes.stories import stories
from tests.fakes.values import at, event
from watcher.cli.history import History, Known
from watcher.cli.report.page import Material, page_of
from watcher.core.model import Event, EventKind, InstanceKey, Reason

HOSTILE = "<script>alert(1)</script>\"'&\x1b[31m\x00\u202e{{ 7*7 }}\ud800"
VOID = {"meta", "br", "link"}


class Outline(HTMLParser):
    """The elements of a page, and whether each is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.ids: list[str] = []
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def end(self) -> None:
        self.close()
        assert self._open == []


def made_of(*events: Event, **changes: Any) -> Material:
    """What a report of these is made of, of the first day."""
    given: dict[str, Any] = {
        "history": History(events=events),
        "known": (),
        "firing": (),
        "begins_at": at(0),
        "ends_at": at(86400),
        "made_at": at(86400),
        "where": "http://127.0.0.1:9468",
        "version": "1.2.3",
        "zone": UTC,
        **changes,
    }
    return Material(**given)


def outline(text: str) -> Outline:
    parser = Outline()
    parser.feed(text)
    parser.end()
    return parser


def a_day() -> list[Event]:
    """A build that went well and one that failed, of one instance."""
    told = {"instance_name": "office-2026", "previous_observed_at": None}
    return [
        event(from_status="BUILT", to_status="BUILDING", observed_at=at(100), duration_s=5.0, **told),
        event(observed_at=at(1600), duration_s=1500.0, **told),
        event(from_status="BUILT", to_status="BUILDING", observed_at=at(5000), duration_s=1.0, **told),
        event(
            to_status="ERROR",
            observed_at=at(5600),
            duration_s=600.0,
            reason=Reason(code="WKS.0017", message="sysprep failed", exact=False),
            **told,
        ),
    ]


def test_a_report_says_it_in_words_and_pictures() -> None:
    text, summary = page_of(made_of(*a_day()))
    assert (summary.builds, summary.failed, summary.instances) == (2, 1, 1)
    for words in (
        "25 min",
        "likely: sysprep failed",
        "WKS.0017",
        "50.0 %",
        "2026-01-01 00:26",
        "22 h 27 min",
        "(UTC)",
    ):
        assert words in text, words
    parsed = outline(text)
    assert parsed.tags.count("circle") == 3  # with that of the legend, and of the pattern
    assert len(parsed.ids) == len(set(parsed.ids))
    named = {value for name, value in parsed.attributes if name == "aria-labelledby"}
    assert {name for each in named for name in (each or "").split()} <= set(parsed.ids)


@pytest.mark.parametrize("events", [[], list(stories().values()), a_day()[:1], a_day()[-1:]])
def test_whatever_happened_it_is_a_page_that_needs_nothing_else(events: list[Event]) -> None:
    text, _ = page_of(made_of(*events, ends_at=at(10 * 86400)))
    parsed = outline(text)
    assert {"script", "link", "img", "iframe", "object"} & set(parsed.tags) == set()
    assert {"src", "href", "onclick", "onload"} & {name for name, _ in parsed.attributes} == set()
    assert set(re.findall(r"url\(([^)]*)\)", text)) <= {
        "#hatch-error",
        "#hatch-missing",
        "#dots-creating",
        "#bars-deleting",
    }
    assert "None" not in text
    assert "nan" not in text


def test_names_and_messages_are_anybodys_text() -> None:
    reason = Reason(code=HOSTILE, message=HOSTILE, exact=True)
    key: dict[str, Any] = {"instance_name": HOSTILE, "source": HOSTILE, "instance_id": HOSTILE}
    events = [replace(each, **key, reason=reason) for each in a_day()]
    events.append(event(**key, from_status="BUILT", to_status=HOSTILE, observed_at=at(9000)))
    events = [replace(each, record=json.dumps({"made_from": HOSTILE})) for each in events]
    known = Known(key=InstanceKey(HOSTILE, "2"), name=HOSTILE, status=HOSTILE, since=at(0))
    text, _ = page_of(made_of(*events, known=[known], where=HOSTILE, version=HOSTILE))
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert not set(text) & {"\x1b", "\x00", "\u202e", "\ud800"}
    assert "{{ 7*7 }}" in text
    text.encode()
    outline(text)


def test_what_is_not_in_it_is_said() -> None:
    many = [event(instance_id=str(number), instance_name=f"i{number}", observed_at=at(number)) for number in range(60)]
    text, _ = page_of(made_of(history=History(events=many, is_cut=True, unreadable=7)))
    assert "There were more than 100,000 events" in text
    assert "7 events could not be read" in text
    assert "and 10 more instances" in text


def test_only_unreachable_sources_make_no_instance() -> None:
    text, summary = page_of(
        made_of(event(kind=EventKind.UNREACHABLE, instance_id="", from_status=None, to_status=None))
    )
    assert summary.instances == 0
    assert "Nothing is known of any instance" in text
