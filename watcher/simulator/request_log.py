"""What the simulator was asked: counts, and the last requests. Never headers or bodies, so never a secret."""

from collections import Counter, deque
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    """One request; `at` is real time, `code` the HTTP status or 0 when no complete answer was sent."""

    at: datetime
    operation: str
    method: str
    path: str
    query: str
    code: int
    request_id: str
    faults: tuple[str, ...]


class RequestLog:
    """Counts by `(operation, code)` since the start or the last `clear`, and the last `keep` requests."""

    def __init__(self, *, keep: int = 500) -> None:
        self.counts: Counter[tuple[str, int]] = Counter()
        self._last: deque[LoggedRequest] = deque(maxlen=keep)

    def add(self, request: LoggedRequest) -> None:
        """Records a request that has been answered, or cut."""
        self.counts[request.operation, request.code] += 1
        self._last.append(request)

    def count(self, operation: str | None = None, code: int | None = None) -> int:
        """How many requests there were of that operation and with that code; None stands for any."""
        return sum(n for (o, c), n in self.counts.items() if operation in (None, o) and code in (None, c))

    def last(self, limit: int = 50) -> list[LoggedRequest]:
        """The last requests, oldest first."""
        return list(self._last)[-limit:] if limit > 0 else []

    def clear(self) -> None:
        """Forgets everything."""
        self.counts.clear()
        self._last.clear()
