import pytest

from watcher.simulator import signature as signing

PROJECT = "0123456789abcdef0123456789abcdef"
HEADERS = {
    "content-type": "application/json",
    "host": "appstream.cn-north-4.myhuaweicloud.com",
    "x-project-id": PROJECT,
    "x-sdk-date": "20260101T000000Z",
}
SHOW = f"/v1/{PROJECT}/image-servers/697612196993040384"


def signed(target: str, headers: dict[str, str], *, method: str = "GET", body: bytes = b"") -> str:
    canonical = signing.canonical_request(
        method=method, target=target, headers=headers, signed_headers=tuple(sorted(headers)), body=body
    )
    return signing.signature(secret="SKEXAMPLE", canonical=canonical, date=headers["x-sdk-date"])


def test_vector_show() -> None:
    assert signed(SHOW, HEADERS) == "5326cc25c67c1e8a68584274153a311c95cd3a6a3dfd9ef9f00062dd137af07b"


def test_vector_with_security_token() -> None:
    headers = {**HEADERS, "x-security-token": "STOKEN"}
    assert signed(SHOW, headers) == "e8f2615fa91505d85bb8b450d3a13857bad7ac6862b448030fa8d88f7239cf55"


@pytest.mark.parametrize(
    "query",
    ["limit=100&offset=0&server_name=a%20b%2F%E4%B8%AD~", "server_name=a%20b%2f%E4%B8%AD%7E&offset=0&limit=100"],
)
def test_vector_with_query_in_any_order_and_spelling(query: str) -> None:
    target = f"/v1/{PROJECT}/image-servers?{query}"
    assert signed(target, HEADERS) == "6a58c98807a4e2e0c390e9cf2e81cd0eee6fc814d73ca6d6c3dc6b36bef18c61"


def test_a_plus_is_not_a_space() -> None:
    target = f"/v1/{PROJECT}/image-servers?limit=100&offset=0&server_name=a+b%2F%E4%B8%AD~"
    assert signed(target, HEADERS) != "6a58c98807a4e2e0c390e9cf2e81cd0eee6fc814d73ca6d6c3dc6b36bef18c61"


@pytest.mark.parametrize("change", [{"method": "POST"}, {"body": b"{}"}])
def test_method_and_body_are_signed(change: dict[str, str]) -> None:
    assert signed(SHOW, HEADERS, **change) != signed(SHOW, HEADERS)  # type: ignore[arg-type]


def test_a_missing_signed_header_is_malformed() -> None:
    with pytest.raises(signing.MalformedError, match="x-sdk-date"):
        signing.canonical_request(method="GET", target="/", headers={}, signed_headers=("x-sdk-date",), body=b"")


def test_parse() -> None:
    header = f"SDK-HMAC-SHA256 Access=AK, SignedHeaders=host;x-sdk-date, Signature={'0a' * 32}"
    assert signing.parse(header) == signing.Authorization("AK", ("host", "x-sdk-date"), "0a" * 32)


@pytest.mark.parametrize(
    "header", ["", "Bearer x", "SDK-HMAC-SHA256 Access=AK", "SDK-HMAC-SHA256 Access=AK, Signature=00"]
)
def test_parse_refuses_anything_else(header: str) -> None:
    with pytest.raises(signing.MalformedError):
        signing.parse(header)
