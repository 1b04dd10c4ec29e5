"""SDK-HMAC-SHA256, the cloud's way to sign a request with an access key. Pure: the date is an argument.

Source: the vendor's "AK/SK Signing and Authentication Guide" and, where it is silent, huaweicloudsdkcore 3.1.219.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from urllib.parse import quote, unquote

ALGORITHM = "SDK-HMAC-SHA256"
_DATE = "x-sdk-date"
_SECOND = timedelta(seconds=1)
_EMPTY_BODY_SHA256 = hashlib.sha256(b"").hexdigest()


def encode_path(path: str) -> str:
    """The path as it is to be sent: each segment quoted once, whether or not it came quoted."""
    return quote(unquote(path), safe="/~")


def encode_segment(segment: str) -> str:
    """One raw value as a path segment; a slash in it does not end the segment."""
    return quote(segment, safe="~")


def encode_query(pairs: Iterable[tuple[str, str]]) -> str:
    """The query as it is to be sent and signed: sorted by raw name, then raw value; no leading `?`."""
    return "&".join(f"{quote(name, safe='~')}={quote(value, safe='~')}" for name, value in sorted(pairs))


def format_date(at: datetime) -> str:
    """`X-Sdk-Date` for an aware UTC time, such as `20260101T000000Z`."""
    return at.isoformat()[:19].replace("-", "").replace(":", "") + "Z"


def canonical_request(method: str, path: str, query: str) -> str:
    """The beginning of what is signed: all that stays the same, whenever and with whatever headers it is sent.

    `path` and `query` are what `encode_path` and `encode_query` made.
    """
    canonical_path = encode_path(path) if "%" in path else path
    slash = "" if canonical_path.endswith("/") else "/"  # in the canonical form only, never on the wire
    return f"{method}\n{canonical_path}{slash}\n{query}\n"


class SignedHeaders(NamedTuple):
    """Headers as they are signed, with a gap for the date; `authorization` is its value up to the signature."""

    before_date: str
    after_date: str
    authorization: str


class Signer:
    """Signs with one access key.

    The key is hashed in beforehand and the hash objects are copied: OpenSSL's setting up of a new one costs several
    times what the hashing does. What is the same for many requests is made once, by `canonical_request` and
    `signed_headers`.
    """

    __slots__ = ("_access_key", "_date", "_mac", "_second", "_sha256")

    def __init__(self, access_key: str, secret_key: str) -> None:
        self._access_key = access_key
        self._mac = hmac.new(secret_key.encode(), digestmod="sha256")
        self._sha256 = hashlib.sha256()
        self._second = datetime.min.replace(tzinfo=UTC)
        self._date = ""

    def date(self, at: datetime) -> str:
        """As `format_date`, which is spared for further requests within the same second."""
        if not self._second <= at < self._second + _SECOND:
            self._second = at.replace(microsecond=0)
            self._date = format_date(at)
        return self._date

    def signed_headers(self, headers: Mapping[str, str]) -> SignedHeaders:
        """Prepare to sign all these headers and `X-Sdk-Date`, which is not among them; `Host` must be.

        Headers with an underscore in their name are not signed, as in the SDK: gateways drop them. The content type
        must be JSON or absent: for others the SDK leaves the body unsigned, which we have no use for.
        """
        lines = {name.lower(): value.strip() for name, value in headers.items() if "_" not in name}
        names = sorted([*lines, _DATE])
        before = "".join(f"{name}:{lines[name]}\n" for name in names if name < _DATE)
        after = "".join(f"{name}:{lines[name]}\n" for name in names if name > _DATE)
        signed = ";".join(names)
        return SignedHeaders(
            before_date=f"{before}{_DATE}:",
            after_date=f"\n{after}\n{signed}\n",
            authorization=f"{ALGORITHM} Access={self._access_key}, SignedHeaders={signed}, Signature=",
        )

    def authorization(self, request: str, headers: SignedHeaders, date: str, body: bytes) -> str:
        """The value of `Authorization`; `request` is a `canonical_request`, `date` the value of `X-Sdk-Date`."""
        body_sha256 = hashlib.sha256(body).hexdigest() if body else _EMPTY_BODY_SHA256
        canonical = self._sha256.copy()
        canonical.update(f"{request}{headers.before_date}{date}{headers.after_date}{body_sha256}".encode())
        mac = self._mac.copy()
        mac.update(f"{ALGORITHM}\n{date}\n{canonical.hexdigest()}".encode())
        return headers.authorization + mac.hexdigest()
