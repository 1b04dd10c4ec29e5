"""Server-sent events out of bytes that come as they like."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watcher.cli.server_events import Message, StreamParser, StreamTooLargeError

EVENT = b'id: evt_1\ndata: {"a": 1}\n\n'


def parsed(*chunks: bytes, max_bytes: int = 1000) -> list[Message]:
    parser = StreamParser(max_bytes)
    return [message for chunk in chunks for message in parser.feed(chunk)]


def test_a_message() -> None:
    assert parsed(EVENT) == [Message(event="", data='{"a": 1}', id="evt_1")]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_lines_end_as_they_like(end: bytes) -> None:
    content = b": connected\nretry: 2000\n\n" + EVENT + b"event: reset\ndata: {}\n\n"
    wanted = [Message(event="", data='{"a": 1}', id="evt_1"), Message(event="reset", data="{}", id="evt_1")]
    assert parsed(content.replace(b"\n", end)) == wanted


def test_several_lines_of_data_are_one_text() -> None:
    assert parsed(b"data: a\ndata\ndata:b\ndata:  c\n\n") == [Message(event="", data="a\n\nb\n c", id="")]


def test_what_is_no_data_is_no_message() -> None:
    assert parsed(b"\n\n: comment\n\nid: 7\n\nevent: reset\n\nfrob: x\ndata_: x\n <html>\n\n") == []


def test_half_a_message_is_none() -> None:
    assert parsed(b"data: a\n") == []
    assert parsed(b"data: a") == []


def test_a_byte_order_mark_is_left_out_at_the_beginning_only() -> None:
    mark = b"\xef\xbb\xbf"
    assert parsed(mark[:1], mark[1:] + b"data: a\n\n") == [Message(event="", data="a", id="")]
    assert parsed(b"data: a\n\n" + mark + b"data: b\n\n") == [Message(event="", data="a", id="")]


def test_an_id_stays_until_there_is_another() -> None:
    ids = [message.id for message in parsed(b"id: 1\ndata: a\n\ndata: b\n\nid: x\0y\ndata: c\n\nid\ndata: d\n\n")]
    assert ids == ["1", "1", "1", ""]


def test_what_is_no_utf_8_is_read_as_far_as_it_can_be() -> None:
    assert parsed(b"data: a\xff\xc3\n\n") == [Message(event="", data="a\ufffd\ufffd", id="")]


@pytest.mark.parametrize(
    "chunks",
    [
        [b"data: " + b"x" * 1001],
        [b"x"] * 1001,
        [b": " + b"x" * 600, b"x" * 600],
        [b"data: " + b"x" * 400 + b"\n"] * 3,
        [b"data\n"] * 1001,
    ],
)
def test_what_has_no_end_is_not_kept(chunks: list[bytes]) -> None:
    with pytest.raises(StreamTooLargeError):
        parsed(*chunks)


def test_many_messages_are_not_one_large_one() -> None:
    assert len(parsed(*[b"data: " + b"x" * 500 + b"\n\n"] * 50)) == 50


_LINES = st.lists(
    st.sampled_from(["data: é", "data", "id: 1", "event: reset", ": c", "", "", "\ufeffdata: x", "retry: 1"])
)


@settings(deadline=None)
@given(
    lines=_LINES, ends=st.lists(st.sampled_from(["\n", "\r", "\r\n"]), min_size=1), cuts=st.lists(st.integers(0, 99))
)
def test_where_the_bytes_are_cut_does_not_matter(lines: list[str], ends: list[str], cuts: list[int]) -> None:
    content = "".join(line + ends[place % len(ends)] for place, line in enumerate(lines)).encode()
    places = [0, *sorted(cut for cut in cuts if cut < len(content)), len(content)]
    pieces = [content[begin:end] for begin, end in pairwise(places)]
    assert parsed(*pieces) == parsed(content)
    assert parsed(*(content[place : place + 1] for place in range(len(content)))) == parsed(content)
