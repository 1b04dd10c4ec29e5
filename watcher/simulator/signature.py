"""SDK-HMAC-SHA256 as the gateway verifies it, written apart from the client's signer so that each checks the other."""

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, unquote

ALGORITHM = "SDK-HMAC-SHA256"
DATE_FORMAT = "%Y%m%dT%H%M%SZ"


class MalformedError(ValueError):
    """The Authorization header, or what it refers to, cannot be read."""


@dataclass(frozen=True, slots=True)
class Authorization:
    """A parsed Authorization header: access key, signed header names in lower case, hexadecimal signature."""

    access: str
    signed_headers: tuple[str, ...]
    signature: str


def parse(header: str) -> Authorization:
    """Reads `SDK-HMAC-SHA256 Access=…, SignedHeaders=a;b, Signature=…`. Raises MalformedError."""
    match = re.fullmatch(
        rf"{ALGORITHM} Access=([^,\s]+), ?SignedHeaders=([^,\s]+), ?Signature=([0-9a-f]{{64}})", header.strip()
    )
    if match is None:
        raise MalformedError("unreadable Authorization header")
    return Authorization(match[1], tuple(match[2].split(";")), match[3])


def canonical_request(
    *, method: str, target: str, headers: Mapping[str, str], signed_headers: tuple[str, ...], body: bytes
) -> str:
    """The text that is signed. `target` is the raw request target, path and query; `headers` has lower-case names.

    Raises MalformedError when a signed header is missing.
    """
    path, _, query = target.partition("?")
    segments = [quote(segment, safe="~") for segment in unquote(path).split("/")]
    uri = "/".join(segments)
    try:
        lines = "".join(f"{name}:{headers[name].strip()}\n" for name in signed_headers)
    except KeyError as missing:
        raise MalformedError(f"signed header {missing} is missing") from None
    return "\n".join(
        (
            method.upper(),
            uri if uri.endswith("/") else uri + "/",
            _canonical_query(query),
            lines,
            ";".join(signed_headers),
            hashlib.sha256(body).hexdigest(),
        )
    )


def signature(*, secret: str, canonical: str, date: str) -> str:
    """The hexadecimal signature of a canonical request; `date` is the X-Sdk-Date as sent."""
    to_sign = f"{ALGORITHM}\n{date}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    return hmac.new(secret.encode(), to_sign.encode(), hashlib.sha256).hexdigest()


def _canonical_query(query: str) -> str:
    # Not parse_qsl: to it "+" is a space, and a client that sends "+" for a space must fail here as it does there.
    pairs = [part.partition("=") for part in query.split("&") if part]
    decoded = sorted((unquote(key), unquote(value)) for key, _, value in pairs)
    return "&".join(f"{quote(key, safe='~')}={quote(value, safe='~')}" for key, value in decoded)
