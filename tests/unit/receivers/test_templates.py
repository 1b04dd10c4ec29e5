"""Texts of a receiver's own: tried when loaded, replaced by the product's when they fail."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import pytest

from tests.fakes.clock import FakeClock
from tests.fakes.stories import many, stories
from watcher.core.facts import Fact, TemplateFailed
from watcher.core.model import EventKind, Notification
from watcher.receivers.base import Describer, ReceiverTools, TemplateSettings
from watcher.receivers.links import Links
from watcher.receivers.message import Message, describe
from watcher.receivers.samples import samples
from watcher.receivers.templates import TemplateError, check_template
from watcher.settings import load

STORIES = stories()
FAILED = Notification(id="x", events=(STORIES["build error"],))
DIGEST = Notification(id="dig", events=many(30), is_digest=True)
LINKS = Links(external_url="https://w.example/", runbooks={"error": "https://wiki.example/error"})


class Bench:
    """The describer of one receiver, and what is told of it."""

    def __init__(self, **texts: str) -> None:
        self.facts: list[Fact] = []
        tools = ReceiverTools(clock=FakeClock(), output=io.StringIO(), links=LINKS, observer=self.facts.append)
        self.describe = Describer(receiver="chat", template=TemplateSettings.model_validate(texts), tools=tools)

    def __call__(self, notification: Notification) -> Message:
        return self.describe(notification)


def test_title_and_body_take_the_place_of_the_products() -> None:
    bench = Bench(
        title="{{ event.instance_name }}: {{ event.from }} to {{ event.to }}", body="{{ summary }}\n{{ emoji }}"
    )
    message, built_in = bench(FAILED), describe(FAILED, links=LINKS)
    assert message.title == "office-2026: BUILDING to ERROR"
    assert message.body == (built_in.summary, "🔴")
    assert message.lines == message.body
    assert replace(message, title=built_in.title, body=None) == built_in
    assert bench.facts == []


def test_one_alone_leaves_the_other() -> None:
    assert Bench(title="it is {{ event.kind }}")(FAILED).body is None
    assert Bench(body="{{ event.kind }}")(FAILED).title == describe(FAILED, links=LINKS).title


def test_all_that_a_template_is_given() -> None:
    text = "\n".join(
        [
            "{{ title }} | {{ fields.Severity }} | {{ links.Watcher }} | {{ links['Runbook: error'] }}",
            "{% for event in events %}{{ event.id }}{% endfor %} {{ is_digest }} {{ held_by }} {{ test }}",
            "{{ event.reason.code if event.reason else 'why?' }} {{ event.duration_s | duration }}",
            "{{ event.instance.image_id }} {{ event.labels | tojson }}",
        ]
    )
    bench = Bench()
    bench.describe = Describer(
        receiver="chat",
        template=TemplateSettings.model_construct(title=None, body=text),
        tools=ReceiverTools(clock=FakeClock(), output=io.StringIO(), links=LINKS),
    )
    event = FAILED.event
    assert event.reason is not None
    assert bench(replace(FAILED, held_by="maintenance patching")).body == (
        f"{describe(FAILED, links=LINKS).title} | critical | https://w.example/#/instances/prod/697612196993040384 | https://wiki.example/error",
        f"{event.id} False maintenance patching False",
        f"{event.reason.code} 12 min",
        '{"team": "vdi"}',
    )


def test_a_digest_has_its_groups() -> None:
    text = "{% for what, who in groups.items() %}{{ what }}: {{ who }}\n{% endfor %}{{ events | length }}"
    message = Bench(body=text)(DIGEST)
    assert message.body is not None
    assert message.body[0].startswith("🔴 prod → ERROR: 1: office-024")
    assert message.body[-1] == "30"


@pytest.mark.parametrize("name", STORIES)
def test_every_kind_can_be_said(name: str) -> None:
    bench = Bench(title="> {{ title }}", body="{{ summary }} {{ fields.Severity }}")
    bench(Notification(id="x", events=(STORIES[name],)))
    assert bench.facts == []


def test_samples_are_of_every_kind_and_a_digest_and_a_test() -> None:
    kinds = {notification.event.kind for notification in samples() if not notification.is_digest}
    assert kinds == set(EventKind)
    assert [sum(map(bool, flags)) for flags in zip(*((one.is_digest, one.test) for one in samples()), strict=True)] == [
        1,
        1,
    ]


OF_DISCOVERED = "cannot be filled in for an event of kind discovered: "


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("{{ title", "line 1: unexpected end of template, expected 'end of print statement'."),
        ("ok\n{% if %}", "line 2: Expected an expression, got 'end of statement block'"),
        ("{{ nme }}", OF_DISCOVERED + "'nme' is undefined"),
        (
            "{{ event.nme }}",
            OF_DISCOVERED + "'dict object' has no attribute 'nme'",
        ),
        (
            "{{ event.reason.code }}",
            OF_DISCOVERED + "'None' has no attribute 'code'",
        ),
        ("{{ 1 / event.alerts | length }}", OF_DISCOVERED + "division by zero"),
        ("{% if is_digest %}{{ x }}{% endif %}", "cannot be filled in for a digest: 'x' is undefined"),
        ("{% if test %}{{ x }}{% endif %}", "cannot be filled in for a test: 'x' is undefined"),
        (
            "{% if event.to is none %}{{ x }}{% endif %}",
            OF_DISCOVERED + "'x' is undefined",
        ),
        ("{{ ''.__class__ }}", "access to attribute '__class__' of 'str' object is unsafe."),
        ("{{ events.append(1) }}", "access to attribute 'append' of 'list' object is unsafe."),
        ("{% for i in range(10 ** 9) %}{% endfor %}", "Range too big"),
        ("{% include 'x' %}", "no loader for this environment specified"),
        ("{{ title.format(title) * 'x' }}", "can't multiply sequence by non-int of type 'str'"),
        ("(" * 10 + "{{ " + "(" * 5000, ""),
    ],
)
def test_a_mistake_is_found_when_loaded(source: str, why: str) -> None:
    with pytest.raises(TemplateError) as failure:
        check_template(source)
    assert why in str(failure.value)
    assert "\n" not in str(failure.value)


def test_a_mistake_is_told_where_it_stands(tmp_path: Any) -> None:
    file = tmp_path / "watcher.yaml"
    file.write_text(
        "sources: [{name: s, region: cn-north-4, instances: ['1']}]\n"
        "receivers:\n"
        "  - name: screen\n"
        "    type: console\n"
        "    template:\n"
        "      title: '{{ event.nme }}'\n"
        "      body: |\n"
        "        {% if %}\n"
    )
    assert [str(finding) for finding in load(file, {}).findings] == [
        f"{file}:6:14: receivers[0].template.title: {OF_DISCOVERED}'dict object' has no attribute 'nme'",
        f"{file}:7:13: receivers[0].template.body: line 1: Expected an expression, got 'end of statement block'",
    ]


@pytest.mark.parametrize("what", ["title", "body"])
def test_one_that_fails_at_run_time_is_replaced_and_told(what: str) -> None:
    bench = Bench(**{what: "{{ event.labels.team if event.from == 'BUILT' else title }}"})
    odd = replace(FAILED, events=(replace(FAILED.event, from_status="BUILT", labels={}),))
    assert bench(odd) == describe(odd, links=LINKS)
    assert bench.facts == [TemplateFailed("chat", "'dict object' has no attribute 'team'")]


def test_an_empty_title_is_none() -> None:
    bench = Bench(title="{% if event.to == 'BUILT' %}built{% endif %}")
    assert bench(FAILED).title == describe(FAILED, links=LINKS).title
    assert bench.facts == [TemplateFailed("chat", "the title is empty")]


def test_what_others_wrote_stays_on_its_line_and_has_an_end() -> None:
    awkward = "a\u202eb\x1b[31m\n\nc" + "x" * 20_000
    told = Notification(id="x", events=(replace(FAILED.event, instance_name=awkward),))
    message = Bench(title="{{ event.instance_name }}", body="{{ event.instance_name }}\nend")(told)
    assert message.title.startswith("a�b�[31m c")
    assert len(message.title) == 500
    assert message.body is not None
    assert sum(map(len, message.body)) <= 10_000
    assert all(char.isprintable() for line in message.body for char in line)


def test_a_template_in_a_name_is_only_a_name() -> None:
    told = Notification(id="x", events=(replace(FAILED.event, instance_name="{{ 7 * 7 }}"),))
    assert Bench(title="{{ event.instance_name }}")(told).title == "{{ 7 * 7 }}"


@pytest.mark.parametrize("title", ["{{ title }}", "{{ event.to }}"])
def test_a_test_is_marked_whatever_the_template_says(title: str) -> None:
    message = Bench(title=title)(replace(FAILED, test=True))
    assert message.title.count("[TEST] ") == 1
    assert message.title.startswith("[TEST] ")
