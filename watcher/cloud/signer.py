"""SDK-HMAC-SHA256, the cloud's way to sign a request with an access key. Pure: the date is an argument.

Source: the vendor's "AK/SK Signing and Authentication Guide" and, where it is silent, huaweicloudsdkcore 3.1.219.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from datetime import datetime
from urllib.parse import quote, unquote

ALGORITHM = "SDK-HMAC-SHA256"
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


class Signer:
    """Signs with one access key.

    The key is hashed in beforehand and the hash objects are copied: OpenSSL's setting up of a new one costs several
    times what the hashing does. Which headers are signed, and in which order, is worked out once for each set of names.
    """

    __slots__ = ("_access_key", "_layouts", "_mac", "_sha256")

    def __init__(self, access_key: str, secret_key: str) -> None:
        self._access_key = access_key
        self._mac = hmac.new(secret_key.encode(), digestmod="sha256")
        self._sha256 = hashlib.sha256()
        self._layouts: dict[tuple[str, ...], tuple[list[tuple[str, str]], str]] = {}

    def authorization(self, *, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes) -> str:
        """The value of `Authorization`. Every header given is signed: `X-Sdk-Date` and `Host` must be among them.

        `path` and `query` are what `encode_path` and `encode_query` made. Headers with an underscore in their name are
        not signed, as in the SDK: gateways drop them. The content type must be JSON or absent: for others the SDK
        leaves the body unsigned, which we have no use for.
        """
        signed, signed_names = self._layout(tuple(headers))
        canonical_path = encode_path(path) if "%" in path else path
        if not canonical_path.endswith("/"):
            canonical_path += "/"  # in the canonical form only, never on the wire
        header_lines = "".join([f"{lower}:{headers[name].strip()}\n" for lower, name in signed])
        body_sha256 = hashlib.sha256(body).hexdigest() if body else _EMPTY_BODY_SHA256
        canonical = self._sha256.copy()
        canonical.update(f"{method}\n{canonical_path}\n{query}\n{header_lines}\n{signed_names}\n{body_sha256}".encode())
        mac = self._mac.copy()
        mac.update(f"{ALGORITHM}\n{headers['X-Sdk-Date']}\n{canonical.hexdigest()}".encode())
        return f"{ALGORITHM} Access={self._access_key}, SignedHeaders={signed_names}, Signature={mac.hexdigest()}"

    def _layout(self, names: tuple[str, ...]) -> tuple[list[tuple[str, str]], str]:
        """The headers to sign as (lower-case, as given), in order, and the value of `SignedHeaders`."""
        layout = self._layouts.get(names)
        if layout is None:
            signed = sorted((name.lower(), name) for name in names if "_" not in name)
            layout = self._layouts[names] = signed, ";".join(lower for lower, _ in signed)
        return layout
