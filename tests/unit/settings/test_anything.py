"""Whatever is in the file, the answer is findings."""

from __future__ import annotations

import json
import string

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from watcher.settings import json_schema, load_text
from watcher.settings.parser import parse_tree
from watcher.settings.tree import plain

ANYTHING = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])

KEYS = sorted(
    {
        name
        for definition in json.loads(json.dumps(json_schema()))["$defs"].values()
        for part in (definition, *definition.get("anyOf", ()))
        for name in part.get("properties", {})
    }
    | set(json_schema()["properties"])
)
WORDS = [
    *("webhook", "slack", "console", "apprise", "aksk", "auto", "token", "15s", "180/1m", "22:00", "sat", "1", "-1"),
    *("sqlite:///a", "http://h", "[::1]:1", "${A}", "${B:-c}", "${", "BUILT", "critical", "a"),
]
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.sampled_from(WORDS), st.text(max_size=8))
TREES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=4), inner, max_size=6)
    ),
    max_leaves=25,
)


def check(text: str) -> None:
    result = load_text(text, {"A": "value"}, file="f")
    assert (result.settings is None) == any(finding.level == "error" for finding in result.findings)
    for finding in result.findings:
        assert "\n" not in str(finding)
        str(finding).encode()


@ANYTHING
@given(st.text())
def test_any_text(text: str) -> None:
    check(text)


@ANYTHING
@given(st.text(alphabet=string.ascii_lowercase[:4] + " \n\t:-[]{},&*!|>'\"%@`#?~<$.\\0", max_size=60))
def test_any_text_that_looks_like_yaml(text: str) -> None:
    check(text)


@ANYTHING
@given(TREES)
def test_any_tree(tree: object) -> None:
    check(yaml.safe_dump(tree, allow_unicode=True))


@ANYTHING
@given(st.fixed_dictionaries({}, optional=dict.fromkeys(json_schema()["properties"], TREES)))
def test_any_tree_with_the_right_sections(tree: object) -> None:
    check(yaml.safe_dump(tree))


@ANYTHING
@given(st.fixed_dictionaries({}, optional=dict.fromkeys(KEYS, SCALARS | TREES)), st.sampled_from(WORDS))
def test_any_receiver_and_source(keys: dict[str, object], kind: str) -> None:
    receiver = {**keys, "name": "a", "type": kind}
    check(yaml.safe_dump({"receivers": [receiver], "routes": [{"receivers": receiver}], "sources": [receiver]}))


@ANYTHING
@given(TREES)
def test_both_parsers_read_the_same(tree: object) -> None:
    text = yaml.safe_dump(tree)
    fast, slow = parse_tree(text, {"A": "value"}), parse_tree(text, {"A": "value"}, loader=yaml.SafeLoader)
    assert fast[1] == slow[1]
    assert (fast[0] and plain(fast[0])) == (slow[0] and plain(slow[0]))


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="$"), max_size=6)
NAMES = TEXTS.filter(str.isprintable)


@ANYTHING
@given(st.recursive(TEXTS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4)))
def test_texts_are_read_as_they_were_written(tree: object) -> None:
    root, remarks = parse_tree(yaml.safe_dump(tree, default_style='"'), {})
    assert remarks == []
    assert root is not None
    assert plain(root) == tree
