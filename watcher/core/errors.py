"""What can fail, by what the caller must do about it. Every error the product raises on purpose is a `WatcherError`."""

from __future__ import annotations

from enum import StrEnum


class WatcherError(Exception):
    """The root of the product's errors; `str()` is one line fit for a person."""


class ConfigurationError(WatcherError):
    """The operator's input cannot be used: say where and stop (exit code 2)."""


class StoreError(WatcherError):
    """The store cannot be read or written: nothing may be sent that it does not hold; try again later."""


class LeaseLostError(StoreError):
    """Another replica holds, or may hold, what is to be written about: nothing was written, and is not to be again."""


class CloudError(WatcherError):
    """A request to the cloud failed.

    `http_status` is None when no answer came; `code` is the cloud's own (`WKS.…`, `APIGW.…`) or "";
    `request_id` is the answer's `X-Request-Id` or "".
    """

    def __init__(
        self,
        message: str,
        *,
        http_status: int | None = None,
        code: str = "",
        request_id: str = "",
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.http_status = http_status
        self.code = code
        self.request_id = request_id
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        facts = [
            f"HTTP {self.http_status}" if self.http_status is not None else "",
            self.code,
            f"request id {self.request_id}" if self.request_id else "",
        ]
        told = ", ".join(fact for fact in facts if fact)
        return f"{self.args[0]} ({told})" if told else str(self.args[0])


class CloudAuthError(CloudError):
    """The credential was refused (401): do not hammer, the cloud locks keys; wait longer than its lock of 5 min."""


class CloudPermissionError(CloudError):
    """The credential is good but may not do this (403): an operator must grant it."""


class CloudThrottledError(CloudError):
    """Too many requests (429): wait `retry_after_s`, or a few seconds and ask less."""


class CloudUnavailableError(CloudError):
    """No answer, or a 5xx: try again with backoff."""


class CloudMalformedError(CloudError):
    """An answer came and cannot be understood: try again with backoff, believe nothing of it."""


class CloudNotFoundError(CloudError):
    """The service says there is no such thing (404 with a `WKS.` code)."""


class CloudEndpointError(CloudError):
    """The endpoint, path or request is wrong (404 `APIGW.0101`, 400, 405 …): an operator must mend it."""


class FailureReason(StrEnum):
    """Why a delivery failed: the contract's values of `reason` in `watcher_notifications_failed_total`."""

    RATE_LIMITED = "rateLimited"
    CLIENT_ERROR = "clientError"
    SERVER_ERROR = "serverError"
    AUTH_ERROR = "authError"
    TIMEOUT = "timeout"
    NETWORK = "network"
    OTHER = "other"


class DeliveryError(WatcherError):
    """A receiver did not accept a notification.

    `permanent`: trying again cannot help. `retry_after_s`: how long the receiver asked us to wait, if it did.
    `too_large`: less at a time may be accepted.
    """

    def __init__(
        self,
        message: str,
        *,
        reason: FailureReason,
        permanent: bool,
        retry_after_s: float | None = None,
        too_large: bool = False,
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.permanent = permanent
        self.retry_after_s = retry_after_s
        self.too_large = too_large
