"""Answers of every kind, the hostile ones included."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from watcher.cloud import iam, wire
from watcher.cloud.auth.temporary import parse_temporary_key
from watcher.cloud.client import _AskedPage
from watcher.cloud.decode import parse_time
from watcher.cloud.exchange import Answer, Endpoint, Request
from watcher.core.errors import CloudEndpointError, CloudError, CloudMalformedError
from watcher.core.ports import InstancePage

SERVER: dict[str, Any] = {
    "id": "697612196993040384",
    "name": "office",
    "image_ref": {"id": "1", "image_type": "private", "spce_code": "x"},
    "server_id": "aps-1",
    "image_id": "img-1",
    "status": "BUILDING",
    "update_time": "2022-03-07T10:40:43.858Z",
    "something_new": {"b": [1, None], "a": "中"},
}
ABSENT = object()
READERS: list[Callable[[Answer], object]] = [
    lambda a: wire.parse_instance(a, asked="1"),
    lambda a: wire.parse_instance_page(a, offset=0, known={}),
    wire.parse_jobs,
    wire.parse_sub_jobs,
    lambda a: wire.parse_job(a, asked="1"),
    parse_temporary_key,
    iam.parse_token,
    iam.parse_only_project,
]


def answer(body: object, content_type: str = "application/json") -> Answer:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(200, CIMultiDict({"Content-Type": content_type, "X-Request-Id": "req-1"}), raw)


def server(**changes: object) -> dict[str, Any]:
    return {name: value for name, value in (SERVER | changes).items() if value is not ABSENT}


def show(body: object, asked: str = SERVER["id"]) -> Any:
    return wire.parse_instance(answer(body), asked=asked)


def read_page(page: Answer, offset: int = 0) -> InstancePage:
    return wire.parse_instance_page(page, offset=offset, known={})[0]


def test_an_image_server_is_read() -> None:
    instance = show(SERVER)
    assert instance.id == "697612196993040384"
    assert (instance.name, instance.status, instance.image_id) == ("office", "BUILDING", "img-1")
    assert instance.updated_at == "2022-03-07T10:40:43.858Z"
    assert instance.image_source == "private:1"
    assert json.loads(instance.record) == SERVER


def test_equal_records_are_equal_strings() -> None:
    shuffled = dict(reversed(SERVER.items()))
    assert show(shuffled).record == show(SERVER).record
    assert " " not in show(SERVER).record
    assert show(SERVER).record.isascii()
    assert json.loads(show(SERVER).record) == SERVER


@pytest.mark.parametrize("spelling", ["NULL", "null", None, "", ABSENT])
def test_five_spellings_of_not_set_are_one(spelling: object) -> None:
    assert show(server(status=spelling)).status == "NULL"


@pytest.mark.parametrize("word", ["BUILT", "HIBERNATING", "built", " BUILT ", "构建"])
def test_an_unknown_word_is_kept_as_it_came(word: str) -> None:
    assert show(server(status=word)).status == word


@pytest.mark.parametrize(
    ("changes", "field", "value"),
    [
        ({"id": 697612196993040384}, "id", "697612196993040384"),
        ({"name": None}, "name", ""),
        ({"name": 7}, "name", "7"),
        ({"name": "a\0b"}, "name", "ab"),
        ({"image_id": ABSENT}, "image_id", ""),
        ({"image_id": None}, "image_id", ""),
        ({"update_time": 1646649643}, "updated_at", "1646649643"),
        ({"image_ref": ABSENT}, "image_source", ""),
        ({"image_ref": None}, "image_source", ""),
        ({"image_ref": "img"}, "image_source", ""),
        ({"image_ref": []}, "image_source", ""),
        ({"image_ref": {}}, "image_source", ""),
        ({"image_ref": {"id": 5, "image_type": None}}, "image_source", ":5"),
    ],
)
def test_what_does_not_matter_is_taken_leniently(changes: dict[str, object], field: str, value: str) -> None:
    assert getattr(show(server(**changes)), field) == value


MALFORMED_ITEMS: list[object] = [
    server(id=ABSENT),
    server(id=""),
    server(id=None),
    server(id=True),
    server(id=6.97e17),
    server(id=["697612196993040384"]),
    server(id="x" * 1000),
    server(status=5),
    server(status=5.5),
    server(status=["BUILT"]),
    server(status={"value": "BUILT"}),
    server(status=True),
    server(status="X" * 1000),
    server(image_id={"id": "x"}),
    server(name=["x"]),
    server(name="\ud800"),
    server(description="\ud800"),
    "697612196993040384",
    None,
    [],
    7,
]


@pytest.mark.parametrize("item", MALFORMED_ITEMS)
def test_what_could_invent_a_change_is_refused(item: object) -> None:
    with pytest.raises(CloudMalformedError) as caught:
        show(item)
    assert caught.value.request_id == "req-1"
    assert str(caught.value).isprintable()


MALFORMED_BODIES: list[bytes] = [
    b"",
    b" ",
    b"null",
    b"<html><body>It works!</body></html>",
    json.dumps(SERVER).encode()[:-20],
    b'{"id": NaN, "count": NaN, "items": NaN}',
    b'{"id": Infinity, "items": Infinity}',
    b'{"id": ' + b"9" * 10_000 + b"}",
    b"[" * 200_000 + b"]" * 200_000,
    b'{"id":' * 100_000,
    b"\xff\xfe\x00",
    json.dumps(SERVER).encode() + b"{}",
    b"\xef\xbb\xbf" + json.dumps(SERVER).encode(),
    "中文".encode("gbk"),
]


@pytest.mark.parametrize("body", MALFORMED_BODIES, ids=range(len(MALFORMED_BODIES)))
def test_no_body_is_a_crash(body: bytes) -> None:
    for read in READERS:
        with pytest.raises(CloudMalformedError):
            read(answer(body))


@pytest.mark.parametrize("charset", ["klingon", "hex", "rot13", "idna", "", "utf-8\x00"])
def test_an_unknown_charset_is_malformed(charset: str) -> None:
    with pytest.raises(CloudMalformedError):
        wire.parse_instance(answer(SERVER, f"application/json; charset={charset}"), asked=SERVER["id"])


@pytest.mark.parametrize("charset", ["UTF-8", '"utf8"', "iso-8859-1", "US-ASCII", "utf-8; x=y"])
def test_a_known_charset_is_followed(charset: str) -> None:
    assert wire.parse_instance(answer(SERVER, f"application/json;charset={charset}"), asked=SERVER["id"]).id
    body = json.dumps({"id": "1", "name": "中"}, ensure_ascii=False).encode("gbk")
    assert wire.parse_instance(answer(body, "application/json; charset=GBK"), asked="1").name == "中"


def test_another_instance_than_asked_for_is_not_believed() -> None:
    with pytest.raises(CloudMalformedError, match="asked for 5, it is of 697612196993040384"):
        show(SERVER, asked="5")


def test_one_bad_item_spoils_no_page() -> None:
    items = [SERVER, *MALFORMED_ITEMS, server(id="2")]
    page = read_page(answer({"count": len(items), "items": items}))
    assert [instance.id for instance in page.items] == ["697612196993040384", "2"]
    assert len(page.malformed) == len(MALFORMED_ITEMS)
    assert page.count == len(items)
    for text in page.malformed:
        assert text.isprintable()
        assert len(text) < 400
    assert any(text.startswith("item 8 (id 697612196993040384): status") for text in page.malformed)


def test_a_number_beyond_all_numbers_spoils_no_page() -> None:
    page = read_page(answer(b'{"count":3,"items":[{"id":"1","size":1e999},{"id":"2"},{"id":"3","size":NaN}]}'))
    assert [instance.id for instance in page.items] == ["2"]
    assert page.malformed == (
        "item 0 (id 1): it holds what JSON text cannot",
        "item 2 (id 3): it holds what JSON text cannot",
    )


@pytest.mark.parametrize("count", [-1, None, ABSENT, "many", True, 1e9, 10**30, [], "9" * 5000])
def test_a_senseless_count_is_replaced_by_what_is_there(count: object) -> None:
    body = {"items": [SERVER, server(id="2")]} | ({} if count is ABSENT else {"count": count})
    assert read_page(answer(body), offset=100).count == 103


@pytest.mark.parametrize(
    ("body", "count"),
    [({"count": 0}, 0), ({"count": 0, "items": None}, 0), ({"count": "7", "items": []}, 7), ({"items": []}, 0)],
)
def test_an_empty_page(body: object, count: int) -> None:
    page = read_page(answer(body))
    assert (page.items, page.malformed, page.count) == ((), (), count)


@pytest.mark.parametrize(
    "body", [{}, {"count": 3}, {"items": {}}, {"count": 0, "items": ""}, {"items": None}, [], [SERVER], "x", 1]
)
def test_what_is_no_page_is_not_taken_for_an_empty_one(body: object) -> None:
    with pytest.raises(CloudMalformedError):
        read_page(answer(body))


def test_jobs_and_their_steps_are_read() -> None:
    step = {
        "id": 9,
        "job_id": "j",
        "job_type": "CREATE_SERVER_IMAGE",
        "status": "FAILED",
        "begin_time": "2026-01-01T00:00:00Z",
        "end_time": "",
        "job_resource_info": {"resource_id": "img", "resource_name": None},
        "job_execute_info": {"error_code": "WKS.0017", "error_message": "sysprep failed"},
    }
    job = {"id": "j", "job_type": "NEW_KIND", "status": "FAILED", "begin_time": None, "sub_jobs": [step, 5, {}]}
    read = wire.parse_job(answer(job), asked="j")
    assert (read.id, read.job_type, read.status, read.begin_at) == ("j", "NEW_KIND", "FAILED", None)
    (sub,) = read.sub_jobs
    assert (sub.id, sub.resource_id, sub.resource_name) == ("9", "img", "")
    assert (sub.error_code, sub.error_message) == ("WKS.0017", "sysprep failed")
    assert sub.begin_at == datetime(2026, 1, 1, tzinfo=UTC)
    assert sub.end_at is None
    assert wire.parse_sub_jobs(answer({"count": 2, "items": [step, "x"]})) == [sub]
    assert [j.id for j in wire.parse_jobs(answer({"count": 1, "items": [job, None]}))] == ["j"]
    with pytest.raises(CloudMalformedError):
        wire.parse_job(answer(job), asked="k")


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2022-03-07T10:40:49Z", datetime(2022, 3, 7, 10, 40, 49, tzinfo=UTC)),
        ("2022-03-07T10:40:49.Z", datetime(2022, 3, 7, 10, 40, 49, tzinfo=UTC)),
        ("2022-03-07T10:40:49.6Z", datetime(2022, 3, 7, 10, 40, 49, 600_000, tzinfo=UTC)),
        ("2022-03-07T10:40:49.61Z", datetime(2022, 3, 7, 10, 40, 49, 610_000, tzinfo=UTC)),
        ("2022-03-07T10:40:49.123456Z", datetime(2022, 3, 7, 10, 40, 49, 123_456, tzinfo=UTC)),
        ("2022-03-07T10:40:49.123456789Z", datetime(2022, 3, 7, 10, 40, 49, 123_456, tzinfo=UTC)),
        ("2022-03-07T10:40:49.5+08:00", datetime(2022, 3, 7, 2, 40, 49, 500_000, tzinfo=UTC)),
        ("2022-03-07t10:40:49z", datetime(2022, 3, 7, 10, 40, 49, tzinfo=UTC)),
        ("2022-03-07 10:40:49", datetime(2022, 3, 7, 10, 40, 49, tzinfo=UTC)),
        ("", None),
        ("NULL", None),
        ("1646649643", None),
        ("2022-03-07T10:40:61Z", None),
        ("0001-01-01T00:00:00+10:00", None),
    ],
)
def test_times(text: str, moment: datetime | None) -> None:
    assert parse_time(text) == moment


def test_a_token_is_read_with_its_life_and_project() -> None:
    body = {"token": {"expires_at": "2020-01-04T09:05:22.701000Z", "issued_at": None, "project": {"id": "p"}}}
    token = iam.parse_token(Answer(201, CIMultiDict({"X-Subject-Token": "T"}), json.dumps(body).encode()))
    assert (token.value, token.project_id, token.issued_at) == ("T", "p", None)
    assert token.expires_at == datetime(2020, 1, 4, 9, 5, 22, 701_000, tzinfo=UTC)
    assert "'T'" not in repr(token)
    with pytest.raises(CloudMalformedError, match="X-Subject-Token"):
        iam.parse_token(answer(body))


@pytest.mark.parametrize("ids", [[], ["a", "b"]])
def test_only_one_project_will_do(ids: list[str]) -> None:
    assert iam.parse_only_project(answer({"projects": [{"id": "a"}]})) == "a"
    with pytest.raises(CloudEndpointError, match="project_id"):
        iam.parse_only_project(answer({"projects": [{"id": item} for item in ids]}))


def test_a_temporary_key_is_read_in_both_spellings() -> None:
    ecs = {"credential": {"access": "A", "secret": "S", "securitytoken": "T", "expires_at": "2026-01-01T00:00:00Z"}}
    pod = {"credentials": {"access_key_id": "A", "secret_access_key": "S", "security_token": "T", "expiration": None}}
    assert parse_temporary_key(answer(ecs)).credential == parse_temporary_key(answer(pod)).credential
    assert parse_temporary_key(answer(ecs)).expires_at == datetime(2026, 1, 1, tzinfo=UTC)
    assert parse_temporary_key(answer(pod)).expires_at is None
    plain = parse_temporary_key(answer({"access": "A", "secret": "S"}))
    assert plain.credential.security_token == ""


NAMES = [*SERVER, "count", "items", "sub_jobs", "job_resource_info", "job_execute_info", "token", "credential"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda children: (
        st.lists(children, max_size=4) | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=4), children)
    ),
    max_leaves=25,
)


@given(document=JSON, as_item=st.booleans())
def test_any_json_is_read_or_malformed(document: object, as_item: bool) -> None:
    body = {"count": 1, "items": [document]} if as_item else document
    for read in READERS:
        _read_or_refuse(read, answer(body))


@given(body=st.binary(max_size=200), content_type=st.text(max_size=40))
def test_any_bytes_are_malformed(body: bytes, content_type: str) -> None:
    for read in READERS:
        _read_or_refuse(read, answer(body, content_type))


def _read_or_refuse(read: Callable[[Answer], object], given: Answer) -> None:
    refused: CloudError | None = None
    try:
        read(given)
    except CloudError as error:
        refused = error
    assert refused is None or str(refused).isprintable()


def test_an_item_that_is_the_same_is_not_read_again() -> None:
    items = [server(id=str(number)) for number in range(3)]
    page, marks = wire.parse_instance_page(answer({"count": 3, "items": items}), offset=0, known={})
    items[1]["status"] = "BUILT"
    known = dict(zip(marks, page.items, strict=True))
    again, _ = wire.parse_instance_page(answer({"count": 4, "items": [{}, *items]}), offset=0, known=known)
    assert [item.id for item in again.items] == ["0", "1", "2"]
    assert [one is other for one, other in zip(page.items, again.items, strict=True)] == [True, False, True]
    assert again.items[1].status == "BUILT"
    assert len(again.malformed) == 1


def test_half_of_a_surrogate_pair_is_malformed_and_a_whole_one_is_not() -> None:
    body = b'{"count":2,"items":[{"id":"1","name":"\\ud83d"},{"id":"2","name":"\\ud83d\\ude00"}]}'
    page = read_page(answer(body))
    assert [(item.id, item.name) for item in page.items] == [("2", "😀")]
    assert len(page.malformed) == 1
    with pytest.raises(CloudMalformedError):
        show(b'{"id":"1","name":"\\ud83d"}', asked="1")


def test_a_mark_belongs_to_its_item_also_beside_a_bad_one_which_counts() -> None:
    items = [server(id="1"), {}, server(id="2")]
    page, marks = wire.parse_instance_page(answer({"items": items}), offset=100, known={})
    assert page.count == 104
    assert len(marks) == len(page.items) == 2


def test_a_page_asked_for_again_and_again_is_always_what_it_says_now() -> None:
    asked = _AskedPage(0, Request(endpoint=Endpoint.parse("https://cloud.example"), path="/", query="", project_id="p"))

    def read(*statuses: str) -> InstancePage:
        items: list[Any] = [server(id=str(number), status=status) for number, status in enumerate(statuses)]
        return asked.read(answer({"count": 2, "items": items}))

    for statuses in (("AAA", "AAA"), ("AAA", "BBB"), ("BBB", "AAA"), ("AAA",), ("CCC", "AAA"), ("AAA", "AAA")):
        page = read(*statuses)
        assert tuple(item.status for item in page.items) == statuses
        assert read(*statuses) is page
        assert [item.id for item in page.items] == [str(number) for number in range(len(statuses))]
    assert read("AAA", "DDD").items[0] is read("AAA", "EEE").items[0]


def test_a_page_of_nothing_that_can_be_read_is_malformed_and_one_bad_item_alone_is_not() -> None:
    with pytest.raises(CloudMalformedError, match="none of its 2 items can be read, such as item 0"):
        read_page(answer({"count": 2, "items": [{"id": []}, {}]}))
    assert len(read_page(answer({"count": 1, "items": [{}]})).malformed) == 1
