"""Server-sent events, read strictly: what comes is not trusted, and nothing is kept of it without a limit.

Source: WHATWG HTML, 9.2.6 "Interpreting an event stream". Unlike a browser, this ends where a line or a message is
larger than any that is meant; `retry` is not heeded, because who reads has a backoff of its own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_BYTES = 8 * 1024 * 1024
_LINE_END = re.compile(rb"\r\n|\n|\r")
_BOM = b"\xef\xbb\xbf"


class StreamTooLargeError(Exception):
    """A line, or a message, is larger than the limit."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message: its type ("" if it names none), its data, and the id to resume behind ("" if there was none yet)."""

    event: str
    data: str
    id: str


class StreamParser:
    """Takes bytes as they come and gives the messages that are complete."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._parts: list[bytes] = []  # of a line that has not ended
        self._part_bytes = 0
        self._ended_by_return = False
        self._is_first_line = True
        self._data: list[bytes] = []
        self._data_bytes = 0
        self._event = ""
        self._id = ""

    def feed(self, chunk: bytes) -> list[Message]:
        """The messages that end in these bytes; raises StreamTooLargeError."""
        if not chunk:
            return []
        if self._ended_by_return:
            chunk = chunk.removeprefix(b"\n")  # the other half of a CRLF
        self._ended_by_return = chunk.endswith(b"\r")
        *lines, rest = _LINE_END.split(chunk)
        messages = []
        for line in lines:
            self._keep(line)
            message = self._line(b"".join(self._parts))
            self._parts, self._part_bytes = [], 0
            if message is not None:
                messages.append(message)
        if rest:
            self._keep(rest)
        return messages

    def _keep(self, part: bytes) -> None:
        self._part_bytes += len(part)
        if self._part_bytes > self._max_bytes:
            raise StreamTooLargeError
        self._parts.append(part)

    def _line(self, line: bytes) -> Message | None:
        if self._is_first_line:
            self._is_first_line = False
            line = line.removeprefix(_BOM)
        if not line:
            return self._dispatch()
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data_bytes += len(value) + 1
            if self._data_bytes > self._max_bytes:
                raise StreamTooLargeError
            self._data.append(value)
        elif name == b"event":
            self._event = _text(value)
        elif name == b"id" and b"\0" not in value:
            self._id = _text(value)
        return None  # a comment has no name before its colon; anything else means nothing

    def _dispatch(self) -> Message | None:
        data, event = self._data, self._event
        self._data, self._data_bytes, self._event = [], 0, ""
        return Message(event=event, data=_text(b"\n".join(data)), id=self._id) if data else None


def _text(value: bytes) -> str:
    return value.decode("utf-8", errors="replace")
