"""What PagerDuty's answers mean (https://developer.pagerduty.com/docs/events-api-v2-overview#response-codes--retry-logic).

202 is `{"status": "success", "message": "Event processed", "dedup_key": …}`, 400 is `{"status": "invalid event",
"message": …, "errors": [...]}`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from watcher.core.errors import DeliveryError, FailureReason
from watcher.receivers.http import check_answer, object_of

_BAD_REQUEST = 400
_KEY_REFUSED = frozenset({401, 403})
_ROUTING_KEY = re.compile("routing.?key", re.IGNORECASE)
_SUCCESS = "success"
_INVALID = "invalid"
_HINT = "use the integration key (32 characters) of an Events API v2 integration, and the region of its account"


class RefusedEventError(DeliveryError):
    """What was refused is this one event: others may be accepted."""


def judged(status: int, *, headers: Mapping[str, str], text: str, now: datetime, secrets: Iterable[str]) -> str:
    """What a good answer said, in one short line; raises DeliveryError for any other answer.

    A 2xx is none where it says otherwise, in JSON or as a page: of a proxy, most likely. Nobody would be paged, and
    nobody would know. One that says nothing of the kind is believed: relays that speak PagerDuty answer as they like.
    """
    said = object_of(text)
    words = _words(said) or text
    try:
        answer = check_answer(status, headers=headers, body=words, now=now, secrets=secrets)
    except DeliveryError as error:
        if status in _KEY_REFUSED or (status == _BAD_REQUEST and _ROUTING_KEY.search(words)):
            raise _told_more(error, f"{error}; {_HINT}") from error
        if status == _BAD_REQUEST:
            raise RefusedEventError(str(error), reason=error.reason, permanent=True) from error
        raise
    verdict = said.get("status", _SUCCESS)
    if verdict != _SUCCESS:
        if str(verdict).startswith(_INVALID):
            raise RefusedEventError(f"answered {answer}", reason=FailureReason.CLIENT_ERROR, permanent=True)
        raise DeliveryError(f"did not accept it: {answer}", reason=FailureReason.OTHER, permanent=False)
    if not said and (text.lstrip().startswith("<") or "html" in headers.get("Content-Type", "").lower()):
        raise DeliveryError(
            f"answered with a page, not as PagerDuty: {answer}", reason=FailureReason.OTHER, permanent=False
        )
    return answer


def _words(said: Mapping[str, Any]) -> str:
    """`Event object is invalid: Length of 'routing_key' is incorrect`; "" if it is not of that shape."""
    message, errors = said.get("message"), said.get("errors")
    listed = errors if isinstance(errors, list) else [errors]
    parts = [message, "; ".join(each for each in listed if isinstance(each, str))]
    return ": ".join(part for part in parts if isinstance(part, str) and part)


def _told_more(error: DeliveryError, message: str) -> DeliveryError:
    return DeliveryError(message, reason=error.reason, permanent=error.permanent)
