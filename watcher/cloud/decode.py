"""The body of an answer as JSON, and the times in it, however hostile."""

from __future__ import annotations

import codecs
import json
from datetime import UTC, datetime

from watcher.cloud.exchange import Answer
from watcher.cloud.text import one_line
from watcher.core.errors import CloudMalformedError

_TEXT_ENCODINGS = frozenset({"utf-8", "ascii", "iso8859-1", "cp1252", "gb2312", "gbk", "gb18030", "big5", "utf-16"})


def parse_time(text: str) -> datetime | None:
    """An ISO-8601 time of the cloud, with any number of fraction digits (the 7th and later are dropped), in UTC.

    A time without a zone is taken as UTC. None when it is empty or cannot be read.
    """
    try:
        time = datetime.fromisoformat(text.strip().upper())
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def malformed(answer: Answer, why: str) -> CloudMalformedError:
    """The error for an answer that cannot be understood."""
    return CloudMalformedError(
        f"the answer cannot be understood: {one_line(why)}", http_status=answer.status, request_id=answer.request_id
    )


def decode_json(answer: Answer) -> object:
    """The body as JSON values.

    NaN and infinities pass, as Python's parser lets them: whoever keeps the values has to refuse them, so that one
    item need not spoil a page. Raises CloudMalformedError, also for nesting beyond the stack and numbers of thousands
    of digits.
    """
    if not answer.body:
        raise malformed(answer, "it is empty")
    try:
        return json.loads(answer.body.decode(_charset(answer)))
    except RecursionError:
        raise malformed(answer, "it is nested too deeply") from None
    except (ValueError, LookupError) as error:
        hint = "HTML" if answer.body.lstrip()[:1] == b"<" else f"not JSON ({error})"
        raise malformed(answer, f"it is {hint}") from None


def _charset(answer: Answer) -> str:
    """The encoding the answer claims, UTF-8 when it claims none; raises LookupError for one that is not for text."""
    content_type = answer.headers.get("Content-Type", "")
    _, found, claimed = content_type.lower().partition("charset=")
    if not found:
        return "utf-8"
    name = codecs.lookup(claimed.partition(";")[0].strip(" \t\"'")).name
    if name not in _TEXT_ENCODINGS:
        raise LookupError(f"unknown charset: {name}")
    return name
