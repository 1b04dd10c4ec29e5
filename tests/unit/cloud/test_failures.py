"""Every row of the error table, in every shape it was seen in."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from watcher.cloud.exchange import Answer
from watcher.cloud.failures import failure
from watcher.core.errors import (
    CloudAuthError,
    CloudEndpointError,
    CloudError,
    CloudNotFoundError,
    CloudPermissionError,
    CloudThrottledError,
    CloudUnavailableError,
)
from watcher.core.http_headers import RETRY_AFTER_MAX_S, retry_after_s

HTML = b"<html><body><h1>404 Not Found</h1></body></html>"


def answer(status: int, body: object = b"", **headers: str) -> Answer:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(status, CIMultiDict({name.replace("_", "-"): value for name, value in headers.items()}), raw)


def service(code: str, text: str = "said") -> dict[str, str]:
    return {"error_code": code, "error_msg": text}


@pytest.mark.parametrize(
    ("status", "body", "kind", "code"),
    [
        (400, service("WKS.00211102"), CloudEndpointError, "WKS.00211102"),
        (401, service("WKS.00211302"), CloudAuthError, "WKS.00211302"),
        (401, service("APIGW.0301"), CloudAuthError, "APIGW.0301"),
        (401, HTML, CloudAuthError, ""),
        (403, service("WKS.00081102"), CloudPermissionError, "WKS.00081102"),
        (404, service("WKS.00211902"), CloudNotFoundError, "WKS.00211902"),
        (404, service("APIGW.0101"), CloudEndpointError, "APIGW.0101"),
        (404, service("APIG.0101"), CloudEndpointError, "APIG.0101"),
        (404, {"errorCode": "WKS.00211902", "errorMsg": "gone"}, CloudNotFoundError, "WKS.00211902"),
        (404, {"code": "WKS.00211902", "message": "gone"}, CloudNotFoundError, "WKS.00211902"),
        (404, {"error": {"code": "WKS.00211902", "message": "gone"}}, CloudNotFoundError, "WKS.00211902"),
        (404, {"errors": [{"error_code": "WKS.00211902"}]}, CloudNotFoundError, "WKS.00211902"),
        (404, {"error": {"code": 404, "message": "no route"}}, CloudEndpointError, ""),
        (404, HTML, CloudEndpointError, ""),
        (404, b"", CloudEndpointError, ""),
        (404, b"\xff\xfe", CloudEndpointError, ""),
        (404, [], CloudEndpointError, ""),
        (404, "WKS.00211902", CloudEndpointError, ""),
        (404, service("XWKS.1"), CloudEndpointError, "XWKS.1"),
        (405, service("WKS.00000405"), CloudEndpointError, "WKS.00000405"),
        (408, b"", CloudUnavailableError, ""),
        (409, service("WKS.1"), CloudEndpointError, "WKS.1"),
        (429, service("APIGW.0308"), CloudThrottledError, "APIGW.0308"),
        (429, b"", CloudThrottledError, ""),
        (500, service("WKS.00211401"), CloudUnavailableError, "WKS.00211401"),
        (502, HTML, CloudUnavailableError, ""),
        (503, service("WKS.00050902"), CloudUnavailableError, "WKS.00050902"),
        (504, b"", CloudUnavailableError, ""),
        (599, b"", CloudUnavailableError, ""),
        (301, HTML, CloudEndpointError, ""),
        (302, b"", CloudEndpointError, ""),
        (304, b"", CloudEndpointError, ""),
        (401, {"error": {"code": 401, "message": "bad password", "title": "Unauthorized"}}, CloudAuthError, ""),
    ],
)
def test_the_status_and_the_codes_prefix_decide(
    status: int, body: object, kind: type[CloudError], code: str, at: datetime
) -> None:
    error = failure(answer(status, body), now=at, names_one=True)
    assert type(error) is kind
    assert error.code == code
    assert error.http_status == status
    assert str(error)


def test_a_404_of_a_list_is_nobodys_deletion(at: datetime) -> None:
    assert type(failure(answer(404, service("WKS.00211902")), now=at)) is CloudEndpointError


@pytest.mark.parametrize(
    "body",
    [
        {"error_code": "A", "error_msg": "the reason"},
        {"errorCode": "A", "errorMsg": "the reason"},
        {"code": "A", "message": "the reason"},
        {"error": {"code": "A", "message": "the reason"}},
        {"error": {"message": {"x": 1}, "title": "the reason"}},
        {"result": {"fault": {"error_msg": "the reason"}}},
        {"error_msg": "the\r\n\x1b[31m\u202ereason\x00"},
    ],
)
def test_the_reason_is_found_and_is_one_plain_line(body: dict[str, Any], at: datetime) -> None:
    message = str(failure(answer(500, body), now=at))
    assert message.startswith("the ")
    assert "reason" in message
    assert message.isprintable()


def test_a_long_reason_is_cut_and_secrets_are_blotted_out(at: datetime) -> None:
    error = failure(answer(403, service("WKS.1", "hunter2 " * 100_000)), now=at, secrets=("hunter2", "abc"))
    assert "hunter2" not in str(error)
    assert len(error.args[0]) == 200


@pytest.mark.parametrize(
    ("headers", "body", "request_id"),
    [
        ({"X_Request_Id": "abc"}, service("A"), "abc"),
        ({}, {"error_code": "A", "request_id": "def"}, "def"),
        ({"X_Request_Id": "abc"}, {"error_code": "A", "request_id": "def"}, "abc"),
        ({"X_Request_Id": "a\tb" + "c" * 500}, b"", "a b" + "c" * 76 + "…"),
    ],
)
def test_the_request_id_is_kept(headers: dict[str, str], body: object, request_id: str, at: datetime) -> None:
    error = failure(answer(500, body, **headers), now=at)
    assert error.request_id == request_id
    assert request_id in str(error)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("5", 5.0),
        (" 2.5 ", 2.5),
        ("0", 0.0),
        ("-3", 0.0),
        ("999999999", RETRY_AFTER_MAX_S),
        ("Thu, 01 Jan 2026 00:00:30 GMT", 30.0),
        ("Thu, 01 Jan 2026 00:00:30 -0000", 30.0),
        ("Thu, 01 Jan 2020 00:00:30 GMT", 0.0),
        ("Thu, 01 Jan 2099 00:00:30 GMT", RETRY_AFTER_MAX_S),
        ("", None),
        ("soon", None),
        ("nan", None),
        ("inf", None),
        ("Thu, 99 Jan 2026 00:00:30 GMT", None),
    ],
)
def test_retry_after(text: str, seconds: float | None, at: datetime) -> None:
    assert retry_after_s(answer(429, Retry_After=text).headers, now=at) == seconds
    assert failure(answer(503, Retry_After=text), now=at).retry_after_s == seconds


def test_retry_after_as_a_date_is_counted_on_the_clouds_clock(at: datetime) -> None:
    throttled = answer(429, Retry_After="Thu, 01 Jan 2026 08:00:30 GMT", Date="Thu, 01 Jan 2026 08:00:00 GMT")
    assert retry_after_s(throttled.headers, now=at) == 30.0


@pytest.mark.parametrize(
    ("off", "told"),
    [
        (timedelta(minutes=16, seconds=40), "0:16:40 (h:mm:ss) ahead of the cloud's"),
        (timedelta(hours=-25), "1 day, 1:00:00 (h:mm:ss) behind the cloud's"),
        (timedelta(minutes=4), None),
    ],
)
def test_a_wrong_clock_is_told_with_a_401(off: timedelta, told: str | None, at: datetime) -> None:
    date = format_datetime(at, usegmt=True)
    message = str(failure(answer(401, service("APIGW.0301"), Date=date), now=at + off))
    assert (told in message) if told else ("clock" not in message)
    assert "clock" not in str(failure(answer(403, b"", Date=date), now=at + off))
    assert "clock" not in str(failure(answer(401, b"", Date="yesterday"), now=at + off))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda children: (
        st.lists(children, max_size=3)
        | st.dictionaries(
            st.sampled_from(["error", "error_code", "error_msg", "code", "message", "request_id", "x"]),
            children,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(
    status=st.integers(300, 599),
    body=st.binary(max_size=60) | JSON,
    date=st.text(max_size=30),
    retry_after=st.text(max_size=30),
    names_one=st.booleans(),
)
def test_any_answer_becomes_an_error_of_one_line(
    status: int, body: object, date: str, retry_after: str, names_one: bool
) -> None:
    now = datetime.fromisoformat("2026-01-01T00:00:00Z")
    error = failure(answer(status, body, Date=date, Retry_After=retry_after), now=now, names_one=names_one)
    assert str(error).isprintable()
    assert error.retry_after_s is None or 0 <= error.retry_after_s <= RETRY_AFTER_MAX_S
