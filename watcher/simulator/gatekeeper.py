"""Who may come in: tokens and signatures, checked as the gateway checks them. Runs on *real* time."""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from watcher.simulator import signature as signing
from watcher.simulator.access import AccessKey, Keyring, Lockout, Now, Tokens
from watcher.simulator.errors import ApiError, unauthenticated

MAX_SKEW = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Attempt:
    """What of a request decides whether it may come in; `target` is raw, `headers` has lower-case names."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


class Gatekeeper:
    """Verifies each request and counts failures by access key."""

    def __init__(self, *, now: Now, keys: Keyring, tokens: Tokens) -> None:
        self._now = now
        self._keys = keys
        self._tokens = tokens
        self._lockout = Lockout(now=now)

    def admit(self, attempt: Attempt, *, project_id: str | None = None) -> None:
        """Raises ApiError unless the request carries a valid token or signature.

        `project_id` is the one in the path, if there is one: an X-Project-Id that says otherwise is refused.
        """
        token = attempt.headers.get("x-auth-token")
        if token is not None:
            if not self._tokens.valid(token):
                raise unauthenticated("decrypt token fail")
        elif "authorization" in attempt.headers:
            self._check_signature(attempt)
        else:
            raise unauthenticated("auth token is empty")
        named = attempt.headers.get("x-project-id")
        if project_id is not None and named is not None and named != project_id:
            raise ApiError(403, "APIGW.0302", "The IAM user is not allowed to access the project of the path")

    def _check_signature(self, attempt: Attempt) -> None:
        try:
            authorization = signing.parse(attempt.headers["authorization"])
        except signing.MalformedError as malformed:
            raise unauthenticated(f"verify aksk signature fail, {malformed}") from None
        if self._lockout.locked(authorization.access):
            raise unauthenticated("AK access failed to reach the limit,forbidden")
        problem = self._problem(attempt, authorization)
        if problem is not None:
            self._lockout.failed(authorization.access)
            raise unauthenticated(problem)
        self._lockout.succeeded(authorization.access)

    def _problem(self, attempt: Attempt, authorization: signing.Authorization) -> str | None:
        key = self._keys.find(authorization.access)
        date = attempt.headers.get("x-sdk-date", "")
        if key is None or not _covers(authorization, attempt.headers) or not _signed_by(key, attempt, authorization):
            return "verify aksk signature fail"
        try:
            signed_at = datetime.strptime(date, signing.DATE_FORMAT).replace(tzinfo=UTC)
        except ValueError:
            return "verify aksk signature fail, X-Sdk-Date is malformed"
        if abs(self._now() - signed_at) > MAX_SKEW:
            return "verify aksk signature fail, signature expired"
        if attempt.headers.get("x-security-token", "") != key.security_token:
            return "decrypt token fail"
        if key.expires_at is not None and self._now() >= key.expires_at:
            return "decrypt token fail"
        return None


def _covers(authorization: signing.Authorization, headers: Mapping[str, str]) -> bool:
    """Whether the signature covers what must not be changed on the way."""
    required = {"host", "x-sdk-date"} | ({"x-project-id", "x-security-token"} & headers.keys())
    return required <= set(authorization.signed_headers)


def _signed_by(key: AccessKey, attempt: Attempt, authorization: signing.Authorization) -> bool:
    try:
        canonical = signing.canonical_request(
            method=attempt.method,
            target=attempt.target,
            headers=attempt.headers,
            signed_headers=authorization.signed_headers,
            body=attempt.body,
        )
    except signing.MalformedError:
        return False
    expected = signing.signature(secret=key.secret, canonical=canonical, date=attempt.headers.get("x-sdk-date", ""))
    return hmac.compare_digest(expected, authorization.signature)
