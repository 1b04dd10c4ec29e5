"""Signatures: the reference's vectors, and whatever the vendor's SDK says."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import unquote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from yarl import URL

from tests.unit.cloud.conftest import SdkSign
from watcher.cloud.auth.base import KeyCredential
from watcher.cloud.exchange import Endpoint, Request
from watcher.cloud.signer import Signer, canonical_request, encode_path, encode_query, encode_segment, format_date

PROJECT = "0123456789abcdef0123456789abcdef"
ENDPOINT = Endpoint.parse("https://appstream.cn-north-4.myhuaweicloud.com")
SERVERS = f"/v1/{PROJECT}/image-servers"


@pytest.mark.parametrize(
    ("path", "query", "security_token", "signature"),
    [
        (
            f"{SERVERS}/697612196993040384",
            [],
            "",
            "5326cc25c67c1e8a68584274153a311c95cd3a6a3dfd9ef9f00062dd137af07b",
        ),
        (
            f"{SERVERS}/697612196993040384",
            [],
            "STOKEN",
            "e8f2615fa91505d85bb8b450d3a13857bad7ac6862b448030fa8d88f7239cf55",
        ),
        (
            SERVERS,
            [("server_name", "a b/中~"), ("limit", "100"), ("offset", "0")],
            "",
            "6a58c98807a4e2e0c390e9cf2e81cd0eee6fc814d73ca6d6c3dc6b36bef18c61",
        ),
    ],
    ids=["show", "temporary key", "list with a name"],
)
def test_signs_as_the_reference_says(
    path: str, query: list[tuple[str, str]], security_token: str, signature: str, at: datetime
) -> None:
    credential = KeyCredential("AKEXAMPLE", "SKEXAMPLE", security_token)
    request = Request(endpoint=ENDPOINT, path=path, query=encode_query(query), project_id=PROJECT)

    headers = credential.headers(request, at)

    assert headers["Authorization"].endswith(f"Signature={signature}")
    assert headers["X-Sdk-Date"] == "20260101T000000Z"
    assert headers["X-Project-Id"] == PROJECT
    assert headers.get("X-Security-Token", "") == security_token


TEXT = st.text(max_size=12)
PATHS = st.lists(st.text("abc019-._~ %/中é+&=?#'\"", max_size=8), max_size=5).map(lambda parts: "/" + "/".join(parts))
QUERIES = st.lists(st.tuples(st.sampled_from(["a", "b", "a b", "中", "~", "limit"]) | TEXT, TEXT), max_size=6)
HEADERS = st.dictionaries(
    st.from_regex(r"\A[Xx]-[A-Za-z0-9_-]{1,8}\Z").filter(
        lambda name: name.lower() not in ("x-sdk-date", "x-sdk-content-sha256")
    ),
    st.text(st.characters(min_codepoint=32, max_codepoint=0x2FFF, exclude_categories=["Cs", "Cc"]), max_size=12),
    max_size=4,
).filter(lambda headers: len({name.lower() for name in headers}) == len(headers))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300, deadline=None)
@given(
    method=st.sampled_from(["GET", "POST", "PATCH"]),
    path=PATHS,
    query=QUERIES,
    extra=HEADERS,
    body=st.binary(max_size=40),
)
def test_signs_as_the_vendors_sdk_does(
    sdk_sign: SdkSign,
    method: str,
    path: str,
    query: list[tuple[str, str]],
    extra: dict[str, str],
    body: bytes,
) -> None:
    headers = {
        "Content-Type": "application/json",
        "Host": "example.com:8443",
        "X-Sdk-Date": "20260101T000000Z",
        **extra,
    }
    expected, uri = sdk_sign(method, path, query, headers, body)

    sent_path, sent_query = encode_path(path), encode_query(query)
    date = headers.pop("X-Sdk-Date")
    signer = Signer("AKEXAMPLE", "SKEXAMPLE")
    ours = signer.authorization(
        canonical_request(method, sent_path, sent_query), signer.signed_headers(headers), date, body
    )

    assert ours == expected
    assert uri == path + (f"?{sent_query}" if query else "")


@given(path=PATHS, query=QUERIES)
def test_what_is_signed_is_what_is_sent(path: str, query: list[tuple[str, str]]) -> None:
    request = Request(endpoint=ENDPOINT, path=encode_path(path), query=encode_query(query))

    assert request.url.raw_query_string == request.query
    assert request.url.raw_path == request.path
    sent = sorted((name, value) for name, value in URL(str(request.url)).query.items())
    assert sent == sorted(query)


def test_a_slash_in_an_id_stays_within_its_segment() -> None:
    assert encode_segment("a/b 中~") == "a%2Fb%20%E4%B8%AD~"


def test_an_endpoints_own_path_is_signed_and_sent(at: datetime) -> None:
    plain = Request(endpoint=ENDPOINT, path="/v1/x")
    behind = Request(endpoint=Endpoint.parse("https://appstream.cn-north-4.myhuaweicloud.com/a%20b/"), path="/v1/x")
    credential = KeyCredential("AKEXAMPLE", "SKEXAMPLE")

    assert str(behind.url) == "https://appstream.cn-north-4.myhuaweicloud.com/a%20b/v1/x"
    assert credential.headers(behind, at) != credential.headers(plain, at)


def test_dates_are_written_as_the_gateway_wants_them() -> None:
    assert format_date(datetime.fromisoformat("2026-11-09T08:07:06.123456Z")) == "20261109T080706Z"


MOMENTS = st.datetimes(datetime(2026, 1, 1), datetime(2026, 1, 1, 0, 0, 3), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis adds the zone


@given(moments=st.lists(MOMENTS, min_size=2, max_size=8))
def test_a_date_is_that_of_its_own_second_in_whatever_order_they_come(moments: list[datetime]) -> None:
    signer = Signer("AKEXAMPLE", "SKEXAMPLE")
    assert [signer.date(at) for at in moments] == [format_date(at) for at in moments]


REQUESTS = st.builds(
    Request,
    endpoint=st.sampled_from([ENDPOINT, Endpoint.parse("https://iam.example.com:8443/prefix")]),
    path=st.sampled_from([SERVERS, f"{SERVERS}/a%2Fb", "/"]),
    method=st.sampled_from(["GET", "POST"]),
    query=st.sampled_from(["", "limit=100&offset=0"]),
    body=st.sampled_from([b"", b"{}"]),
    project_id=st.sampled_from(["", PROJECT]),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(asked=st.lists(st.tuples(REQUESTS, MOMENTS), max_size=8), security_token=st.sampled_from(["", "STOKEN"]))
def test_one_credential_signs_each_of_its_requests_as_the_vendors_sdk_does(
    sdk_sign: SdkSign, asked: list[tuple[Request, datetime]], security_token: str
) -> None:
    credential = KeyCredential("AKEXAMPLE", "SKEXAMPLE", security_token)
    for request, at in asked:
        headers = credential.headers(request, at)
        authorization = headers.pop("Authorization")
        assert headers.get("X-Project-Id", "") == request.project_id
        assert headers.get("X-Security-Token", "") == security_token
        path, query = unquote(request.url.raw_path), list(request.url.query.items())
        assert authorization == sdk_sign(request.method, path, query, headers, request.body)[0]


def test_a_credential_shows_no_secret() -> None:
    credential = KeyCredential("AKEXAMPLE", "SKEXAMPLE", "STOKEN")
    assert "SKEXAMPLE" not in repr(credential)
    assert "STOKEN" not in repr(credential)
