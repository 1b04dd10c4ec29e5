"""Errors as the cloud words them."""

from collections.abc import Mapping
from typing import Any


class ApiError(Exception):
    """An answer that is not a success: HTTP status, code, text and further headers.

    The code decides the shape: service codes (`WKS.…`) as `{error_code, error_msg}`, gateway codes (`APIGW.…`) with
    the `request_id`, too, and IAM's own (`IAM`) as `{"error": {code, message, title}}`.
    """

    def __init__(self, status: int, code: str, message: str, *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{status} {code} {message}")
        self.status = status
        self.code = code
        self.message = message
        self.headers = dict(headers or {})

    def body(self, request_id: str) -> dict[str, Any]:
        """The JSON body of the answer to that request."""
        if self.code == "IAM":
            titles = {400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found"}
            title = titles.get(self.status, "Error")
            return {"error": {"code": self.status, "message": self.message, "title": title}}
        body = {"error_code": self.code, "error_msg": self.message}
        return {**body, "request_id": request_id} if self.code.startswith("APIGW.") else body


def unauthenticated(detail: str) -> ApiError:
    """401 of the gateway, with one of its documented details."""
    return ApiError(401, "APIGW.0301", f"Incorrect IAM authentication information: {detail}")


def throttled(limit: int, *, retry_after: float | None = None) -> ApiError:
    """429 of the gateway; `retry_after` in seconds is sent only if given."""
    message = f"The throttling threshold has been reached: policy user over ratelimit,limit:{limit},time:1 minute"
    headers = {} if retry_after is None else {"Retry-After": f"{retry_after:g}"}
    return ApiError(429, "APIGW.0308", message, headers=headers)


def no_such_api() -> ApiError:
    """404 of the gateway: the path, not the instance, is unknown."""
    return ApiError(404, "APIGW.0101", "The API does not exist or has not been published in the environment")


def no_such_server() -> ApiError:
    """404 of the service: there is no such instance."""
    return ApiError(404, "WKS.00211902", "The image server does not exist.")


def bad_request(detail: str) -> ApiError:
    """400 of the service."""
    return ApiError(400, "WKS.00211102", f"Invalid request parameter: {detail}")
