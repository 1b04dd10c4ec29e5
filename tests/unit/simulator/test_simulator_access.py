from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest

from watcher.simulator import signature as signing
from watcher.simulator.access import AccessKey, Keyring, Lockout, Throttle, Tokens
from watcher.simulator.errors import ApiError
from watcher.simulator.gatekeeper import Attempt, Gatekeeper

KEY = AccessKey("AK", "SK")


class HandClock:
    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **by: float) -> None:
        self.now += timedelta(**by)


class Gate:
    """A gatekeeper and what knocks at it."""

    def __init__(self) -> None:
        self.clock = HandClock()
        self.keys = Keyring(now=self.clock, permanent=KEY)
        self.tokens = Tokens(now=self.clock)
        self.keeper = Gatekeeper(now=self.clock, keys=self.keys, tokens=self.tokens)

    def knock(
        self,
        key: AccessKey = KEY,
        *,
        skew: timedelta = timedelta(),
        unsigned: tuple[str, ...] = (),
        extra: Mapping[str, str] | None = None,
        project_id: str = "p",
    ) -> str:
        """Sends one signed request; "" or what the refusal says."""
        date = (self.clock() + skew).strftime(signing.DATE_FORMAT)
        headers = {"host": "h", "x-sdk-date": date, "x-project-id": "p", **(extra or {})}
        if key.security_token:
            headers.setdefault("x-security-token", key.security_token)
        names = tuple(sorted(set(headers) - set(unsigned)))
        date = headers["x-sdk-date"]
        canonical = signing.canonical_request(
            method="GET", target="/v1/p/x?a=1", headers=headers, signed_headers=names, body=b""
        )
        signature = signing.signature(secret=key.secret, canonical=canonical, date=date)
        headers["authorization"] = (
            f"{signing.ALGORITHM} Access={key.access}, SignedHeaders={';'.join(names)}, Signature={signature}"
        )
        return self.send(headers, project_id=project_id)

    def send(self, headers: Mapping[str, str], *, project_id: str = "p") -> str:
        try:
            self.keeper.admit(Attempt("GET", "/v1/p/x?a=1", headers, b""), project_id=project_id)
        except ApiError as refusal:
            return f"{refusal.status} {refusal.code} {refusal.message}"
        return ""


@pytest.fixture
def gate() -> Gate:
    return Gate()


def test_a_right_signature_is_let_in(gate: Gate) -> None:
    assert gate.knock() == ""


@pytest.mark.parametrize("key", [AccessKey("AK", "wrong"), AccessKey("unknown", "SK")])
def test_a_wrong_key_is_refused(gate: Gate, key: AccessKey) -> None:
    refusal = gate.knock(key)
    assert refusal.startswith("401 APIGW.0301")
    assert "verify aksk signature fail" in refusal


@pytest.mark.parametrize("minutes", [-16, 16])
def test_a_skewed_clock_is_refused(gate: Gate, minutes: int) -> None:
    assert "401 APIGW.0301" in gate.knock(skew=timedelta(minutes=minutes))


@pytest.mark.parametrize("minutes", [-14, 14])
def test_a_little_skew_is_allowed(gate: Gate, minutes: int) -> None:
    assert gate.knock(skew=timedelta(minutes=minutes)) == ""


@pytest.mark.parametrize("name", ["host", "x-sdk-date", "x-project-id"])
def test_what_matters_must_be_signed(gate: Gate, name: str) -> None:
    assert "401" in gate.knock(unsigned=(name,))


def test_the_project_must_be_that_of_the_path(gate: Gate) -> None:
    assert gate.knock(project_id="other").startswith("403 APIGW.0302")


def test_more_than_five_failures_in_a_row_lock_the_key_for_five_minutes(gate: Gate) -> None:
    wrong = AccessKey("AK", "wrong")
    for _ in range(5):
        gate.knock(wrong)
    assert gate.knock() == "", "five are not more than five"
    for _ in range(6):
        assert "verify aksk signature fail" in gate.knock(wrong)
    assert "AK access failed to reach the limit,forbidden" in gate.knock()
    gate.clock.advance(minutes=4, seconds=59)
    assert "AK access failed to reach the limit,forbidden" in gate.knock()
    gate.clock.advance(seconds=1)
    assert gate.knock() == ""


def test_failures_must_be_in_a_row(gate: Gate) -> None:
    for _ in range(3):
        for _ in range(4):
            gate.knock(AccessKey("AK", "wrong"))
        assert gate.knock() == ""


def test_a_date_must_be_one(gate: Gate) -> None:
    assert "X-Sdk-Date is malformed" in gate.knock(extra={"x-sdk-date": "yesterday"})


def test_what_is_signed_must_be_sent(gate: Gate) -> None:
    header = f"{signing.ALGORITHM} Access=AK, SignedHeaders=host;x-other;x-sdk-date, Signature={'0' * 64}"
    assert "verify aksk signature fail" in gate.send({"host": "h", "x-sdk-date": "d", "authorization": header})


def test_a_lock_is_for_one_key(gate: Gate) -> None:
    for _ in range(6):
        gate.knock(AccessKey("AK", "wrong"))
    assert gate.knock(gate.keys.issue()) == ""


def test_temporary_keys_need_their_token_and_end(gate: Gate) -> None:
    gate.keys.ttl = timedelta(minutes=30)
    key = gate.keys.issue()
    assert gate.knock(key) == ""
    assert "decrypt token fail" in gate.knock(AccessKey(key.access, key.secret))
    assert "decrypt token fail" in gate.knock(key, extra={"x-security-token": "another"})
    assert "401" in gate.knock(key, unsigned=("x-security-token",))
    gate.clock.advance(minutes=30)
    assert "decrypt token fail" in gate.knock(key)


def test_temporary_keys_differ(gate: Gate) -> None:
    assert gate.keys.issue() != gate.keys.issue()


def test_tokens_end_when_they_must(gate: Gate) -> None:
    gate.tokens.ttl = timedelta(hours=1)
    token, expires_at = gate.tokens.issue()
    assert gate.send({"x-auth-token": token}) == ""
    assert gate.send({"x-auth-token": token + "x"}).endswith("decrypt token fail")
    gate.clock.now = expires_at
    assert gate.send({"x-auth-token": token}) == (
        "401 APIGW.0301 Incorrect IAM authentication information: decrypt token fail"
    )


def test_all_tokens_can_die_at_once(gate: Gate) -> None:
    old, _ = gate.tokens.issue()
    gate.tokens.expire_all()
    new, _ = gate.tokens.issue()
    assert (gate.tokens.valid(old), gate.tokens.valid(new)) == (False, True)


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer x"}])
def test_without_credentials_nobody_comes_in(gate: Gate, headers: dict[str, str]) -> None:
    assert gate.send(headers).startswith("401 APIGW.0301")


def test_lockout_counts_by_name() -> None:
    lockout = Lockout(now=HandClock(), limit=1)
    for _ in range(2):
        lockout.failed("a")
    assert (lockout.locked("a"), lockout.locked("b")) == (True, False)


def test_throttle_counts_by_the_minute() -> None:
    clock = HandClock()
    throttle = Throttle(now=clock, requests_per_minute=2)
    assert [throttle.spend() for _ in range(3)] == [None, None, 60]
    clock.advance(seconds=45.5)
    assert throttle.spend() == 15
    clock.advance(seconds=14.5)
    assert throttle.spend() is None


def test_no_limit_is_no_limit() -> None:
    throttle = Throttle(now=HandClock())
    assert {throttle.spend() for _ in range(1000)} == {None}
